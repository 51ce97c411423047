"""Does our own MTA vouch for the From of a message? Authentication-Results, RFC 8601."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..addresses import ascii_domain

#: The authserv-id at the beginning of an Authentication-Results field, byte for byte in ASCII.
_NAME = re.compile(r"[ \t\r\n]*([!#-'*-:<-~]+)(?=[ \t\r\n;(]|$)")


@dataclass(frozen=True, slots=True)
class Result:
    """One method's answer, for instance dkim=pass with header.d=example.org."""

    method: str
    result: str
    properties: dict[str, str] = field(default_factory=dict)


def results(values: Iterable[str], authserv_ids: Iterable[str]) -> tuple[Result, ...]:
    """The results in those Authentication-Results fields (`values`) that carry one of `authserv_ids`.

    Our own server writes its name plainly, first, and with no version but 1. Whoever writes it in another way,
    with an invisible character or a letter that is only equal in lower case (the Kelvin sign and k), wants to get
    past a server that takes away the fields with its name. So `values` are as they came, folds and all.
    """
    ours = {name.lower() for name in authserv_ids}
    found: list[Result] = []
    for value in values:
        name = _NAME.match(value)
        if name and name[1].lower() in ours:
            head, *parts = _parts(value[name.end() :])
            if not head or head == ["1"]:
                found += filter(None, map(_result, parts))
    return tuple(found)


def _parts(value: str) -> list[list[str]]:
    """The words of `value`, divided at its semicolons. Never raises; linear.

    A comment divides words as white space does. What stands in quotes divides nothing and names nothing, since it
    may be an envelope sender's local part, which its author chose: `"; dmarc=pass header.d=example.org "@evil.test`.
    So all in it but the characters of a domain or an address is a `_` here, an escaped quote too.
    """
    text: list[str] = []
    depth = 0
    quoted = escaped = False
    for character in value:
        if escaped:
            escaped = False
            character = "_"
        elif character == "\\" and (quoted or depth):
            escaped = True
            continue
        elif character == '"' and not depth:
            quoted = not quoted
        elif quoted:
            character = character if character.isalnum() or character in "@.-+" else "_"
        elif character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            character = " "
        if not depth:
            text.append(character)
    return [_words(part) for part in "".join(text).split(";")]


def _words(part: str) -> list[str]:
    return " ".join(part.split()).replace(" =", "=").replace("= ", "=").split()


def _result(words: list[str]) -> Result | None:
    """The result in one part of a field; None where there is none, or where a property has two values."""
    pairs = [(name.lower(), value.lower()) for name, _equals, value in (word.partition("=") for word in words)]
    if not pairs or not pairs[0][1]:
        return None
    method, _slash, version = pairs[0][0].partition("/")
    properties = {(name, value.strip('"')) for name, value in pairs[1:] if "." in name}
    if version not in ("", "1") or len(dict(properties)) < len(properties):
        return None
    return Result(method, pairs[0][1], dict(properties))


def vouched_by(domain: str, found: Iterable[Result]) -> str:
    """The method that proves that a message's From is of `domain`, or "" where none does.

    DMARC for that domain, or a DKIM signature or SPF pass of a domain aligned with it.
    """
    for result in found:
        if result.result != "pass":
            continue
        properties = result.properties
        if result.method == "dmarc":
            named = properties.get("header.from", "")
            if named.rpartition("@")[2] == domain:
                return "dmarc"
        elif result.method == "dkim":
            signer = properties.get("header.d") or properties.get("header.i", "")
            if aligned(signer.rpartition("@")[2], domain):
                return "dkim"
        elif result.method == "spf" and aligned(properties.get("smtp.mailfrom", "").rpartition("@")[2], domain):
            return "spf"
    return ""


def aligned(signer: str, domain: str) -> bool:
    """Whether `signer` is `domain` or a domain above it (never a top-level domain)."""
    signer, domain = ascii_domain(signer.rstrip(".").lower()), ascii_domain(domain.lower())
    return bool(signer) and (signer == domain or ("." in signer and domain.endswith("." + signer)))
