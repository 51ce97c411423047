"""Kinds of value that name places: mailboxes, domains, web addresses, hosts."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ..addresses import check_address, parse_mailbox
from ..exceptions import AddressError, WrongValue
from .kinds import Kind, as_dict, as_text
from .suggest import as_python, shortly

#: "192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:5353".
_SERVER = re.compile(r"\[(?P<six>[^]]+)\](?::(?P<six_port>\d+))?|(?P<four>[^:]+):(?P<four_port>\d+)|(?P<bare>.+)")


def mailbox(*, needed: bool = False) -> Kind[str]:
    """One address, with or without a name; none at all only where it is not `needed`."""

    def read(value: Any) -> str:
        if isinstance(value, list | tuple) and len(value) == 1:
            said = _("One address is needed, as a text, not a list.")
            raise WrongValue(said, as_python(value[0]))
        given = as_text(value)
        if given or needed:
            try:
                parse_mailbox(given)
            except AddressError as error:
                raise WrongValue(str(error)) from error
        return given

    return Kind("address", read)


def addresses(*roles: str) -> Kind[dict[str, str]]:
    """{role: address}, of which only `roles` are looked at: the others are the project's own business."""

    def read(value: Any) -> dict[str, str]:
        given, found = as_dict(value), {}
        for role in roles:
            try:
                found[role] = mailbox().read(given.get(role))
            except WrongValue as wrong:
                raise WrongValue(str(wrong), wrong.write, (role, *wrong.at)) from None
        return found

    return Kind("dict of addresses", read)


def domain(*, or_below: bool = False) -> Kind[str]:
    """A domain; with `or_below` also ".example.org", which stands for those below it too."""

    def read(value: Any) -> str:
        given = as_text(value)
        if given and not _is_domain(given, or_below):
            meant = re.sub(r"^\w+://|/.*$|\.$", "", given).rpartition("@")[2].replace("*.", "." if or_below else "", 1)
            meant = meant if or_below else meant.lstrip(".")
            said = _("A domain is needed, not %(value)s.")
            raise WrongValue(said % {"value": shortly(value)}, as_python(meant) if _is_domain(meant, or_below) else "")
        return given

    return Kind("domain", read)


def url() -> Kind[str]:
    """The address of a site, https://host, with nothing behind it that a path could not follow."""

    def read(value: Any) -> str:
        given = as_text(value)
        if not given or _is_url(given):
            return given
        meant = f"https://{given.rpartition('://')[2].lstrip('/')}"
        said = _("An address that begins with https:// is needed, not %(value)s.")
        raise WrongValue(said % {"value": shortly(value)}, as_python(meant) if _is_url(meant) else "")

    return Kind("URL", read)


def ip_address() -> Kind[str]:
    """An IP address, in its usual form."""

    def read(value: Any) -> str:
        given = as_text(value)
        try:
            return str(ipaddress.ip_address(given))
        except ValueError:
            raise WrongValue(_("An IP address is needed, not %(value)s.") % {"value": shortly(value)}) from None

    return Kind("IP address", read)


def name_server() -> Kind[str]:
    """The IP address of a DNS server, with or without a port."""

    def read(value: Any) -> str:
        given = as_text(value)
        found = _SERVER.fullmatch(given)
        host = found and (found["six"] or found["four"] or found["bare"])
        port = found and (found["six_port"] or found["four_port"] or "53")
        try:
            ipaddress.ip_address(host or "")
        except ValueError:
            host = None
        if not host or not port or not 0 < int(port) < 65_536:
            said = _("A DNS server is needed, 192.0.2.53 or 192.0.2.53:5353, not %(value)s.")
            raise WrongValue(said % {"value": shortly(value)})
        return given

    return Kind("DNS server", read)


def _is_domain(name: str, or_below: bool) -> bool:
    try:
        check_address(f"x@{name.removeprefix('.') if or_below else name}")
    except AddressError:
        return False
    return True


def _is_url(given: str) -> bool:
    try:
        parts = urlsplit(given)
        parts.port  # noqa: B018 - it raises for a port that is none
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or re.search(r"\s", given))
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_plain
