"""manage.py dbmail_doctor: the project's own settings, a sample mail, and its unsubscribe page in earnest."""

import http.server
import io
import json
import threading

import pytest
from django.core.management import call_command
from django.utils import timezone

from dbmail.doctor.finding import Level
from dbmail.doctor.project import examine_project, project_setup
from dbmail.feedback.events import NewEvent, record_events
from dbmail.models import Suppression, TextOfEmail

from .zones import GOOD, OTHERS, of

ZONES = {"example.org": [line for part in GOOD.values() for line in part] + ["mail A 192.0.2.25"], **OTHERS}


@pytest.fixture
def project(settings, relay):
    """The test project, sending as example.org through the scripted relay."""
    settings.DEFAULT_FROM_EMAIL = "Outreach <info@example.org>"
    settings.DBMAIL = {**settings.DBMAIL, "DNS": {"DKIM_SELECTORS": ["s1"], "SENDS_FROM": ["192.0.2.25"]}}
    return settings


def doctor(*words):
    """What the command prints as JSON, and its exit code."""
    out, code = io.StringIO(), 0
    try:
        call_command("dbmail_doctor", "--json", *words, stdout=out)
    except SystemExit as end:
        code = end.code
    return json.loads(out.getvalue()), code


@pytest.mark.django_db
def test_it_reads_the_projects_settings(project, serve):
    report, code = doctor("--dns-only", "--resolver", serve(ZONES).address)
    levels = {
        finding["check"]: finding["level"] for finding in report["findings"] if finding["check"] != "bulk senders"
    }
    assert {levels[name] for name in ("mx", "spf", "dkim", "dmarc", "alignment", "reverse DNS", "sample mail")} == {
        "ok"
    }
    assert (report["level"], code) == ("warning", 1)  # relay, MX and page were not asked
    setup = project_setup()
    assert (setup.from_domains, setup.return_path) == (("example.org",), "bounces@example.org")
    assert setup.incoming[1] == "unsubscribe@example.org"


@pytest.mark.django_db
def test_faults_give_the_exit_code_of_a_failure(project, serve):
    assert doctor("--dns-only", "--resolver", serve({"example.org": []}).address)[1] == 2


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"DKIM": {"SELECTOR": "x"}}, {"NO_SUCH": 1}])
def test_settings_that_are_wrong_are_told_apart(project, settings, wrong, capsys):
    settings.DBMAIL = wrong
    with pytest.raises(SystemExit) as end:
        call_command("dbmail_doctor", "--dns-only")
    assert end.value.code == 78
    assert capsys.readouterr().err


def page_findings(site, settings, serve):
    settings.DBMAIL = {**settings.DBMAIL, "SITE_URL": site}
    # A DNS server that knows nothing of the domain: only the page is of interest here.
    return of(examine_project([serve({"example.org": []}).address]), "unsubscribe page")


@pytest.mark.django_db(transaction=True)
def test_the_real_page_is_tried_and_nothing_of_it_stays(project, settings, serve, live_server):
    findings = page_findings(live_server.url, settings, serve)
    assert [finding.title for finding in findings] == ["It is not HTTPS."]
    assert not Suppression.objects.exists()


class Site(http.server.BaseHTTPRequestHandler):
    """A site that is not as it should be."""

    get, post, location = 200, 200, ""

    def do_GET(self):
        self.answer(self.get)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(self.post)

    def answer(self, status):
        self.send_response(status)
        if self.location:
            self.send_header("Location", self.location)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"post": 403}, "POST is answered with 403"),
        ({"post": 302, "location": "/accounts/login/"}, "POST is answered with 302"),
        ({"get": 404, "post": 404}, "GET is answered with 404"),
        ({}, "unsubscribes nobody"),
    ],
)
def test_a_page_that_is_not_ours_is_found_out(project, settings, serve, answers, says):
    server = http.server.HTTPServer(("127.0.0.1", 0), type("Spoiled", (Site,), answers))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        findings = page_findings(f"http://127.0.0.1:{server.server_port}", settings, serve)
    finally:
        server.shutdown()
        server.server_close()
    assert any(says in finding.title and finding.advice for finding in findings)


@pytest.mark.django_db
def test_a_site_that_is_down_or_not_named_is_told(project, settings, serve):
    assert "cannot be reached" in page_findings("http://127.0.0.1:1", settings, serve)[0].title
    assert page_findings("", settings, serve)[0].level is Level.WARNING


@pytest.mark.django_db
def test_the_share_of_complaints_is_counted(project, serve):
    address = serve({"example.org": []}).address

    def complaints():
        found = examine_project([address], network=False)
        return next(finding for finding in found if finding.about == "complaints")

    assert complaints().level is Level.OK
    now = timezone.now()
    TextOfEmail.objects.bulk_create(
        TextOfEmail(address=f"n{n}@example.org", state="sent", created_at=now, due_at=now) for n in range(1000)
    )
    record_events([NewEvent(f"n{n}@example.org", "complained", "test") for n in range(4)])
    assert complaints().level is Level.FAILURE
