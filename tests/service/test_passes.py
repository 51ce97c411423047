"""dbmail_cron as cron, a terminal and a sysadmin see it."""

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.models import MessageRequest, TextOfEmail

from ..builders import a_mail, a_request, a_user
from ..queue.test_claim import queued, sending

pytestmark = pytest.mark.django_db


def run(**options):
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("dbmail_cron", stdout=out, stderr=err, **options)
    except SystemExit as exit_:
        code = exit_.code
    return code, out.getvalue(), err.getvalue()


def test_nothing_to_do_is_said_in_one_line(relay):
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    assert relay.connections == 0
    assert run(verbosity=0)[1] == run(quiet=True)[1] == ""


def test_a_relay_that_is_down_gives_exit_code_75_and_says_which(use_mailer):
    use_mailer("dbmail.models.CustomSMTPBackend", host="127.0.0.1", port=1)
    a_user()
    a_request()
    code, out, err = run(quiet=True)
    assert code == 75
    assert "127.0.0.1:1" in err and "1 mails made" in out
    assert TextOfEmail.objects.get().state == TextOfEmail.State.QUEUED


def test_a_failed_broadcast_gives_exit_code_70_and_the_others_go_on(relay):
    a_user()
    a_request(msgtext="{% nonsense %}")
    a_request()
    code, out, _ = run()
    assert code == 70
    assert out.startswith("1 requests processed, 1 failed, 1 mails made, 1 sent")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(relay, monkeypatch, is_terminal):
    stream = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    a_mail()
    run()
    assert ("1 sent" in stream.getvalue()) is is_terminal


def test_a_broadcast_waits_for_its_time(relay):
    a_user()
    request = a_request(processed_by=timezone.now() + timedelta(hours=1))
    run()
    assert not TextOfEmail.objects.exists()
    MessageRequest.objects.update(processed_by=timezone.now())
    run()
    request.refresh_from_db()
    assert request.processed and len(relay.messages) == 1


def test_what_is_too_old_expires_and_is_never_sent(relay):
    a_user()
    old = timezone.now() - timedelta(days=8)
    request, mail = a_request(created_at=old), a_mail()
    TextOfEmail.objects.update(created_at=old)
    code, out, _ = run()
    assert code == 0 and "2 expired" in out
    request.refresh_from_db()
    mail.refresh_from_db()
    assert request.processed and "too old" in request.state_reason
    assert mail.state == TextOfEmail.State.EXPIRED and mail.sent
    assert relay.messages == []


def test_a_broadcast_written_long_before_its_time_does_not_expire(relay):
    a_user()
    now = timezone.now()
    a_request(created_at=now - timedelta(days=30), processed_by=now - timedelta(minutes=1))
    run()
    assert len(relay.messages) == 1


def test_the_first_mails_leave_while_the_rest_is_still_being_made(relay, chunks_of):
    chunks_of(2)
    for n in range(6):
        a_user(f"u{n}")
    request = a_request()
    seen = []

    def look(argument):
        seen.append(argument)

    relay.on("MAIL", look)
    from dbmail.service.passes import run_pass

    made_when_sent = []
    run_pass(progress=lambda report: made_when_sent.append((report.mails, report.sending.sent)))
    request.refresh_from_db()
    assert request.state == MessageRequest.State.DONE
    assert (2, 2) in made_when_sent and (6, 6) in made_when_sent


def test_sending_costs_at_most_1_1_queries_a_mail(relay):
    queued(sending(), 1000)
    with CaptureQueriesContext(connection) as queries:
        run()
    assert len(relay.messages) == 1000
    # The test's own transaction makes savepoints of ours.
    assert sum("SAVEPOINT" not in query["sql"] for query in queries) <= 1.1 * 1000


def test_no_recipient_is_logged_at_info(relay, caplog):
    caplog.set_level("INFO")
    a_user("ann")
    a_request()
    run()
    assert caplog.messages
    assert not [message for message in caplog.messages if "ann@" in message]
