"""A domain from nothing to green: first `set_up` for each domain, then `finish` once DNS has had its time.

Every step looks first and changes only what is missing, so that a run after a crash, or beside another run,
goes on where things stand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from ..dns import dmarc, spf
from ..dns.client import Dns
from ..dns.errors import AccessDenied, BadSpf, ChangedMeanwhile, DnsUnavailable, RecordConflict, ZoneNotOurs
from ..dns.records import Change, Plan, Record, parents, plan
from .registrar import Registrar
from .sendgrid import Entry, SendGrid

_REPLANS = 4  # how often somebody else may change the same records while we plan


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person wants; the defaults suit a domain that nothing was done for."""

    #: First label of the return path and of the links. "" leaves the choice to SendGrid.
    subdomain: str = ""
    link_subdomain: str = ""
    #: Whether links in mail get the domain's name (link branding).
    links: bool = True
    #: What SPF must include; "" leaves SPF alone.
    spf_include: str = "sendgrid.net"
    #: The DMARC record for a domain that has none; "" leaves DMARC alone.
    dmarc: str = "v=DMARC1; p=none"
    #: Whether records that are in the way and were not made for SendGrid are replaced.
    replace: bool = False
    #: Seconds that resolvers keep a new record.
    ttl: int = 3600
    #: Whether everything is shown and nothing changed.
    dry_run: bool = False


class Person(Protocol):
    """Whoever runs this."""

    def say(self, text: str) -> None: ...

    def agrees(self, question: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a domain stands: what SendGrid made for it, what DNS should say, what is `left` to do in words.

    `notes` are advice that nothing waits for.
    """

    domain: str
    entries: tuple[Entry, ...] = ()
    end: tuple[Record, ...] = ()
    changed: bool = False
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def set_up(
    domain: str, wishes: Wishes, *, sendgrid: SendGrid, registrar: Registrar, dns: Dns, person: Person
) -> Standing:
    """Makes what is missing at SendGrid and at the registrar, each after it was shown and agreed to.

    What can be known to fail (the zone, the key, a conflict, SPF) fails before anything is changed.
    Raises DomainsError.
    """
    registrar.zone_for(domain)
    own, notes = _own_records(domain, wishes, registrar, dns)
    _checked(_plan(own, registrar, wishes), domain, dns)
    entries, missing = _entries(domain, wishes, sendgrid)
    for kind, subdomain in missing:
        what = "authenticated domain" if kind == "domains" else "link branding"
        person.say(f"  + SendGrid: {what} for {subdomain + '.' if subdomain else ''}{domain}")
    if missing and not wishes.dry_run:
        if not person.agrees(f"Create {'this' if len(missing) == 1 else 'these'} at SendGrid?"):
            return Standing(domain, entries, left=("Nothing was created at SendGrid: you said no.",), notes=notes)
        for kind, subdomain in missing:
            entry = sendgrid.create(kind, domain, subdomain)
            person.say(f"  SendGrid: {entry}")
            entries += (entry,)
    elif missing:
        person.say("    SendGrid names the CNAMEs for DKIM, return path and links when it creates them.")
    wanted = _wanted(domain, entries, own, wishes)
    made, left = _settle(wanted, domain, wishes, registrar, dns, person)
    notes += _spf_note(made, domain, dns)
    return Standing(domain, entries, made.end, bool(missing or made.changes), left, notes)


def finish(standing: Standing, seconds: float, *, sendgrid: SendGrid, dns: Dns, person: Person) -> Standing:
    """Waits until DNS answers as it should, at most `seconds`, and has SendGrid validate. Raises DomainsError.

    What SendGrid holds valid is not validated again unless something was changed.
    """
    if not standing.end:  # nothing was agreed to
        return standing
    waiting: list[str] = []

    def tell(missing: list[str]) -> None:
        if not waiting:
            person.say(f"  waiting for DNS, at most {seconds:.0f} s ...")
        waiting[:] = missing

    missing = dns.wait_for(standing.end, seconds, tell=tell)
    if missing:
        late = tuple(f"not in DNS yet: {text}" for text in missing)
        hint = "Run this again later. If it stays so, check that the domain is delegated to the registrar's servers."
        return replace(standing, left=(*standing.left, *late, hint))
    left = list(standing.left)
    for entry in standing.entries:
        if entry.valid and not standing.changed:
            continue
        verdict = sendgrid.validate(entry)
        person.say(f"  SendGrid: {entry} is {'valid' if verdict.valid else 'not valid yet'}")
        if not verdict.valid:
            left += [f"SendGrid does not accept {reason}" for reason in verdict.reasons or (f"the {entry}",)]
    if len(left) > len(standing.left):
        left.append("Run this again later: SendGrid may see DNS with a delay.")
    return replace(standing, left=tuple(left))


def _own_records(domain: str, wishes: Wishes, registrar: Registrar, dns: Dns) -> tuple[list[Record], tuple[str, ...]]:
    """SPF and DMARC, which SendGrid does not ask for and receivers do; with notes about them."""
    records, notes = [], []
    if wishes.spf_include:
        records.append(Record(domain, "TXT", f"v=spf1 include:{wishes.spf_include} ~all", wishes.ttl))
    if wishes.dmarc:
        above = _policy_above(domain, registrar, dns)
        own_name = f"_dmarc.{domain}"
        own = registrar.records(registrar.zone_for(own_name), own_name)
        if not above or any(r.type == "CNAME" or dmarc.is_dmarc(r.value) for r in own):
            records.append(Record(own_name, "TXT", wishes.dmarc, wishes.ttl))
            there = next((r.value for r in own if dmarc.is_dmarc(r.value)), "")
            if there and dmarc.tags(there).get("p", "").lower() != dmarc.tags(wishes.dmarc)["p"]:
                notes.append(f"DMARC is kept as it is: {there}")
        else:  # a policy of its own, with p=none, would weaken it
            notes.append(f"DMARC: {domain} is under the policy of {above} (RFC 7489 6.6.3).")
        if not own and not above and (foreign := dmarc.foreign_report_domains(wishes.dmarc, domain)):
            name = f"{domain}._report._dmarc.{foreign[0]}"
            notes.append(f'DMARC reports go to {foreign[0]} only if {name} TXT "v=DMARC1" is there (RFC 7489 7.1).')
    return records, tuple(notes)


def _policy_above(domain: str, registrar: Registrar, dns: Dns) -> str:
    """The name of the DMARC policy of a domain above this one; "" if there is none."""
    for parent in parents(domain)[1:]:
        name = f"_dmarc.{parent}"
        try:
            found = registrar.records(registrar.zone_for(name), name)
        except (ZoneNotOurs, AccessDenied):
            found = [Record(name, "TXT", text) for text in dns.txt(name)]
        if any(record.type == "CNAME" or dmarc.is_dmarc(record.value) for record in found):
            return name
    return ""


def _entries(domain: str, wishes: Wishes, sendgrid: SendGrid) -> tuple[tuple[Entry, ...], list[tuple[str, str]]]:
    """What the account has for the domain, and what it lacks as (kind, subdomain)."""
    kinds = [("domains", wishes.subdomain)] + ([("links", wishes.link_subdomain)] if wishes.links else [])
    found = {kind: sendgrid.find(kind, domain, subdomain) for kind, subdomain in kinds}
    missing = [(kind, subdomain) for kind, subdomain in kinds if not found[kind]]
    return tuple(entry for entry in found.values() if entry), missing


def _wanted(domain: str, entries: Iterable[Entry], own: list[Record], wishes: Wishes) -> list[Record]:
    """SendGrid's records and ours. SendGrid's own SPF for the domain takes the place of ours, with ~all:
    that nobody else sends for the domain is not SendGrid's to say.
    """
    given = [replace(record, ttl=wishes.ttl) for entry in entries for record in entry.records]
    theirs = [r for r in given if r.name == domain and r.type == "TXT" and spf.is_spf(r.value)]
    given = [r for r in given if r not in theirs]
    if theirs and wishes.spf_include:
        soft = replace(theirs[0], value=theirs[0].value.removesuffix("-all") + "~all")
        given.append(soft if theirs[0].value.endswith("-all") else theirs[0])
        own = [r for r in own if not spf.is_spf(r.value)]
    return given + own


def _plan(wanted: Iterable[Record], registrar: Registrar, wishes: Wishes) -> Plan:
    """The plan over all zones that the names lie in: a name may be delegated to a zone of its own."""
    zones: dict[str, list[Record]] = {}
    for record in wanted:
        zones.setdefault(registrar.zone_for(record.name), []).append(record)
    result = Plan()
    for zone, records in zones.items():
        old = [r for name in dict.fromkeys(record.name for record in records) for r in registrar.records(zone, name)]
        result += plan(zone, old, records, replace=wishes.replace)
    return result


def _checked(made: Plan, domain: str, dns: Dns) -> Plan:
    """`made` itself. Raises RecordConflict, or BadSpf where a new SPF record would need too many look-ups."""
    if made.conflicts:
        raise RecordConflict("\n".join(made.conflicts))
    for change in made.changes:
        for record in change.new:
            if record not in change.old and spf.is_spf(record.value):
                counted = spf.lookups(record.value, dns.txt)
                total = sum(n for _, n in counted)
                if total > spf.MAX_LOOKUPS:
                    listed = ", ".join(f"{text} {n}" for text, n in counted)
                    raise BadSpf(
                        f"{record} would need {total} DNS look-ups, receivers stop at {spf.MAX_LOOKUPS} "
                        f"(RFC 7208 4.6.4): {listed}. Take some out, or leave SPF alone with --spf none."
                    )
    return made


def _spf_note(made: Plan, domain: str, dns: Dns) -> tuple[str, ...]:
    """Advice about an SPF record that was left as it was, though it needs too many look-ups."""
    notes = []
    for record in made.end:
        if record.name == domain and spf.is_spf(record.value) and not any(record in c.new for c in made.changes):
            try:
                total = sum(n for _, n in spf.lookups(record.value, dns.txt))
            except BadSpf as error:
                notes.append(f"SPF does not work: {error}")
                continue
            except DnsUnavailable:
                continue  # `finish` will say so of the records themselves
            if total > spf.MAX_LOOKUPS:
                notes.append(f"SPF does not work: it needs {total} look-ups, receivers stop at {spf.MAX_LOOKUPS}.")
    return tuple(notes)


def _settle(
    wanted: list[Record], domain: str, wishes: Wishes, registrar: Registrar, dns: Dns, person: Person
) -> tuple[Plan, tuple[str, ...]]:
    """Brings the registrar's records to `wanted`; the plan that was carried out, and what is left."""
    agreed: set[Change] = set()
    for _ in range(_REPLANS):
        made = _checked(_plan(wanted, registrar, wishes), domain, dns)
        if not made.changes:
            if not agreed:
                person.say("  DNS records: nothing to change.")
            return made, ()
        if not agreed.issuperset(made.changes):
            person.say("\n".join(line for change in made.changes for line in show(change)))
            if wishes.dry_run:
                return made, ()
            if not registrar.posts:
                return made, ("Enter the records above at your registrar, then run this again.",)
            count = len(made.changes)
            if not person.agrees(
                f"Make {'this change' if count == 1 else f'these {count} changes'} at {registrar.name}?"
            ):
                return Plan(), ("The DNS records were not changed: you said no.",)
            agreed.update(made.changes)
        try:
            registrar.apply(made.changes)
        except ChangedMeanwhile as error:
            person.say(f"  {error} Looking again.")
            refused = error
            continue
        person.say(f"  {registrar.name}: done.")
        return made, ()
    raise refused


def show(change: Change) -> list[str]:
    """A change as lines: `-` what goes, `+` what comes."""
    gone = [f"  - {record}" for record in change.old if record not in change.new]
    new = [f"  + {record}" for record in change.new if record not in change.old]
    return [*gone, *new[:-1], f"{new[-1]}   ({change.reason})"] if new else gone
