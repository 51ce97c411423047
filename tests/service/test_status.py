"""manage.py dbmail_status: what a monitor is told, and the sign of life that it goes by."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django.utils import timezone

from dbmail.models import Heartbeat, MessageRequest, TextOfEmail
from dbmail.service.passes import Pulse, run_pass
from dbmail.service.status import Health, Status, judge

from ..builders import a_mail, a_request, a_user

pytestmark = pytest.mark.django_db
HALF_AN_HOUR, TWO_HOURS = timedelta(minutes=30), timedelta(hours=2)


def ask(*words):
    out, code = io.StringIO(), 0
    try:
        call_command("dbmail_status", *words, stdout=out)
    except SystemExit as end:
        code = end.code
    return out.getvalue(), code


def test_all_is_well_after_a_pass(relay):
    a_user("ann")
    a_request()
    run_pass()
    text, code = ask()
    assert code == 0
    assert text.startswith("DBMAIL OK - 0 mails wait, 0 are due, last pass 0 min ago | waiting=0 due=0")


def test_without_any_pass_it_warns_and_with_work_it_is_critical():
    assert ask()[1] == Health.WARNING
    a_mail()
    text, code = ask()
    assert code == Health.CRITICAL and "is cron set up?" in text


@pytest.mark.parametrize(("minutes", "expected"), [(10, 0), (40, 1), (150, 2)])
def test_it_goes_by_the_age_of_the_last_pass_and_of_the_oldest_mail(minutes, expected):
    now = timezone.now()
    beat = Heartbeat.objects.create(host="mx", at=now - timedelta(minutes=minutes))
    assert ask()[1] == expected
    beat.at = now
    beat.save()
    a_mail(due_at=now - timedelta(minutes=minutes))
    text, code = ask()
    assert code == expected
    assert f"oldest={minutes * 60}s" in text


def test_what_waits_on_purpose_is_no_trouble(relay):
    run_pass()
    old = timezone.now() - timedelta(days=2)
    a_mail(due_at=timezone.now() + timedelta(hours=5))
    a_mail("b@example.org", messagerequest=a_request(state=MessageRequest.State.PAUSED), due_at=old)
    assert ask()[1] == 0


def test_what_a_person_must_look_at_is_a_warning(relay):
    run_pass()
    a_mail(state=TextOfEmail.State.IN_DOUBT)
    a_request(state=MessageRequest.State.FAILED)
    text, code = ask()
    assert code == 1
    assert "1 mails are in doubt" in text and "1 broadcasts failed" in text


def test_a_relay_that_takes_nothing_is_told_until_a_pass_goes_well(smtp_server, relay):
    smtp_server.reply("CONNECT", "", "554 go away", times=1)
    a_mail()
    assert run_pass().trouble
    text, code = ask()
    assert code == 1 and "ended early" in text
    run_pass()
    assert ask()[1] == 0


def test_a_long_pass_shows_that_it_is_alive_but_writes_only_now_and_then(django_assert_num_queries):
    pulse = Pulse()
    pulse.beat()
    assert Heartbeat.objects.count() == 1
    with django_assert_num_queries(0):
        for _ in range(1000):
            pulse.beat()


def test_each_host_has_its_own_row_and_the_latest_counts():
    Heartbeat.objects.create(host="dead", at=timezone.now() - timedelta(days=30))
    Pulse().end("fine", "")
    assert ask()[1] == 0


def test_json_for_a_program():
    report = json.loads(ask("--json")[0])
    assert report["health"] == "warning" and report["reasons"] and report["last_pass"] is None


def test_a_database_that_does_not_answer_is_unknown(monkeypatch):
    def broken():
        raise DatabaseError("gone\naway")

    monkeypatch.setattr("dbmail.management.commands.dbmail_status.status", broken)
    text, code = ask()
    assert code == 3 and text.count("\n") == 1


def test_the_worst_counts():
    status = Status(1, 1, timedelta(hours=3), 0, 1, 0, 0, timedelta(minutes=40))
    health, reasons = judge(status, HALF_AN_HOUR, TWO_HOURS)
    assert health is Health.CRITICAL and len(reasons) == 3
