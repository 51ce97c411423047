"""The doctor's page: what was found, what to do, and who may have it look again."""

import socket
import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import resolve, reverse

from dbmail.dns import client as check
from dbmail.doctor.finding import Finding, Level
from dbmail.doctor.gather import Patience
from dbmail.doctor.project import examine_project, keep
from dbmail.models import DoctorReport, Suppression

from ..builders import a_user

pytestmark = pytest.mark.django_db
PAGE = "/admin/dbmail/doctorreport/"
RECORD = '_dmarc.example.org. IN TXT "v=DMARC1; p=none"'
FINDINGS = [
    Finding(Level.OK, "mx", "example.org", "It takes mail."),
    Finding(Level.FAILURE, "dmarc", "example.org", "There is no <b>policy</b>.", "Publish one.", RECORD),
    Finding(Level.WARNING, "spf", "news.example.org", "No end."),
    Finding(Level.OK, "incoming", "bounces@example.org", "It is taken."),
    Finding(Level.OK, "relay TLS", "127.0.0.1:25", "It is here."),
    Finding(Level.FAILURE, "bulk senders", "dmarc", "Broken: a rule.", "See above.", source="https://rules.test/"),
]


@pytest.fixture
def log_in(client):
    def log_in(*permissions):
        user = a_user("clerk", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


def test_before_anybody_has_looked_there_is_a_button(admin_client):
    page = admin_client.get(PAGE)
    assert page.context["report"] is None and b"Look now" in page.content


def test_findings_stand_by_domain_worst_first_with_the_record_in_parts(admin_client):
    keep(FINDINGS)
    page = admin_client.get(PAGE)
    groups = {group.title: group for group in page.context["groups"]}
    assert [(g.title, str(g.level)) for g in groups.values()][:3] == [
        ("example.org", "failure"),
        ("news.example.org", "warning"),
        ("This site and its mail server", "ok"),
    ]
    assert [f["check"] for f in groups["example.org"].shown] == ["dmarc"]
    assert [f["check"] for f in groups["example.org"].folded] == ["mx", "incoming"]
    text = page.content.decode()
    assert "2 failures, 1 warning, 3 in order" in text
    assert "<code>_dmarc.example.org</code>" in text and "<code>&quot;v=DMARC1; p=none&quot;</code>" in text
    assert "Publish one." in text and 'href="https://rules.test/"' in text
    assert "no &lt;b&gt;policy" in text


@pytest.fixture
def scene(settings, relay, monkeypatch):
    """A project whose DNS is a port that says nothing, and whose site is one that nobody listens at."""
    settings.DBMAIL = {**settings.DBMAIL, "SITE_URL": "http://127.0.0.1:1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        monkeypatch.setattr(check, "_system_resolver", lambda: check._resolver("127.0.0.1", port))
        monkeypatch.setattr("dbmail.admin.doctor.WAIT", 1)
        yield


def test_a_press_looks_keeps_what_was_found_and_is_in_the_history(admin_client, admin_user, scene):
    answer = admin_client.post(PAGE, follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    report = DoctorReport.objects.get()
    assert report.by == admin_user
    assert "no answer in time" in next(f["title"] for f in report.findings if f["check"] == "mx")
    assert "cannot be reached" in next(f["title"] for f in report.findings if f["check"] == "unsubscribe page")
    assert "The relay is on this machine." in answer.content.decode()
    admin_client.post(PAGE)
    assert DoctorReport.objects.count() == 1
    assert b"warnings" in admin_client.get(reverse("admin:dbmail_doctorreport_history", args=[report.pk])).content
    assert LogEntry.objects.count() == 2


def test_settings_that_are_wrong_are_said_and_the_last_result_stays(admin_client, settings):
    keep(FINDINGS)
    settings.DBMAIL = {**settings.DBMAIL, "DKIM": {"SELECTOR": "x"}}
    page = admin_client.post(PAGE, follow=True)
    assert b"SELECTOR and KEY are both needed" in page.content and b"It takes mail." in page.content


def test_looking_takes_one_right_and_running_another(log_in, scene):
    client = log_in("view_doctorreport")
    page = client.get(PAGE)
    assert page.status_code == 200 and b"Look now" not in page.content
    assert client.post(PAGE).status_code == 403
    assert not DoctorReport.objects.exists()


def test_who_may_run_it_sees_what_it_found(log_in, scene):
    client = log_in("run_doctor")
    assert client.post(PAGE, follow=True).status_code == 200
    assert DoctorReport.objects.exists()


def test_others_see_nothing_and_nothing_is_run_by_a_link_or_without_a_token(log_in, admin_user, scene):
    keep(FINDINGS)
    client = log_in("view_messagerequest", "view_recipients")
    assert client.get(PAGE).status_code == client.post(PAGE).status_code == 403
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(admin_user)
    assert forged.post(PAGE).status_code == 403
    assert forged.get(PAGE).status_code == 200
    assert not LogEntry.objects.exists()
    assert Client().get(PAGE).status_code == 302


def test_postmasters_get_both_rights():
    call_command("dbmail_groups", verbosity=0)
    group = Permission.objects.filter(group__name="Mail: postmasters").values_list("codename", flat=True)
    assert {"view_doctorreport", "run_doctor"} <= set(group)


def test_its_request_is_no_transaction_that_the_site_would_wait_for():
    assert resolve(PAGE).func._non_atomic_requests == {"default"}


def test_a_silent_world_costs_no_more_than_the_patience(settings, use_mailer):
    """A site, a relay and a DNS server that take connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns:
        dns.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        use_mailer("dbmail.delivery.backends.CustomSMTPBackend", host="127.0.0.1", port=port)
        settings.DBMAIL = {**settings.DBMAIL, "SITE_URL": f"http://127.0.0.1:{port}"}
        begun = time.monotonic()
        found = examine_project([f"127.0.0.1:{dns.getsockname()[1]}"], patience=Patience(1, 0.3))
        assert time.monotonic() - begun < 2
    for name in ("unsubscribe page", "relay TLS", "mx", "spf", "dmarc"):
        levels = [(finding.level, "in time" in finding.title) for finding in found if finding.check == name]
        assert levels and set(levels) == {(Level.WARNING, True)}, name
    assert not Suppression.objects.exists()


def test_what_a_late_answer_left_behind_goes_with_the_next_look(scene):
    left = Suppression.objects.create(address="doctor@example.org", scope="doctor/1f", reason="unsubscribed")
    person = Suppression.objects.create(address="doctor@example.org", scope="doctor-news", reason="unsubscribed")
    Suppression.objects.update(created_at="2020-01-01T00:00Z")
    examine_project(patience=Patience(0.3, 0.2))
    assert list(Suppression.objects.all()) == [person], left


def test_the_command_keeps_its_result_for_the_page(admin_client, serve):
    address = serve({"example.org": []}).address
    with pytest.raises(SystemExit):
        call_command("dbmail_doctor", "--dns-only", "--resolver", address)
    assert not DoctorReport.objects.exists()
    with pytest.raises(SystemExit):
        call_command("dbmail_doctor", "--dns-only", "--keep", "--resolver", address)
    page = admin_client.get(PAGE).content.decode()
    assert "Look again" in page and "DMARC" in page
