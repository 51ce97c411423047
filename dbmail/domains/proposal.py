"""The changes that bring a zone's records to what is wanted. Nothing here asks anybody or changes anything."""

import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..dns import dmarc, spf
from ..dns.errors import BadSpf
from ..dns.records import Record


@dataclass(frozen=True, slots=True)
class Change:
    """All records of one name and type, before and after. An empty `old` creates them."""

    zone: str
    name: str
    type: str
    old: tuple[Record, ...]
    new: tuple[Record, ...]
    #: Why, in words for the person who agrees to it.
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to change, for a person to agree to."""

    changes: tuple[Change, ...] = ()
    #: What forbids the changes, in sentences.
    conflicts: tuple[str, ...] = ()
    #: The records that DNS should show in the end, whether they are new or were there before.
    end: tuple[Record, ...] = ()

    def __add__(self, other: "Proposal") -> "Proposal":
        return Proposal(self.changes + other.changes, self.conflicts + other.conflicts, self.end + other.end)


def propose(zone: str, old: Collection[Record], wanted: Iterable[Record], *, replace: bool = False) -> Proposal:
    """How the records `old` of a zone come to hold `wanted` too.

    `old` must have every record, of any type, at each wanted name. SPF is merged into the one record that a
    name may have (RFC 7208, 3.2). A DMARC policy that is there is kept. A text joins the others at its name;
    anything else stands alone. A record that was not made for SendGrid is replaced only if `replace` says so,
    and then the Change shows it.
    """
    result = Proposal()
    there = list(old)
    for record in dict.fromkeys(wanted):
        step = _for_one(zone, [r for r in there if r.name == record.name], record, replace)
        for change in step.changes:
            there = [r for r in there if r not in change.old] + list(change.new)
        result += step
    return Proposal(_one_a_set(result.changes), result.conflicts, result.end)


def _one_a_set(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Changes of the same name and type as one: registrars take whole sets."""
    sets: dict[tuple[str, str], Change] = {}
    for change in changes:
        before = sets.get((change.name, change.type))
        if before:
            change = dataclasses.replace(change, old=before.old, reason=f"{before.reason}; {change.reason}")
        sets[change.name, change.type] = change
    return tuple(sets.values())


def _for_one(zone: str, here: list[Record], wanted: Record, replace: bool) -> Proposal:
    """What one wanted record takes. `here`: all records at its name."""
    same = tuple(r for r in here if r.type == wanted.type)
    aliases = [r for r in here if r.type == "CNAME"]
    if wanted.type == "CNAME":
        if wanted.name == zone:
            text = f"{wanted} cannot be: the top of a zone cannot be a CNAME (RFC 1034 3.6.2). Choose a --subdomain."
            return Proposal(conflicts=(text,))
        others = [r for r in here if r.type != "CNAME"]
        if others:
            text = f"{wanted} cannot stand beside {_listed(others)} (RFC 1034 3.6.2). Remove what is there, or choose"
            return Proposal(conflicts=(f"{text} another --subdomain.",))
        return _alone(zone, same, wanted, replace)
    if aliases and dmarc.is_dmarc(wanted.value):
        return Proposal(end=tuple(aliases))  # the policy is published by whoever the alias points to
    if aliases:
        return Proposal(conflicts=(f"{wanted} cannot stand beside {_listed(aliases)} (RFC 1034 3.6.2).",))
    if wanted.type == "TXT" and spf.is_spf(wanted.value):
        return _merged_spf(zone, same, wanted)
    if wanted.type == "TXT" and dmarc.is_dmarc(wanted.value):
        return _kept_dmarc(zone, same, wanted)
    return _alone(zone, same, wanted, replace)


def _alone(zone: str, same: tuple[Record, ...], wanted: Record, replace: bool) -> Proposal:
    """`wanted` as the only record of its name and type, or among the other texts of its name."""
    if same == (wanted,):
        return Proposal(end=(wanted,))
    if wanted.type == "TXT" and "._domainkey." not in wanted.name:  # many texts may share a name, keys may not
        new = same if wanted in same else (*same, wanted)
        changes = () if new == same else (Change(zone, wanted.name, "TXT", same, new, "missing"),)
        return Proposal(changes=changes, end=(wanted,))
    reason = "missing"
    if same:
        ours = all(r.type == "CNAME" and _is_sendgrid(r.value) for r in same)
        if not (ours or replace):
            text = f"{_listed(same)} is in the way of {wanted}. Remove it, or run again with --replace."
            return Proposal(conflicts=(text,))
        reason = "of an earlier set-up with SendGrid" if ours else "replaced because of --replace"
    return Proposal(changes=(Change(zone, wanted.name, wanted.type, same, (wanted,), reason),), end=(wanted,))


def _merged_spf(zone: str, same: tuple[Record, ...], wanted: Record) -> Proposal:
    old = tuple(r for r in same if spf.is_spf(r.value))
    try:
        text = spf.merge([r.value for r in old], wanted.value)
    except BadSpf as error:
        return Proposal(conflicts=(f"{wanted.name}: {error}",))
    merged = Record(wanted.name, "TXT", text, old[0].ttl if old else wanted.ttl)
    if old == (merged,):
        return Proposal(end=old)
    reason = {0: "no SPF yet", 1: "SPF: SendGrid added"}.get(
        len(old), "SPF: one record made of several (RFC 7208 3.2)"
    )
    others = tuple(r for r in same if r not in old)
    return Proposal(changes=(Change(zone, wanted.name, "TXT", same, (*others, merged), reason),), end=(merged,))


def _kept_dmarc(zone: str, same: tuple[Record, ...], wanted: Record) -> Proposal:
    old = tuple(r for r in same if dmarc.is_dmarc(r.value))
    if len(old) > 1:
        text = f"{wanted.name} has {len(old)} DMARC records, so receivers use none (RFC 7489 6.6.3). Keep one of them."
        return Proposal(conflicts=(text,))
    if old:
        wrong = dmarc.what_is_wrong(old[0].value)
        return Proposal(end=old) if not wrong else Proposal(conflicts=(f"{old[0]}: {wrong} Correct or remove it.",))
    change = Change(zone, wanted.name, "TXT", same, (*same, wanted), "no DMARC yet")
    return Proposal(changes=(change,), end=(wanted,))


def _is_sendgrid(host: str) -> bool:
    return host == "sendgrid.net" or host.endswith(".sendgrid.net")


def _listed(records: Iterable[Record]) -> str:
    return ", ".join(str(record) for record in records)
