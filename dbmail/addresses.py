"""The one place that takes e-mail addresses apart and puts them together (RFC 5322, 6531)."""

import re
from email.utils import getaddresses
from functools import lru_cache
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.translation import gettext as _

from .exceptions import AddressError

_MAX_LENGTH = 320  # 64 + "@" + 255, RFC 3696 erratum 1690
#: What text is taken for addresses: Python's parser calls itself at each bracket and colon, and is slow with length.
_MAX_TEXT = 2000
_MAX_SIGNS = 50
#: RFC 1035, 2.3.4; Python needs the square of a label's length to find out that it is too long.
_MAX_LABEL = 63
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # RFC 3490, 3.1
_validate = EmailValidator(allowlist=["localhost"])
_LOCAL = re.compile(EmailValidator.user_regex.pattern, re.IGNORECASE)
# Atoms as a name (RFC 5322, 3.2.3) before an address in brackets, or an address alone.
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]"
_BARE = rf"{_ATOM}+(?:\.{_ATOM}+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_PHRASE = re.compile(rf"{_ATOM}+(?: {_ATOM}+)*", re.ASCII)
_SIMPLE = re.compile(rf"(?:({_ATOM}+(?: {_ATOM}+)*) ?)?<({_BARE})>|({_BARE})", re.ASCII)


class Mailbox(NamedTuple):
    """One address with the name shown beside it (empty if there is none)."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        return domain_of(self.address)

    def __str__(self) -> str:
        return format_mailbox(self.address, self.name)


def one_line(text: str) -> str:
    """`text` without line breaks, NULs or other control characters, white space collapsed."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def parse_mailbox(text: str) -> Mailbox:
    """The one mailbox in `text`: `ann@example.org` or `"Ann, A." <ann@example.org>`.

    Raises AddressError for anything else: none, several, a line break, a bad local part or domain.
    """
    raw = text.strip()
    if simple := _SIMPLE.fullmatch(raw):  # nearly all of them, without the full grammar
        return Mailbox(check_address(simple[2] or simple[3]), one_line(simple[1] or ""))
    if "\n" in raw or "\r" in raw or "\0" in raw:
        raise AddressError(_("A line break is not allowed in the address %(address)r.") % {"address": text})
    found = addresses_in(raw)
    name, address = found[0] if len(found) == 1 else ("", "")
    # Pythons before the fix of CVE-2023-27043 take ann@example.org
    # out of `ann@example.org]<eve@evil.test>`: the address must be the end of the text.
    if not address or not raw.endswith((address, f"<{address}>")):
        said = _("%(address)r is not one e-mail address; write: Name <local@domain>")
        raise AddressError(said % {"address": text})
    check_address(address)
    return Mailbox(address, one_line(name))


def addresses_in(text: str) -> list[tuple[str, str]]:
    """(name, address) of each mailbox in a list of them, as written: an address may be none. Raises AddressError
    where the list is too long or too deep to be taken apart."""
    if len(text) > _MAX_TEXT or text.count("(") > _MAX_SIGNS or text.count(":") > _MAX_SIGNS:
        raise AddressError(_("%(address)r... is too long or too nested for addresses.") % {"address": text[:60]})
    return getaddresses([text])


def check_address(address: str) -> str:
    """`address` itself if it is a valid bare local@domain (also internationalised); else AddressError."""
    if len(address) > _MAX_LENGTH:
        said = _("The address %(address)r... is longer than %(limit)d characters.")
        raise AddressError(said % {"address": address[:60], "limit": _MAX_LENGTH})
    local, _at, domain = address.rpartition("@")
    # EmailValidator knows ASCII local parts only; RFC 6531 allows any other printable character.
    ascii_local = "".join(c if c.isascii() else "x" for c in local)
    if not (_LOCAL.match(ascii_local) and address.isprintable() and _is_domain(domain)):
        raise AddressError(_("%(address)r is not a valid e-mail address.") % {"address": address})
    return address


@lru_cache(maxsize=4096)
def _is_domain(domain: str) -> bool:
    try:
        _validate(f"x@{domain}")
    except ValidationError:
        return False
    return True


def format_mailbox(address: str, name: str = "") -> str:
    """`"Name" <address>` as people and the database read it: quoted where needed, not encoded."""
    name = one_line(name)
    if not name:
        return address
    if _PHRASE.fullmatch(name):
        return f"{name} <{address}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


def domain_of(address: str) -> str:
    """The domain of an address, lower-case and in its ASCII form where it has one."""
    domain = address.rpartition("@")[2].strip().rstrip(".").lower()
    return ascii_domain(domain)


def ascii_domain(domain: str) -> str:
    """`bücher.example` as `xn--bcher-kva.example`; a domain that has no such form is returned as it is."""
    if domain.isascii() or len(max(_DOTS.split(domain), key=len)) > _MAX_LABEL:
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain


def normalise(address: str) -> str:
    """The form under which two spellings of one address are equal: lower-case, ASCII domain.

    RFC 5321 lets a local part be case-sensitive; no provider that people use makes it so.
    """
    local, _at, domain = address.strip().rpartition("@")
    return f"{local.lower()}@{ascii_domain(domain.rstrip('.').lower())}"


def wire_address(address: str) -> str:
    """`address` with its domain in ASCII, as it goes into SMTP commands and header fields."""
    local, _at, domain = address.rpartition("@")
    return f"{local}@{ascii_domain(domain)}" if domain else address


def domain_matches(domain: str, allowed: str) -> bool:
    """Whether `domain` is `allowed` itself or, where `allowed` begins with a dot, below it."""
    domain, allowed = ascii_domain(domain.lower()), ascii_domain(allowed.lower().strip())
    return domain == allowed.lstrip(".") or (allowed.startswith(".") and domain.endswith(allowed))


__all__ = [
    "Mailbox",
    "addresses_in",
    "ascii_domain",
    "check_address",
    "domain_matches",
    "domain_of",
    "format_mailbox",
    "normalise",
    "one_line",
    "parse_mailbox",
    "wire_address",
]
