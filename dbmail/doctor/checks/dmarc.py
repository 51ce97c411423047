"""DMARC (RFC 7489): a policy, and reports that somebody gets."""

from ...dns import dmarc
from ...dns.records import tags
from ...dns.sentence import Sentence as _
from ..facts import DmarcFacts, DomainFacts, Setup
from ..finding import Finding, Level

NAME = "dmarc"


def check(domain: DomainFacts, setup: Setup) -> list[Finding]:
    about, found = domain.domain, domain.dmarc
    if found.texts.error:
        title = _("DMARC: %(error)s", error=found.texts.error)
        return [Finding(Level.WARNING, NAME, about, title, _("Run the doctor again."))]
    reports_to = setup.return_path if setup.return_path.endswith(f"@{about}") else f"postmaster@{about}"
    record = f'_dmarc.{about}. IN TXT "{dmarc.record("none", reports_to)}"'
    if not found.texts.values:
        return [Finding(Level.FAILURE, NAME, about, _("There is no DMARC policy."), _("Publish one."), record)]
    if len(found.texts.values) > 1:
        title = _(
            "_dmarc.%(domain)s has %(count)d policies, so receivers use none.",
            domain=found.found_at,
            count=len(found.texts.values),
        )
        return [Finding(Level.FAILURE, NAME, about, title, _("Leave one of them."))]
    text = found.texts.values[0]
    wrong = dmarc.what_is_wrong(text)
    if wrong:
        title = _("Receivers ignore %(record)s: %(why)s", record=text, why=wrong)
        return [Finding(Level.FAILURE, NAME, about, title, _("Correct it."), record)]
    asked_for = policy(about, found)
    findings = []
    for host, agrees in found.reports.items():
        if not agrees:
            advice = _("Ask %(host)s to publish it, or have reports sent to an address of yours.", host=host)
            title = _("Reports for %(host)s are not sent: it does not agree to get them (RFC 7489, 7.1).", host=host)
            permission = f'{found.found_at}._report._dmarc.{host}. IN TXT "v=DMARC1"'
            findings.append(Finding(Level.WARNING, NAME, about, title, advice, permission))
    if asked_for == "none":
        title = _("The policy is p=none: forged mail in this name is delivered all the same.")
        advice = _("Read the reports for some weeks, then publish p=quarantine and later p=reject.")
        findings.append(Finding(Level.WARNING, NAME, about, title, advice, _stricter(found.found_at, text)))
    if "rua" not in tags(text):
        title = _("Nobody gets DMARC reports, so that nobody sees who sends in this name.")
        with_reports = f'_dmarc.{found.found_at}. IN TXT "{text.rstrip("; ")}; rua=mailto:{reports_to}"'
        findings.append(Finding(Level.WARNING, NAME, about, title, _("Name an address for them."), with_reports))
    fine = _("DMARC asks for %(policy)s at %(domain)s.", policy=asked_for, domain=found.found_at)
    return findings or [Finding(Level.OK, NAME, about, fine)]


def policy(domain: str, found: DmarcFacts) -> str:
    """What `found` asks receivers to do with mail that fails: none, quarantine or reject.

    "" if they find no policy that they obey. `domain` is the one in From, which `found` was looked up for.
    """
    if len(found.texts.values) != 1 or dmarc.what_is_wrong(found.texts.values[0]):
        return ""
    given = tags(found.texts.values[0])
    asked_for = given.get("p", "none").lower()
    return asked_for if found.found_at == domain else given.get("sp", asked_for).lower()


def _stricter(name: str, text: str) -> str:
    """The record `text` with p=quarantine instead of p=none, as a line of a zone file."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    parts = ["p=quarantine" if part.replace(" ", "").lower() == "p=none" else part for part in parts]
    return f'_dmarc.{name}. IN TXT "{"; ".join(parts)}"'
