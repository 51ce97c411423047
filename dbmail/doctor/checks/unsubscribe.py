"""The unsubscribe page answers a mailbox provider's POST: no cookies, no login, no redirect, HTTPS (RFC 8058)."""

from ..facts import UNANSWERED, PageFacts
from ..finding import Finding, Level

NAME = "unsubscribe page"
_SOURCE = "https://www.rfc-editor.org/rfc/rfc8058"


def check(page: PageFacts | None) -> list[Finding]:
    if page is None:
        title = "The unsubscribe page is not known."
        return [Finding(Level.WARNING, NAME, "site", title, 'Set DBMAIL["SITE_URL"], or give --unsubscribe-url.')]
    # The rest of the address is a key.
    about = "/".join(page.url.split("/")[:3])

    def finding(level: Level, title: str, advice: str = "") -> Finding:
        return Finding(level, NAME, about, title, advice, source=_SOURCE)

    if page.error == UNANSWERED:
        advice = "Ask by manage.py dbmail_doctor --keep: a site with one worker cannot answer while it asks itself."
        return [finding(Level.WARNING, "It did not answer in time.", advice)]
    if page.error:
        return [finding(Level.FAILURE, f"It cannot be reached: {page.error}", "It must be reachable from everywhere.")]
    findings = []
    if not page.url.startswith("https://"):
        findings.append(finding(Level.FAILURE, "It is not HTTPS.", 'Set DBMAIL["SITE_URL"] to the https:// address.'))
    if page.get_status != 200:
        findings.append(finding(Level.FAILURE, f"A GET is answered with {page.get_status}.", _advice(page.get_status)))
    if page.post_status != 200:
        title = f"A one-click POST is answered with {page.post_status}."
        findings.append(finding(Level.FAILURE, title, _advice(page.post_status)))
    if page.after_get:
        title = "A GET unsubscribes: link scanners will unsubscribe everybody."
        findings.append(finding(Level.FAILURE, title, "Have the path reach dbmail's own view."))
    if page.post_status == 200 and page.after_post is False:
        title = "A one-click POST is answered with 200 and unsubscribes nobody."
        advice = "The site must be this project, with the same database and SECRET_KEY."
        findings.append(finding(Level.FAILURE, title, advice))
    return findings or [finding(Level.OK, "A one-click POST is answered with 200, and a GET changes nothing.")]


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return "Providers do not follow redirects: put the final address into SITE_URL; let no login page in between."
    if status == 403:
        return "Let no CSRF check, login or firewall stand before it."
    if status == 404:
        return 'Add path("", include("dbmail.urls")) to the project\'s URLs, and look at SECRET_KEY.'
    return "Look into the site's log."
