"""A mail as it leaves: the header fields that providers look for (RFC 5322, 2369, 8058)."""

from ...dns.sentence import Sentence as _
from ..facts import SampleMail
from ..finding import Finding, Level

NAME = _("sample mail")


def check(sample: SampleMail) -> list[Finding]:
    headers, about = sample.headers, sample.from_domain
    needed = _("Every mail needs one (RFC 5322, 3.6).")
    findings = [
        Finding(Level.FAILURE, NAME, about, _("It has no %(name)s field.", name=name), needed)
        for name in ("From", "Date", "Message-ID", "Subject", "To")
        if not headers.get(name.lower())
    ]
    unsubscribe, post = headers.get("list-unsubscribe", ""), headers.get("list-unsubscribe-post", "")
    if "<https://" not in unsubscribe:
        title = _("Its List-Unsubscribe has no https address, so that one click does not work.")
        advice = _('Set DBMAIL["SITE_URL"] to an https:// address.')
        findings.append(Finding(Level.FAILURE, NAME, about, title, advice))
    elif post != "List-Unsubscribe=One-Click":
        title = _("It has no List-Unsubscribe-Post: List-Unsubscribe=One-Click.")
        findings.append(Finding(Level.FAILURE, NAME, about, title, _("Let nothing on the way remove it.")))
    if "<mailto:" not in unsubscribe:
        title = _("Its List-Unsubscribe has no mailto address, which some mail programs use.")
        findings.append(Finding(Level.WARNING, NAME, about, title, _('Set DBMAIL["BOUNCES"].')))
    signed = headers.get("dkim-signature", "").lower().replace(" ", "")
    if signed:
        covered = signed.partition("h=")[2].partition(";")[0].split(":")
        missing = [name for name in ("from", "list-unsubscribe", "list-unsubscribe-post") if name not in covered]
        if missing:
            title = _("Its DKIM signature does not cover %(fields)s.", fields=", ".join(missing))
            findings.append(Finding(Level.FAILURE, NAME, about, title, _("RFC 8058, 4 wants them signed.")))
    return findings or [Finding(Level.OK, NAME, about, _("It has every field that providers look for."))]
