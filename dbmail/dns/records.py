"""DNS records as values, and the text forms that they have in zone files."""

import re
from dataclasses import dataclass, field

from .errors import NotConfigured

#: The most bytes in one string of a TXT record (RFC 1035, 3.3).
_LONGEST_STRING = 255
#: One string of a TXT value in a zone file, in quotes or without.
_STRING = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))', re.DOTALL)
#: `\123` or `\"` in such a string.
_ESCAPE = re.compile(r"\\(\d{3}|.)", re.DOTALL)
#: One label of a domain name, in lower case.
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
#: One part of a tag list: `p=none`.
_TAG = re.compile(r"\s*([A-Za-z]+)\s*=\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Record:
    """One DNS record. Two are equal when they say the same, whatever their TTL and spelling."""

    #: The full name, in lower case, without the last dot.
    name: str
    #: "CNAME", "TXT", "MX", ...
    type: str
    #: CNAME: a host name, written as `name` is. TXT: the text itself, not quoted. MX: "10 host".
    value: str
    #: Seconds for which resolvers keep it; 0 if unknown.
    ttl: int = field(default=0, compare=False)
    #: The value as the registrar spells it. Other records of the same set are sent back in this spelling.
    raw: str = field(default="", compare=False)

    def __str__(self) -> str:
        value = quoted(self.value) if self.type == "TXT" else self.value
        return f"{self.name} {self.type} {value}"


def quoted(text: str) -> str:
    """`v=spf1 -all` as `"v=spf1 -all"`. A long text becomes several strings, which readers join (RFC 7208, 3.3)."""
    pieces = [text[i : i + _LONGEST_STRING] for i in range(0, len(text), _LONGEST_STRING)] or [""]
    return " ".join(f'"{"".join(_escaped(c) for c in piece)}"' for piece in pieces)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if " " <= character <= "~" else f"\\{ord(character):03}"


def unquoted(value: str, *, base: int = 10) -> str:
    """The text of `"v=spf1 " "-all"`, or of a value without quotes.

    `base` is the base of the number in an escape like `\\123`: 8 at Route 53, 10 everywhere else.
    """
    if not value.lstrip().startswith('"'):
        return value.strip()
    strings = (match[1] if match[1] is not None else match[2] for match in _STRING.finditer(value))
    return "".join(_ESCAPE.sub(lambda m: _unescaped(m[1], base), string) for string in strings)


def _unescaped(escape: str, base: int) -> str:
    try:
        return chr(int(escape, base) & 0xFF) if len(escape) == 3 else escape
    except ValueError:  # \189 where octal is due
        return escape


def tags(text: str) -> dict[str, str]:
    """The tags of a DKIM or DMARC record, by name in lower case (RFC 6376, 3.2). What is not a tag is left out."""
    found = (_TAG.fullmatch(part) for part in text.split(";"))
    return {match[1].lower(): match[2] for match in found if match}


def domain_name(text: str) -> str:
    """A domain as DNS has it: in lower case, ASCII, without the last dot. Raises NotConfigured for anything else."""
    name = text.strip().rstrip(".").lower()
    try:
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    labels = name.split(".")
    if len(labels) < 2 or len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise NotConfigured(f"{text!r} is not a domain name; write it like example.org or news.example.org.")
    return name


def parents(name: str) -> list[str]:
    """`name` and the domains above it, down to two labels: a.example.org, example.org."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]
