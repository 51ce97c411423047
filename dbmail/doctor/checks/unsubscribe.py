"""The unsubscribe page answers a mailbox provider's POST: no cookies, no login, no redirect, HTTPS (RFC 8058)."""

from ...dns.sentence import Sentence as _
from ..facts import UNANSWERED, PageFacts
from ..finding import Finding, Level

NAME = _("unsubscribe page")
_SOURCE = "https://www.rfc-editor.org/rfc/rfc8058"


def check(page: PageFacts | None) -> list[Finding]:
    if page is None:
        title = _("The unsubscribe page is not known.")
        advice = _('Set DBMAIL["SITE_URL"], or give --unsubscribe-url.')
        return [Finding(Level.WARNING, NAME, _("site"), title, advice)]
    # Only the site: the rest of the address is a key.
    about = "/".join(page.url.split("/")[:3])

    def finding(level: Level, title: str, advice: str = "") -> Finding:
        return Finding(level, NAME, about, title, advice, source=_SOURCE)

    if page.error == UNANSWERED:
        advice = _("Ask by manage.py dbmail_doctor --keep: a site with one worker cannot answer while it asks itself.")
        return [finding(Level.WARNING, _("It did not answer in time."), advice)]
    if page.error:
        title = _("It cannot be reached: %(error)s", error=page.error)
        return [finding(Level.FAILURE, title, _("It must be reachable from everywhere."))]
    findings = []
    if not page.url.startswith("https://"):
        advice = _('Set DBMAIL["SITE_URL"] to the https:// address.')
        findings.append(finding(Level.FAILURE, _("It is not HTTPS."), advice))
    if page.get_status != 200:
        title = _("A GET is answered with %(status)d.", status=page.get_status)
        findings.append(finding(Level.FAILURE, title, _advice(page.get_status)))
    if page.post_status != 200:
        title = _("A one-click POST is answered with %(status)d.", status=page.post_status)
        findings.append(finding(Level.FAILURE, title, _advice(page.post_status)))
    if page.after_get:
        title = _("A GET unsubscribes: link scanners will unsubscribe everybody.")
        findings.append(finding(Level.FAILURE, title, _("Have the path reach dbmail's own view.")))
    if page.post_status == 200 and page.after_post is False:
        title = _("A one-click POST is answered with 200 and unsubscribes nobody.")
        advice = _("The site must be this project, with the same database and SECRET_KEY.")
        findings.append(finding(Level.FAILURE, title, advice))
    return findings or [finding(Level.OK, _("A one-click POST is answered with 200, and a GET changes nothing."))]


def _advice(status: int) -> str:
    """What to do about a page that answers with another status than 200."""
    if 300 <= status < 400:
        return _(
            "Providers do not follow redirects: put the final address into SITE_URL; let no login page in between."
        )
    if status == 403:
        return _("Let no CSRF check, login or firewall stand before it.")
    if status == 404:
        return _('Add path("", include("dbmail.urls")) to the project\'s URLs, and look at SECRET_KEY.')
    return _("Look into the site's log.")
