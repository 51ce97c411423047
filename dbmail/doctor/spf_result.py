"""What a receiver's SPF check would say of mail from an address (RFC 7208, 4): the check_host() function."""

import ipaddress
from collections.abc import Callable

from ..dns import spf
from ..dns.errors import BadSpf, DnsUnavailable
from ..dns.records import Record

Ask = Callable[[str, str], list[Record]]
_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


def spf_result(address: str, domain: str, ask: Ask) -> str:
    """pass, fail, softfail, neutral, none, permerror or temperror. Macros (RFC 7208, 7) match nothing here."""
    try:
        return _check(ipaddress.ip_address(address), domain, ask, [spf.MAX_LOOKUPS])
    except BadSpf:
        return "permerror"
    except DnsUnavailable:
        return "temperror"


def _check(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, domain: str, ask: Ask, left: list[int]) -> str:
    records = [record.value for record in ask(domain, "TXT") if spf.is_spf(record.value)]
    if len(records) != 1:
        return "permerror" if records else "none"
    terms = spf.parse(records[0])
    for term in terms:
        if term.qualifier != "=" and _matches(term, ip, domain, ask, left):
            return _RESULTS[term.qualifier]
    redirect = next((term.value for term in terms if term.qualifier == "=" and term.name == "redirect"), "")
    if not redirect:
        return "neutral"
    _spend(left)
    result = _check(ip, redirect, ask, left)
    return "permerror" if result == "none" else result


def _matches(
    term: spf.Term, ip: ipaddress.IPv4Address | ipaddress.IPv6Address, domain: str, ask: Ask, left: list[int]
) -> bool:
    if term.name == "all":
        return True
    if term.name in ("ip4", "ip6"):
        return ip in ipaddress.ip_network(term.value, strict=False)
    _spend(left)
    if "%" in term.value or term.name == "ptr":
        return False
    name, v4, v6 = _target(term.value, domain)
    if term.name == "include":
        result = _check(ip, name, ask, left)
        if result in ("none", "permerror"):
            raise BadSpf(f"include:{name} is {result}")
        return result == "pass"
    if term.name == "exists":
        return bool(ask(name, "A"))
    hosts = [name] if term.name == "a" else [record.value.rpartition(" ")[2] for record in ask(name, "MX")][:10]
    kind, length = ("A", v4) if ip.version == 4 else ("AAAA", v6)
    found = [record.value for host in hosts if host for record in ask(host, kind)]
    return any(ip in ipaddress.ip_network(f"{address}/{length}", strict=False) for address in found)


def _target(value: str, domain: str) -> tuple[str, int, int]:
    """Name and prefix lengths of `a:host/24//64`."""
    rest, _, v6 = value.partition("//")
    name, _, v4 = rest.partition("/")
    try:
        lengths = int(v4 or 32), int(v6 or 128)
    except ValueError as error:
        raise BadSpf(f"{value!r} has a prefix length that is no number.") from error
    if not (0 <= lengths[0] <= 32 and 0 <= lengths[1] <= 128):
        raise BadSpf(f"{value!r} has a prefix length that no address has.")
    return (name or domain).rstrip(".").lower(), *lengths


def _spend(left: list[int]) -> None:
    left[0] -= 1
    if left[0] < 0:
        raise BadSpf(f"More than {spf.MAX_LOOKUPS} look-ups.")
