"""Does our own MTA vouch for the From of a message? Authentication-Results, RFC 8601."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..addresses import ascii_domain


@dataclass(frozen=True, slots=True)
class Result:
    """One method's answer, for instance dkim=pass with header.d=example.org."""

    method: str
    result: str
    properties: dict[str, str] = field(default_factory=dict)


def results(values: Iterable[str], authserv_ids: Iterable[str]) -> tuple[Result, ...]:
    """What the fields say that bear one of our own names; the others anybody can have written."""
    ours = {name.lower() for name in authserv_ids}
    found: list[Result] = []
    for value in values:
        head, *parts = _parts(value)
        words = head.split()
        if words and words[0].lower() in ours:
            found += filter(None, map(_result, parts))
    return tuple(found)


def _parts(value: str) -> list[str]:
    """`value` at its semicolons, comments left out. What stands in quotes or in a comment divides nothing:
    an envelope sender may have a quoted local part, `"; dmarc=pass"@example.net`. Never raises; linear."""
    parts: list[list[str]] = [[]]
    depth = 0
    quoted = escaped = False
    for character in value:
        if escaped:
            escaped = False
        elif character == "\\" and (quoted or depth):
            escaped = True
            continue
        elif character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            continue
        elif character == ";" and not quoted and not depth:
            parts.append([])
            continue
        if not depth:
            parts[-1].append("_" if quoted and character in "; =" else character)
    return ["".join(part) for part in parts]


def _result(part: str) -> Result | None:
    words = " ".join(part.split()).replace(" =", "=").replace("= ", "=").split()
    pairs = [(name.lower(), value.strip('"').lower()) for name, _equals, value in (w.partition("=") for w in words)]
    if not pairs or not pairs[0][1]:
        return None
    method = pairs[0][0].partition("/")[0].strip()
    return Result(method, pairs[0][1], {name: value for name, value in reversed(pairs[1:]) if "." in name})


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
    """Whether `signer` is `domain` or one above it (never a top-level domain)."""
    signer, domain = ascii_domain(signer.rstrip(".").lower()), ascii_domain(domain.lower())
    return bool(signer) and (signer == domain or ("." in signer and domain.endswith("." + signer)))
