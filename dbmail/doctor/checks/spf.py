"""SPF (RFC 7208): one valid record, not too many look-ups, and our relay in it."""

from dataclasses import replace

from ...dns import spf
from ...dns.errors import BadSpf
from ...dns.records import quoted
from ...dns.sentence import Sentence as _
from ..facts import DomainFacts, Setup
from ..finding import Finding, Level

NAME = "spf"


def check(domain: DomainFacts, setup: Setup, *, counts: bool = True) -> list[Finding]:
    """`counts`: whether it is the return path's domain, whose SPF receivers check; if not, a failure only warns."""
    findings = _findings(domain, setup)
    if counts:
        return findings
    return [replace(f, level=Level.WARNING) if f.level is Level.FAILURE else f for f in findings]


def _findings(domain: DomainFacts, setup: Setup) -> list[Finding]:
    about, records = domain.domain, domain.spf.records
    if records.error:
        return [
            Finding(Level.WARNING, NAME, about, _("SPF: %(error)s", error=records.error), _("Run the doctor again."))
        ]
    wanted = _wanted(setup)
    if not records.values:
        record = _record(about, wanted or "v=spf1 mx ~all")
        return [Finding(Level.FAILURE, NAME, about, _("There is no SPF record."), _("Publish one."), record)]
    if len(records.values) > 1:
        count = len(records.values)
        title = _("There are %(count)d SPF records, so every check fails (RFC 7208, 4.5).", count=count)
        record = _merged(about, records.values, wanted)
        return [Finding(Level.FAILURE, NAME, about, title, _("Publish one instead."), record)]
    if domain.spf.problem:
        advice = _("Correct the record: receivers ignore it.")
        return [Finding(Level.FAILURE, NAME, about, domain.spf.problem, advice)]
    text = records.values[0]
    findings = [*_end(about, text), *_cost(domain), *_ours(domain, setup, text, wanted)]
    return findings or [Finding(Level.OK, NAME, about, _("SPF is valid: %(record)s", record=text))]


def _end(about: str, text: str) -> list[Finding]:
    """What the record says about strangers."""
    terms = spf.parse(text)
    ends = [term for term in terms if term.is_all]
    end = _("End it in ~all.")
    if ends and ends[0].qualifier == "+":
        title = _("+all lets anybody send in this name.")
        record = _record(about, text.replace(ends[0].text, "~all"))
        return [Finding(Level.FAILURE, NAME, about, title, end, record)]
    if ends and ends[0].qualifier == "?":
        title = _("?all says nothing about strangers.")
        record = _record(about, text.replace(ends[0].text, "~all"))
        return [Finding(Level.WARNING, NAME, about, title, end, record)]
    if not ends and not any(term.name == "redirect" for term in terms):
        title = _("SPF has no end, so strangers are neither let through nor refused.")
        return [Finding(Level.WARNING, NAME, about, title, end, _record(about, f"{text} ~all"))]
    if any(term.name == "ptr" for term in terms):
        title = _("SPF uses ptr, which RFC 7208, 5.5 forbids.")
        return [Finding(Level.WARNING, NAME, about, title, _("Name addresses."))]
    return []


def _cost(domain: DomainFacts) -> list[Finding]:
    """How many DNS look-ups it takes."""
    total = sum(cost for _, cost in domain.spf.lookups)
    values = {
        "total": total,
        "most": spf.MAX_LOOKUPS,
        "details": ", ".join(f"{term} {cost}" for term, cost in domain.spf.lookups),
    }
    if total > spf.MAX_LOOKUPS:
        title = _("SPF costs %(total)d look-ups, and receivers give up after %(most)d (%(details)s).", **values)
        advice = _("Remove includes that are not used, or write addresses instead.")
        return [Finding(Level.FAILURE, NAME, domain.domain, title, advice)]
    if total == spf.MAX_LOOKUPS:
        title = _("SPF costs %(total)d look-ups, the most that there may be (%(details)s).", **values)
        return [Finding(Level.WARNING, NAME, domain.domain, title, _("Make room before a provider adds one."))]
    return []


def _ours(domain: DomainFacts, setup: Setup, text: str, wanted: str) -> list[Finding]:
    """Whether the record lets our own mail through."""
    about = domain.domain
    findings = []
    for address, result in domain.spf.results.items():
        if result == "temperror":
            title = _("SPF for %(address)s could not be told: DNS did not answer.", address=address)
            findings.append(Finding(Level.WARNING, NAME, about, title, _("Run the doctor again.")))
        elif result != "pass":
            title = _(
                "SPF says %(result)s to mail from %(address)s, where ours comes from.", result=result, address=address
            )
            record = _merged(about, (text,), wanted)
            findings.append(Finding(Level.FAILURE, NAME, about, title, _("Add the address."), record))
    include = spf.include_of(setup.relay.host) if setup.relay else ""
    if include and not domain.spf.results:
        if any(term.lower().endswith(include) for term, _ in domain.spf.lookups):
            title = _("SPF is valid and includes %(include)s: %(record)s", include=include, record=text)
            return [Finding(Level.OK, NAME, about, title)]
        title = _("SPF does not include %(include)s, which our relay's mail comes from.", include=include)
        # SendGrid and others send with a return path of their own below the domain, where their SPF stands.
        advice = _("Add it, unless the relay has a return path of its own (see scripts/sendgrid_authentication.py).")
        return [Finding(Level.WARNING, NAME, about, title, advice, _merged(about, (text,), wanted))]
    if not domain.spf.results and not findings:
        title = _("SPF is valid; whether it covers our relay is not known: %(record)s", record=text)
        advice = _('Name the addresses that mail leaves from: DBMAIL["DNS"]["SENDS_FROM"], or --sends-from.')
        return [Finding(Level.WARNING, NAME, about, title, advice)]
    return findings


def _wanted(setup: Setup) -> str:
    """An SPF record that lets our mail through; "" if it is unknown where that comes from."""
    include = spf.include_of(setup.relay.host) if setup.relay else ""
    if setup.sends_from:
        return " ".join(["v=spf1", *(f"ip{6 if ':' in a else 4}:{a}" for a in setup.sends_from), "~all"])
    return f"v=spf1 include:{include} ~all" if include else ""


def _merged(about: str, texts: tuple[str, ...], wanted: str) -> str:
    """One record made of these and `wanted`, as a line of a zone file; "" if that cannot be done."""
    try:
        return _record(about, spf.merge(texts, wanted or "v=spf1"))
    except BadSpf:
        return ""


def _record(about: str, text: str) -> str:
    """A line of a zone file."""
    return f"{about}. IN TXT {quoted(text)}"
