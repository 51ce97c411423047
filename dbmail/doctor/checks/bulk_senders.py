"""What Gmail and Yahoo ask of whoever sends much mail, as a checklist over the other checks."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..facts import Facts
from ..finding import Finding, Level, worst
from . import alignment, dkim, dmarc, reverse_dns, sample, spf, tls, unsubscribe

NAME = "bulk senders"
GMAIL = "https://support.google.com/a/answer/81126"
YAHOO = "https://senders.yahooinc.com/best-practices/"
_FREEMAIL = {"gmail.com", "googlemail.com", "yahoo.com", "aol.com"}
#: Share of mails called spam: neither provider wants 0.3 % to be reached; Gmail asks to stay below 0.1 %.
MOST_COMPLAINTS, FEW_COMPLAINTS = 0.003, 0.001


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in our words, who has it, and the checks that tell. `lenient`: those may warn and it is still kept."""

    text: str
    source: str
    checks: tuple[str, ...]
    lenient: bool = False


RULES = (
    Rule("Authenticate with SPF and with DKIM.", GMAIL, (spf.NAME, dkim.NAME), lenient=True),
    Rule("Publish a DMARC policy, at least p=none.", GMAIL, (dmarc.NAME,), lenient=True),
    Rule("Align From with the domain of SPF or of DKIM.", GMAIL, (alignment.NAME,), lenient=True),
    Rule("Have forward and reverse DNS for sending addresses.", GMAIL, (reverse_dns.NAME,)),
    Rule("Transmit by TLS.", GMAIL, (tls.NAME,)),
    Rule("Format mail as RFC 5322 says.", GMAIL, (sample.NAME,)),
    Rule("Let people unsubscribe with one click.", GMAIL, (sample.NAME, unsubscribe.NAME)),
    Rule("Authenticate mail to Yahoo and AOL likewise.", YAHOO, (spf.NAME, dkim.NAME, alignment.NAME), lenient=True),
    Rule("Have a DMARC policy for Yahoo and AOL.", YAHOO, (dmarc.NAME,), lenient=True),
)


def check(facts: Facts, findings: Sequence[Finding]) -> list[Finding]:
    """One line a rule, as good as the worst of the findings that it rests on."""
    lines = [_rule(rule, [finding for finding in findings if finding.check in rule.checks]) for rule in RULES]
    for domain in sorted(_FREEMAIL & {*facts.setup.from_domains}):
        title = f"Mail in the name of {domain} that does not come from there is refused."
        lines.append(
            Finding(Level.FAILURE, NAME, domain, title, "Write in the name of your own domain.", source=GMAIL)
        )
    honoured = "Unsubscribes are honoured within two days: here, before the next mail is sent."
    return [*lines, Finding(Level.OK, NAME, "unsubscribes", honoured, source=YAHOO), _complaints(facts)]


def _rule(rule: Rule, findings: Sequence[Finding]) -> Finding:
    about = ", ".join(rule.checks)
    if not findings:
        return Finding(Level.WARNING, NAME, about, f"Not looked at: {rule.text}", source=rule.source)
    level = worst(findings)
    if level is Level.WARNING and rule.lenient:
        level = Level.OK
    states = {Level.OK: "Kept", Level.WARNING: "Not sure", Level.FAILURE: "Broken"}
    advice = "" if level is Level.OK else f"See above: {about}."
    return Finding(level, NAME, about, f"{states[level]}: {rule.text}", advice, source=rule.source)


def _complaints(facts: Facts) -> Finding:
    advice = "Register at Gmail's Postmaster Tools and Yahoo's Complaint Feedback Loop: few complaints reach us."
    feedback = facts.feedback
    if feedback is None or feedback.sent < 1000:
        title = "The share of mails called spam is not known; it must stay below 0.3 %, better 0.1 %."
        return Finding(Level.OK, NAME, "complaints", title, advice, source=GMAIL)
    share = feedback.complaints / feedback.sent
    level = Level.FAILURE if share >= MOST_COMPLAINTS else Level.WARNING if share >= FEW_COMPLAINTS else Level.OK
    title = f"{feedback.complaints} of {feedback.sent} mails in 30 days were called spam ({share:.2%})."
    if level is not Level.OK:
        advice = f"Send less, to people who want it, and stay below 0.1 %. {advice}"
    return Finding(level, NAME, "complaints", title, advice, source=GMAIL)
