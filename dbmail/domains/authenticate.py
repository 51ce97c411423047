"""A domain from nothing to authenticated: first `set_up` for each domain, then `finish`, once DNS has had its time.

Each step looks first and changes only what is missing, so that a run after a crash, or beside another run, goes on
from where things stand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from ..dns import dmarc, spf
from ..dns.client import Dns
from ..dns.errors import BadSpf, DnsUnavailable
from ..dns.records import Record, parents, tags
from .errors import AccessDenied, ChangedMeanwhile, RecordConflict, ZoneNotOurs
from .proposal import Change, Proposal, propose
from .registrar import Registrar
from .sendgrid import Authentication, SendGrid

#: How often we look again because somebody else changed the same records meanwhile.
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person wants. The defaults suit a domain for which nothing was done yet."""

    #: The first label of the return path; "" leaves the choice to SendGrid.
    subdomain: str = ""
    #: The first label of the links; "" leaves the choice to SendGrid.
    link_subdomain: str = ""
    #: Whether links in mail get the domain's name (link branding).
    links: bool = True
    #: What SPF must include; "" leaves SPF alone.
    spf_include: str = "sendgrid.net"
    #: The DMARC record for a domain that has none; "" leaves DMARC alone.
    dmarc: str = "v=DMARC1; p=none"
    #: Whether records that are in the way are replaced even if they were not made for SendGrid.
    replace: bool = False
    #: Seconds for which resolvers keep a new record.
    ttl: int = 3600
    #: Whether everything is shown and nothing changed.
    dry_run: bool = False


class Person(Protocol):
    """Whoever runs this."""

    def say(self, text: str) -> None:
        """Show one or more lines."""

    def agrees(self, question: str) -> bool:
        """Ask a question; whether the answer is yes."""


@dataclass(frozen=True, slots=True)
class DomainStatus:
    """How far a domain has come."""

    domain: str
    #: What SendGrid has for it.
    authentications: tuple[Authentication, ...] = ()
    #: The records that DNS should show in the end.
    end: tuple[Record, ...] = ()
    #: Whether this run changed anything, or would have if it were no dry run.
    changed: bool = False
    #: What is left to do, in sentences.
    left: tuple[str, ...] = ()
    #: Advice that nothing waits for, in sentences.
    notes: tuple[str, ...] = ()


def set_up(
    domain: str, wishes: Wishes, *, sendgrid: SendGrid, registrar: Registrar, dns: Dns, person: Person
) -> DomainStatus:
    """Make what is missing at SendGrid and at the registrar, each after it was shown and agreed to.

    What can be known to fail (the zone, the key, a conflict, SPF) fails before anything is changed.
    Raises DomainsError.
    """
    registrar.zone_of(domain)
    own, notes = _own_records(domain, wishes, registrar, dns)
    _checked(_proposed(own, registrar, wishes), dns)
    found, missing = _at_sendgrid(domain, wishes, sendgrid)
    for kind, subdomain in missing:
        what = "authenticated domain" if kind == "domains" else "link branding"
        person.say(f"  + SendGrid: {what} for {subdomain + '.' if subdomain else ''}{domain}")
    if missing and not wishes.dry_run:
        if not person.agrees(f"Create {'this' if len(missing) == 1 else 'these'} at SendGrid?"):
            return DomainStatus(domain, found, left=("Nothing was created at SendGrid: you said no.",), notes=notes)
        for kind, subdomain in missing:
            created = sendgrid.create(kind, domain, subdomain)
            person.say(f"  SendGrid: {created}")
            found += (created,)
    elif missing:
        person.say("    SendGrid names the CNAMEs for DKIM, return path and links when it creates them.")
    wanted = _wanted(domain, found, own, wishes)
    done, left = _settle(wanted, wishes, registrar, dns, person)
    notes += _spf_notes(done, domain, dns)
    return DomainStatus(domain, found, done.end, bool(missing or done.changes), left, notes)


def finish(status: DomainStatus, seconds: float, *, sendgrid: SendGrid, dns: Dns, person: Person) -> DomainStatus:
    """Wait until DNS shows the records, at most `seconds`, then have SendGrid validate. Raises DomainsError.

    What SendGrid holds valid is not validated again unless something was changed.
    """
    if not status.end:  # nothing was agreed to
        return status
    waiting: list[str] = []

    def tell(missing: list[str]) -> None:
        if not waiting:
            person.say(f"  waiting for DNS, at most {seconds:.0f} s ...")
        waiting[:] = missing

    missing = dns.wait_for(status.end, seconds, tell=tell)
    if missing:
        late = tuple(f"not in DNS yet: {text}" for text in missing)
        hint = "Run this again later. If it stays so, check that the domain is delegated to the registrar's servers."
        return replace(status, left=(*status.left, *late, hint))
    left = list(status.left)
    for each in status.authentications:
        if each.valid and not status.changed:
            continue
        validation = sendgrid.validate(each)
        person.say(f"  SendGrid: {each} is {'valid' if validation.valid else 'not valid yet'}")
        if not validation.valid:
            left += [f"SendGrid does not accept {reason}" for reason in validation.reasons or (f"the {each}",)]
    if len(left) > len(status.left):
        left.append("Run this again later: SendGrid may see DNS with a delay.")
    return replace(status, left=tuple(left))


def _own_records(domain: str, wishes: Wishes, registrar: Registrar, dns: Dns) -> tuple[list[Record], tuple[str, ...]]:
    """SPF and DMARC, which receivers ask for and SendGrid does not; with notes about them."""
    records, notes = [], []
    if wishes.spf_include:
        records.append(Record(domain, "TXT", f"v=spf1 include:{wishes.spf_include} ~all", wishes.ttl))
    if wishes.dmarc:
        above = _policy_above(domain, registrar, dns)
        own_name = f"_dmarc.{domain}"
        own = registrar.records(registrar.zone_of(own_name), own_name)
        if not above or any(r.type == "CNAME" or dmarc.is_dmarc(r.value) for r in own):
            records.append(Record(own_name, "TXT", wishes.dmarc, wishes.ttl))
            there = next((r.value for r in own if dmarc.is_dmarc(r.value)), "")
            if there and tags(there).get("p", "").lower() != tags(wishes.dmarc)["p"]:
                notes.append(f"DMARC is kept as it is: {there}")
        else:  # a policy of its own, with p=none, would be weaker
            notes.append(f"DMARC: {domain} is under the policy of {above} (RFC 7489 6.6.3).")
        if not own and not above and (foreign := dmarc.foreign_report_domains(wishes.dmarc, domain)):
            name = f"{domain}._report._dmarc.{foreign[0]}"
            notes.append(f'DMARC reports go to {foreign[0]} only if {name} TXT "v=DMARC1" is there (RFC 7489 7.1).')
    return records, tuple(notes)


def _policy_above(domain: str, registrar: Registrar, dns: Dns) -> str:
    """The name at which a domain above this one has its DMARC policy; "" if none has."""
    for parent in parents(domain)[1:]:
        name = f"_dmarc.{parent}"
        try:
            found = registrar.records(registrar.zone_of(name), name)
        except (ZoneNotOurs, AccessDenied):
            found = [Record(name, "TXT", text) for text in dns.texts(name)]
        if any(record.type == "CNAME" or dmarc.is_dmarc(record.value) for record in found):
            return name
    return ""


def _at_sendgrid(
    domain: str, wishes: Wishes, sendgrid: SendGrid
) -> tuple[tuple[Authentication, ...], list[tuple[str, str]]]:
    """What the account has for the domain, and what it lacks as (kind, subdomain)."""
    kinds = [("domains", wishes.subdomain)] + ([("links", wishes.link_subdomain)] if wishes.links else [])
    found = {kind: sendgrid.find(kind, domain, subdomain) for kind, subdomain in kinds}
    missing = [(kind, subdomain) for kind, subdomain in kinds if not found[kind]]
    return tuple(each for each in found.values() if each), missing


def _wanted(domain: str, authentications: Iterable[Authentication], own: list[Record], wishes: Wishes) -> list[Record]:
    """SendGrid's records and our own.

    Where SendGrid names an SPF record for the domain itself, it takes the place of ours, but ends in ~all: that
    nobody else sends for the domain is not SendGrid's to say.
    """
    given = [replace(record, ttl=wishes.ttl) for each in authentications for record in each.records]
    theirs = [r for r in given if r.name == domain and r.type == "TXT" and spf.is_spf(r.value)]
    given = [r for r in given if r not in theirs]
    if theirs and wishes.spf_include:
        soft = replace(theirs[0], value=theirs[0].value.removesuffix("-all") + "~all")
        given.append(soft if theirs[0].value.endswith("-all") else theirs[0])
        own = [r for r in own if not spf.is_spf(r.value)]
    return given + own


def _proposed(wanted: Iterable[Record], registrar: Registrar, wishes: Wishes) -> Proposal:
    """The proposal over all zones that the names lie in: a name may be delegated to a zone of its own."""
    zones: dict[str, list[Record]] = {}
    for record in wanted:
        zones.setdefault(registrar.zone_of(record.name), []).append(record)
    result = Proposal()
    for zone, records in zones.items():
        old = [r for name in dict.fromkeys(record.name for record in records) for r in registrar.records(zone, name)]
        result += propose(zone, old, records, replace=wishes.replace)
    return result


def _checked(proposal: Proposal, dns: Dns) -> Proposal:
    """The proposal itself. Raises RecordConflict, or BadSpf where a new SPF record would need too many look-ups."""
    if proposal.conflicts:
        raise RecordConflict("\n".join(proposal.conflicts))
    for change in proposal.changes:
        for record in change.new:
            if record not in change.old and spf.is_spf(record.value):
                counted = spf.lookups(record.value, dns.texts)
                total = sum(n for _, n in counted)
                if total > spf.MAX_LOOKUPS:
                    listed = ", ".join(f"{text} {n}" for text, n in counted)
                    raise BadSpf(
                        f"{record} would need {total} DNS look-ups, receivers stop at {spf.MAX_LOOKUPS} "
                        f"(RFC 7208 4.6.4): {listed}. Take some out, or leave SPF alone with --spf none."
                    )
    return proposal


def _spf_notes(done: Proposal, domain: str, dns: Dns) -> tuple[str, ...]:
    """Advice about an SPF record that was left as it was although it does not work."""
    notes = []
    for record in done.end:
        if record.name == domain and spf.is_spf(record.value) and not any(record in c.new for c in done.changes):
            try:
                total = sum(n for _, n in spf.lookups(record.value, dns.texts))
            except BadSpf as error:
                notes.append(f"SPF does not work: {error}")
                continue
            except DnsUnavailable:
                continue  # `finish` will say so of the records themselves
            if total > spf.MAX_LOOKUPS:
                notes.append(f"SPF does not work: it needs {total} look-ups, receivers stop at {spf.MAX_LOOKUPS}.")
    return tuple(notes)


def _settle(
    wanted: list[Record], wishes: Wishes, registrar: Registrar, dns: Dns, person: Person
) -> tuple[Proposal, tuple[str, ...]]:
    """Bring the registrar's records to `wanted`: the proposal that was carried out or shown, and what is left to do.

    The person is asked again only if what they agreed to has changed meanwhile.
    """
    agreed: set[Change] = set()
    for _ in range(_TRIES):
        proposal = _checked(_proposed(wanted, registrar, wishes), dns)
        if not proposal.changes:
            if not agreed:
                person.say("  DNS records: nothing to change.")
            return proposal, ()
        if not agreed.issuperset(proposal.changes):
            person.say("\n".join(line for change in proposal.changes for line in _shown(change)))
            if wishes.dry_run:
                return proposal, ()
            if not registrar.posts:
                return proposal, ("Enter the records above at your registrar, then run this again.",)
            count = len(proposal.changes)
            if not person.agrees(
                f"Make {'this change' if count == 1 else f'these {count} changes'} at {registrar.name}?"
            ):
                return Proposal(), ("The DNS records were not changed: you said no.",)
            agreed.update(proposal.changes)
        try:
            registrar.apply(proposal.changes)
        except ChangedMeanwhile as error:
            person.say(f"  {error} Looking again.")
            refused = error
            continue
        person.say(f"  {registrar.name}: done.")
        return proposal, ()
    raise refused


def _shown(change: Change) -> list[str]:
    """A change as lines: `-` what goes, `+` what comes."""
    gone = [f"  - {record}" for record in change.old if record not in change.new]
    new = [f"  + {record}" for record in change.new if record not in change.old]
    return [*gone, *new[:-1], f"{new[-1]}   ({change.reason})"] if new else gone
