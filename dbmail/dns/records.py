"""DNS records as values, their TXT values as text, and the changes that bring what is there to what is wanted."""

import dataclasses
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from . import dmarc, spf
from .errors import BadSpf, NotConfigured

_STRING = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))', re.DOTALL)
_ESCAPE = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_LONGEST_STRING = 255  # bytes of one character-string, RFC 1035 3.3


def quoted(text: str) -> str:
    """`v=spf1 -all` as `"v=spf1 -all"`; a long text as several strings, which readers join (RFC 7208 3.3)."""
    pieces = [text[i : i + _LONGEST_STRING] for i in range(0, len(text), _LONGEST_STRING)] or [""]
    return " ".join(f'"{"".join(_escaped(c) for c in piece)}"' for piece in pieces)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if " " <= character <= "~" else f"\\{ord(character):03}"


def unquoted(value: str, *, base: int = 10) -> str:
    """The text in `"v=spf1 " "-all"`, or in an unquoted value. `base` is that of \\123: 8 at Route 53."""
    if not value.lstrip().startswith('"'):
        return value.strip()
    strings = (match[1] if match[1] is not None else match[2] for match in _STRING.finditer(value))
    return "".join(_ESCAPE.sub(lambda m: _character(m[1], base), string) for string in strings)


def _character(escape: str, base: int) -> str:
    try:
        return chr(int(escape, base) & 0xFF) if len(escape) == 3 else escape
    except ValueError:  # \189 where octal is due
        return escape


_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Record:
    """One DNS record. Two are equal when they say the same, whatever their TTL and spelling."""

    #: Full name, lower-case, without the last dot.
    name: str
    #: "CNAME", "TXT", "MX", ...
    type: str
    #: A host name as in `name` for CNAME, the text itself (not quoted) for TXT, "10 host" for MX.
    value: str
    #: Seconds that resolvers keep it; 0 where it is not known.
    ttl: int = field(default=0, compare=False)
    #: The value as the registrar spells it, so that a neighbour in the same set is given back untouched.
    raw: str = field(default="", compare=False)

    def __str__(self) -> str:
        value = quoted(self.value) if self.type == "TXT" else self.value
        return f"{self.name} {self.type} {value}"


@dataclass(frozen=True, slots=True)
class Change:
    """All records of one name and type, before and after. An empty `old` creates them."""

    zone: str
    name: str
    type: str
    old: tuple[Record, ...]
    new: tuple[Record, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` to make, `conflicts` that forbid them (sentences), and what DNS should say in the `end`."""

    changes: tuple[Change, ...] = ()
    conflicts: tuple[str, ...] = ()
    end: tuple[Record, ...] = ()

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(self.changes + other.changes, self.conflicts + other.conflicts, self.end + other.end)


def plan(zone: str, old: Collection[Record], wanted: Iterable[Record], *, replace: bool = False) -> Plan:
    """How to bring the records `old` of a zone to hold `wanted` too. Pure: asks nobody, changes nothing.

    `old` must hold every record, of any type, at each wanted name. SPF is merged into the one record that a
    name may have (RFC 7208 3.2), a DMARC policy that is there is kept, anything else stands alone at its name.
    What was not made for SendGrid is replaced only where `replace` says so, and then the Change shows it.
    """
    result = Plan()
    there = list(old)
    for record in dict.fromkeys(wanted):
        step = _plan_one(zone, [r for r in there if r.name == record.name], record, replace)
        for change in step.changes:
            there = [r for r in there if r not in change.old] + list(change.new)
        result += step
    return Plan(_one_a_set(result.changes), result.conflicts, result.end)


def _one_a_set(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Changes of the same name and type as one: registrars take whole sets."""
    sets: dict[tuple[str, str], Change] = {}
    for change in changes:
        before = sets.get((change.name, change.type))
        if before:
            change = dataclasses.replace(change, old=before.old, reason=f"{before.reason}; {change.reason}")
        sets[change.name, change.type] = change
    return tuple(sets.values())


def _plan_one(zone: str, here: list[Record], wanted: Record, replace: bool) -> Plan:
    same = tuple(r for r in here if r.type == wanted.type)
    aliases = [r for r in here if r.type == "CNAME"]
    if wanted.type == "CNAME":
        if wanted.name == zone:
            text = f"{wanted} cannot be: the top of a zone cannot be a CNAME (RFC 1034 3.6.2). Choose a --subdomain."
            return Plan(conflicts=(text,))
        others = [r for r in here if r.type != "CNAME"]
        if others:
            text = f"{wanted} cannot stand beside {_listed(others)} (RFC 1034 3.6.2). Remove what is there, or choose"
            return Plan(conflicts=(f"{text} another --subdomain.",))
        return _alone(zone, same, wanted, replace)
    if aliases and dmarc.is_dmarc(wanted.value):
        return Plan(end=tuple(aliases))  # the policy is published by whoever the alias points to
    if aliases:
        return Plan(conflicts=(f"{wanted} cannot stand beside {_listed(aliases)} (RFC 1034 3.6.2).",))
    if wanted.type == "TXT" and spf.is_spf(wanted.value):
        return _merged_spf(zone, same, wanted)
    if wanted.type == "TXT" and dmarc.is_dmarc(wanted.value):
        return _kept_dmarc(zone, same, wanted)
    return _alone(zone, same, wanted, replace)


def _alone(zone: str, same: tuple[Record, ...], wanted: Record, replace: bool) -> Plan:
    """`wanted` as the only record of its name and type."""
    if same == (wanted,):
        return Plan(end=(wanted,))
    if wanted.type == "TXT" and "._domainkey." not in wanted.name:  # many texts may share a name, keys may not
        new = same if wanted in same else (*same, wanted)
        changes = () if new == same else (Change(zone, wanted.name, "TXT", same, new, "missing"),)
        return Plan(changes=changes, end=(wanted,))
    reason = "missing"
    if same:
        ours = all(r.type == "CNAME" and _is_sendgrid(r.value) for r in same)
        if not (ours or replace):
            text = f"{_listed(same)} is in the way of {wanted}. Remove it, or run again with --replace."
            return Plan(conflicts=(text,))
        reason = "of an earlier set-up with SendGrid" if ours else "replaced because of --replace"
    return Plan(changes=(Change(zone, wanted.name, wanted.type, same, (wanted,), reason),), end=(wanted,))


def _merged_spf(zone: str, same: tuple[Record, ...], wanted: Record) -> Plan:
    old = tuple(r for r in same if spf.is_spf(r.value))
    try:
        text = spf.merge([r.value for r in old], wanted.value)
    except BadSpf as error:
        return Plan(conflicts=(f"{wanted.name}: {error}",))
    merged = Record(wanted.name, "TXT", text, old[0].ttl if old else wanted.ttl)
    if old == (merged,):
        return Plan(end=old)
    reason = {0: "no SPF yet", 1: "SPF: SendGrid added"}.get(
        len(old), "SPF: one record made of several (RFC 7208 3.2)"
    )
    others = tuple(r for r in same if r not in old)
    return Plan(changes=(Change(zone, wanted.name, "TXT", same, (*others, merged), reason),), end=(merged,))


def _kept_dmarc(zone: str, same: tuple[Record, ...], wanted: Record) -> Plan:
    old = tuple(r for r in same if dmarc.is_dmarc(r.value))
    if len(old) > 1:
        text = f"{wanted.name} has {len(old)} DMARC records, so receivers use none (RFC 7489 6.6.3). Keep one of them."
        return Plan(conflicts=(text,))
    if old:
        wrong = dmarc.what_is_wrong(old[0].value)
        return Plan(end=old) if not wrong else Plan(conflicts=(f"{old[0]}: {wrong} Correct or remove it.",))
    change = Change(zone, wanted.name, "TXT", same, (*same, wanted), "no DMARC yet")
    return Plan(changes=(change,), end=(wanted,))


def _is_sendgrid(host: str) -> bool:
    return host == "sendgrid.net" or host.endswith(".sendgrid.net")


def _listed(records: Iterable[Record]) -> str:
    return ", ".join(str(record) for record in records)


def domain_name(text: str) -> str:
    """A domain as it stands in DNS: lower-case, ASCII, no last dot. Raises NotConfigured for anything else."""
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
