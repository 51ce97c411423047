"""What Gmail and Yahoo ask of those who send much mail, as a checklist over the other checks."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...dns.sentence import Sentence as _
from ...dns.sentence import listed
from ..facts import Complaints, SetupFacts
from ..finding import Finding, Level, worst
from . import alignment, dkim, dmarc, reverse_dns, sample, spf, tls, unsubscribe

NAME = _("bulk senders")
#: The pages with the rules.
GMAIL = "https://support.google.com/a/answer/81126"
YAHOO = "https://senders.yahooinc.com/best-practices/"
#: Domains in whose name only their own servers may send.
_FREEMAIL = {"gmail.com", "googlemail.com", "yahoo.com", "aol.com"}
#: The share of mails called spam that neither provider wants to be reached.
MOST_COMPLAINTS = 0.003
#: The share that Gmail asks to stay below.
FEW_COMPLAINTS = 0.001
#: Mails of a month below which a share means nothing.
_ENOUGH_MAILS = 1000

#: What is said of a rule, by the level of the findings that it rests on.
_KEPT_OR_NOT = {
    Level.OK: _("Kept: %(rule)s"),
    Level.WARNING: _("Not sure: %(rule)s"),
    Level.FAILURE: _("Broken: %(rule)s"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that they ask for."""

    #: In our words.
    text: str
    #: The page that it is from.
    source: str
    #: The NAMEs of the checks that tell whether it is kept.
    checks: tuple[str, ...]
    #: Whether it is kept even if those checks warn.
    lenient: bool = False


RULES = (
    Rule(_("Authenticate with SPF and with DKIM."), GMAIL, (spf.NAME, dkim.NAME), lenient=True),
    Rule(_("Publish a DMARC policy, at least p=none."), GMAIL, (dmarc.NAME,), lenient=True),
    Rule(_("Align From with the domain of SPF or of DKIM."), GMAIL, (alignment.NAME,), lenient=True),
    Rule(_("Have forward and reverse DNS for sending addresses."), GMAIL, (reverse_dns.NAME,)),
    Rule(_("Transmit by TLS."), GMAIL, (tls.NAME,)),
    Rule(_("Format mail as RFC 5322 says."), GMAIL, (sample.NAME,)),
    Rule(_("Let people unsubscribe with one click."), GMAIL, (sample.NAME, unsubscribe.NAME)),
    Rule(
        _("Authenticate mail to Yahoo and AOL likewise."), YAHOO, (spf.NAME, dkim.NAME, alignment.NAME), lenient=True
    ),
    Rule(_("Have a DMARC policy for Yahoo and AOL."), YAHOO, (dmarc.NAME,), lenient=True),
)


def check(facts: SetupFacts, findings: Sequence[Finding]) -> list[Finding]:
    """A line for each rule, as good as the worst of the `findings` that it rests on; and one for the complaints."""
    lines = [_rule(rule, [finding for finding in findings if finding.check in rule.checks]) for rule in RULES]
    for domain in sorted(_FREEMAIL & {*facts.setup.from_domains}):
        title = _("Mail in the name of %(domain)s that does not come from there is refused.", domain=domain)
        advice = _("Write in the name of your own domain.")
        lines.append(Finding(Level.FAILURE, NAME, domain, title, advice, source=GMAIL))
    honoured = _("Unsubscribes are honoured within two days: here, before the next mail is sent.")
    return [*lines, Finding(Level.OK, NAME, _("unsubscribes"), honoured, source=YAHOO), _complaints(facts.complaints)]


def _rule(rule: Rule, findings: Sequence[Finding]) -> Finding:
    about = listed(rule.checks)
    if not findings:
        title = _("Not looked at: %(rule)s", rule=rule.text)
        return Finding(Level.WARNING, NAME, about, title, source=rule.source)
    level = worst(findings)
    if level is Level.WARNING and rule.lenient:
        level = Level.OK
    advice = "" if level is Level.OK else _("See above: %(checks)s.", checks=about)
    return Finding(level, NAME, about, _(_KEPT_OR_NOT[level], rule=rule.text), advice, source=rule.source)


def _complaints(counted: Complaints | None) -> Finding:
    advice = _("Register at Gmail's Postmaster Tools and Yahoo's Complaint Feedback Loop: few complaints reach us.")
    if counted is None or counted.sent < _ENOUGH_MAILS:
        title = _("The share of mails called spam is not known; it must stay below 0.3 %, better 0.1 %.")
        return Finding(Level.OK, NAME, _("complaints"), title, advice, source=GMAIL)
    share = counted.complaints / counted.sent
    level = Level.FAILURE if share >= MOST_COMPLAINTS else Level.WARNING if share >= FEW_COMPLAINTS else Level.OK
    title = _(
        "%(complaints)d of %(sent)d mails in 30 days were called spam (%(share).2f %%).",
        complaints=counted.complaints,
        sent=counted.sent,
        share=share * 100,
    )
    if level is not Level.OK:
        advice = _("Send less, to people who want it, and stay below 0.1 %%. %(more)s", more=advice)
    return Finding(level, NAME, _("complaints"), title, advice, source=GMAIL)
