"""A mail as it leaves: the header fields that providers look for (RFC 5322, 2369, 8058)."""

from ..facts import Sample
from ..finding import Finding, Level

NAME = "sample mail"


def check(sample: Sample) -> list[Finding]:
    headers, about = sample.headers, sample.from_domain
    findings = [
        Finding(Level.FAILURE, NAME, about, f"It has no {name} field.", "Every mail needs one (RFC 5322, 3.6).")
        for name in ("From", "Date", "Message-ID", "Subject", "To")
        if not headers.get(name.lower())
    ]
    unsubscribe, post = headers.get("list-unsubscribe", ""), headers.get("list-unsubscribe-post", "")
    if "<https://" not in unsubscribe:
        title = "Its List-Unsubscribe has no https address, so that one click does not work."
        findings.append(Finding(Level.FAILURE, NAME, about, title, 'Set DBMAIL["SITE_URL"] to an https:// address.'))
    elif post != "List-Unsubscribe=One-Click":
        title = "It has no List-Unsubscribe-Post: List-Unsubscribe=One-Click."
        findings.append(Finding(Level.FAILURE, NAME, about, title, "Let nothing on the way remove it."))
    if "<mailto:" not in unsubscribe:
        title = "Its List-Unsubscribe has no mailto address, which some mail programs use."
        findings.append(Finding(Level.WARNING, NAME, about, title, 'Set DBMAIL["BOUNCES"].'))
    signed = headers.get("dkim-signature", "").lower().replace(" ", "")
    if signed:
        covered = signed.partition("h=")[2].partition(";")[0].split(":")
        missing = [name for name in ("from", "list-unsubscribe", "list-unsubscribe-post") if name not in covered]
        if missing:
            title = f"Its DKIM signature does not cover {', '.join(missing)}."
            findings.append(Finding(Level.FAILURE, NAME, about, title, "RFC 8058, 4 wants them signed."))
    return findings or [Finding(Level.OK, NAME, about, "It has every field that providers look for.")]
