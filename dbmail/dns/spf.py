"""SPF records (RFC 7208): recognised, parsed, merged into one, their look-ups counted, and evaluated."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .errors import BadSpf, DnsUnavailable
from .records import Record
from .sentence import Sentence as _

#: A receiver that would need more DNS look-ups gives up with permerror (RFC 7208, 4.6.4).
MAX_LOOKUPS = 10
#: How many hosts of an MX are looked at (RFC 7208, 4.6.4).
_MAX_MX_HOSTS = 10
#: Mechanisms that make a receiver ask DNS.
_COSTLY = ("include", "a", "mx", "ptr", "exists")
#: What a match means, by the qualifier of the mechanism that matched; from the softest end of a record to the hardest.
_RESULTS = {"+": "pass", "?": "neutral", "~": "softfail", "-": "fail"}
#: A modifier up to its "=" and a whole mechanism: qualifier, name, mark, value.
_MODIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*=")
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z0-9]+)(?:([:/])(.*))?")

#: The end of a relay's host name -> what customers of that provider include in SPF, since their mail leaves from
#: other addresses than the relay's own.
_INCLUDES = {
    "sendgrid.net": "sendgrid.net",
    "amazonaws.com": "amazonses.com",
    "mailgun.org": "mailgun.org",
    "postmarkapp.com": "spf.mtasv.net",
    "mandrillapp.com": "spf.mandrillapp.com",
    "google.com": "_spf.google.com",
    "gmail.com": "_spf.google.com",
    "office365.com": "spf.protection.outlook.com",
    "outlook.com": "spf.protection.outlook.com",
    "mailjet.com": "spf.mailjet.com",
    "brevo.com": "spf.brevo.com",
}

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Answers with the TXT records of a name; [] if it has none. Raises DnsUnavailable.
Texts = Callable[[str], list[str]]
#: Answers with the records of a name and a type, aliases followed; [] if there are none. Raises DnsUnavailable.
Resolve = Callable[[str, str], list[Record]]


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a record: a mechanism like `-ip4:192.0.2.1`, or a modifier like `redirect=example.org`."""

    #: "+", "-", "~" or "?" of a mechanism ("+" if none is written); "=" marks a modifier.
    qualifier: str
    #: In lower case.
    name: str
    #: What follows ":" or "=", "" if nothing does; with its "/" where only a prefix length is given.
    value: str
    #: The word as it is written.
    text: str

    @property
    def means(self) -> tuple[str, str, str]:
        """Equal for two terms that say the same in other spellings."""
        return self.qualifier, self.name, self.value.lower()

    @property
    def is_all(self) -> bool:
        """Whether it is the mechanism `all`, which matches every address."""
        return self.name == "all" and self.qualifier != "="


def include_of(relay: str) -> str:
    """What SPF must include for mail through the relay with this host name; "" unless it is a known provider's."""
    return next((include for end, include in _INCLUDES.items() if relay.lower().endswith(f".{end}")), "")


def is_spf(text: str) -> bool:
    """Whether a TXT record is SPF: the version, alone or followed by a space (RFC 7208, 4.5)."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def parse(text: str) -> list[Term]:
    """The terms of a record in order. Raises BadSpf for what a receiver would answer with permerror."""
    terms = []
    for word in text.split()[1:]:
        if _MODIFIER.match(word):
            name, _equals, value = word.partition("=")
            terms.append(Term("=", name.lower(), value, word))
            continue
        match = _MECHANISM.fullmatch(word)
        if not match or not _is_mechanism(match[2].lower(), match[3] or "", match[4] or ""):
            said = _(
                '%(word)r in "%(record)s" is not SPF (RFC 7208 5). Correct the record first.', word=word, record=text
            )
            raise BadSpf(said)
        value = (match[4] or "") if match[3] != "/" else f"/{match[4]}"
        terms.append(Term(match[1] or "+", match[2].lower(), value, word))
    for name in ("redirect", "exp"):
        if sum(term.qualifier == "=" and term.name == name for term in terms) > 1:
            said = _(
                '"%(record)s" has %(name)s= twice (RFC 7208 6). Correct the record first.', record=text, name=name
            )
            raise BadSpf(said)
    return terms


def _is_mechanism(name: str, mark: str, value: str) -> bool:
    """Whether a mechanism of this name may be written so; `mark` is what stands before `value`: ":", "/" or ""."""
    if name == "all":
        return not mark
    if name in ("include", "exists"):
        return mark == ":" and bool(value)
    if name in ("a", "mx", "ptr"):
        return not mark or bool(value)
    if name in ("ip4", "ip6"):
        try:
            return mark == ":" and ipaddress.ip_network(value, strict=False).version == int(name[-1])
        except ValueError:
            return False
    return False


def _evaluated(terms: list[Term]) -> list[Term]:
    """The terms that a receiver looks at: after `all` only modifiers count (RFC 7208, 5.1). `all` is left out."""
    for place, term in enumerate(terms):
        if term.is_all:
            return terms[:place] + [t for t in terms[place:] if t.qualifier == "="]
    return terms


def merge(old: Iterable[str], wanted: str) -> str:
    """One record that lets through all that the `old` records (none, one or several) and `wanted` let through.

    What is new goes before `all` or `redirect=`, which keep the last word. Where the old records end
    differently, the softest end wins, so that no mail is refused which one of them let through. A single old
    record that has all of `wanted` is given back unchanged. Raises BadSpf.
    """
    old = list(old)
    if not old:
        return wanted
    records = [parse(text) for text in old]
    needed = [term for term in parse(wanted) if term.name != "all"]
    given = [term for record in records for term in _evaluated(record)]
    for term in needed:
        against = [t for t in given if (t.name, t.value.lower()) == (term.name, term.value.lower())]
        if against and term.means not in {t.means for t in against}:
            raise BadSpf(f'"{against[0].text}" contradicts "{term.text}", which SendGrid needs. Remove it first.')
    missing = [term for term in needed if term.means not in {t.means for t in given}]
    if len(old) == 1 and not missing:
        return old[0]
    mechanisms: dict[tuple[str, str, str], str] = {}
    for term in [t for t in given if t.qualifier != "="] + missing:
        mechanisms.setdefault(term.means, term.text)
    modifiers = {t.means: t.text for record in records for t in record if t.qualifier == "="}
    ends = [t for record in records for t in record if t.is_all]
    softness = list(_RESULTS).index
    softest = [min(ends, key=lambda t: softness(t.qualifier)).text] if ends else []
    text = " ".join(["v=spf1", *mechanisms.values(), *softest, *modifiers.values()])
    if any(t.name == "redirect" for t in parse(text)) and len(old) > 1:
        raise BadSpf(f"{len(old)} SPF records, one with redirect=, cannot be made one. Leave a single record first.")
    return text


def lookups(text: str, texts: Texts, *, most: int = 30) -> list[tuple[str, int]]:
    """Each term of a record that makes a receiver ask DNS, with all look-ups that it costs (RFC 7208, 4.6.4).

    Counting stops near `most`, so that records which include each other do not go on for ever. Raises BadSpf
    where a receiver would answer with permerror: an included record is missing, doubled or not valid. Raises
    DnsUnavailable.
    """
    found: list[tuple[str, int]] = []
    total = 0
    terms = parse(text)
    ended = any(term.is_all for term in terms)
    for term in _evaluated(terms):
        redirect = term.qualifier == "=" and term.name == "redirect" and not ended
        if not redirect and (term.qualifier == "=" or term.name not in _COSTLY):
            continue
        cost = 1
        if (redirect or term.name == "include") and "%" not in term.value and total < most:
            cost += sum(n for _, n in lookups(_record_at(term, texts), texts, most=most - total - 1))
        total += cost
        found.append((term.text, cost))
    return found


def _record_at(term: Term, texts: Texts) -> str:
    """The record that `include:` or `redirect=` names. Raises BadSpf, DnsUnavailable."""
    records = [text for text in texts(term.value.rstrip(".").lower()) if is_spf(text)]
    if len(records) != 1:
        values = {"term": term.text, "name": term.value, "count": len(records)}
        if records:
            raise BadSpf(_("%(term)s: %(name)s has %(count)d SPF records, so every check fails (RFC 7208).", **values))
        raise BadSpf(_("%(term)s: %(name)s has no SPF records, so every check fails (RFC 7208).", **values))
    return records[0]


def check_host(address: str, domain: str, resolve: Resolve) -> str:
    """What a receiver's SPF check says of mail from `address` with a return path in `domain` (RFC 7208, 4).

    pass, fail, softfail, neutral, none, permerror or temperror. Terms with macros (RFC 7208, 7) and `ptr` match
    nothing here, and look-ups without an answer ("void", 4.6.4) are not limited.
    """
    try:
        return _check(ipaddress.ip_address(address), domain, resolve, [MAX_LOOKUPS])
    except BadSpf:
        return "permerror"
    except DnsUnavailable:
        return "temperror"


def _check(ip: IpAddress, domain: str, resolve: Resolve, left: list[int]) -> str:
    """`left` holds one number, which all records of a check share: the look-ups that may still be made."""
    records = [record.value for record in resolve(domain, "TXT") if is_spf(record.value)]
    if len(records) != 1:
        return "permerror" if records else "none"
    terms = parse(records[0])
    for term in terms:
        if term.qualifier != "=" and _matches(term, ip, domain, resolve, left):
            return _RESULTS[term.qualifier]
    redirect = next((term.value for term in terms if term.qualifier == "=" and term.name == "redirect"), "")
    if not redirect:
        return "neutral"
    _spend(left)
    result = _check(ip, redirect, resolve, left)
    return "permerror" if result == "none" else result


def _matches(term: Term, ip: IpAddress, domain: str, resolve: Resolve, left: list[int]) -> bool:
    """Whether a mechanism matches (RFC 7208, 5). Raises BadSpf, DnsUnavailable."""
    if term.name == "all":
        return True
    if term.name in ("ip4", "ip6"):
        return ip in ipaddress.ip_network(term.value, strict=False)
    _spend(left)
    if "%" in term.value or term.name == "ptr":
        return False
    name, v4, v6 = _target(term.value, domain)
    if term.name == "include":
        result = _check(ip, name, resolve, left)
        if result in ("none", "permerror"):
            raise BadSpf(f"include:{name} is {result}")
        return result == "pass"
    if term.name == "exists":
        return bool(resolve(name, "A"))
    hosts = [name]
    if term.name == "mx":
        hosts = [record.value.rpartition(" ")[2] for record in resolve(name, "MX")][:_MAX_MX_HOSTS]
    kind, length = ("A", v4) if ip.version == 4 else ("AAAA", v6)
    found = [record.value for host in hosts if host for record in resolve(host, kind)]
    return any(ip in ipaddress.ip_network(f"{address}/{length}", strict=False) for address in found)


def _target(value: str, domain: str) -> tuple[str, int, int]:
    """The host and the prefix lengths (IPv4, IPv6) in `host/24//64`; `domain` where no host is named."""
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
        raise BadSpf(f"More than {MAX_LOOKUPS} look-ups.")
