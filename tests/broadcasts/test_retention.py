"""Old bodies are emptied, old rows deleted if asked to, and nothing that may still be needed."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from dbmail.broadcasts.expire import purge
from dbmail.models import Attempt, EmailList, IncomingMessage, MailEvent, PlainRedirect, TextOfEmail

from ..builders import a_mail, a_request, a_user
from ..incoming.builders import letter, post

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def ago(days):
    return timezone.now() - days * DAY


def run(*words):
    out = io.StringIO()
    call_command("dbmail_purge", *words, stdout=out)
    return out.getvalue().strip()


def a_mail_of(days, state="sent", **fields):
    return a_mail(f"{state}{days}@home.test", state=state, sent=ago(days), plaintext="x", **fields)


def test_bodies_of_old_mails_are_emptied_and_what_was_noted_stays():
    old, new = a_mail_of(100), a_mail_of(80)
    assert run().startswith("1 bodies")
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.msgtext, old.plaintext, old.subject, old.state) == ("", "", "Hello", "sent")
    assert new.msgtext == "A body"
    assert run().startswith("0 bodies")


@pytest.mark.parametrize("state", ["queued", "sending", "failed", "expired", "in_doubt"])
def test_what_can_still_be_sent_keeps_its_body(state):
    a_mail_of(1000, state)
    assert not purge(DAY, DAY)
    assert TextOfEmail.objects.get().msgtext


def test_incoming_messages_are_emptied_but_not_those_that_wait_for_somebody():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")
    post("directors@example.org", letter(body=b"queued"))
    post("nobody@example.org", letter(body=b"unknown"))
    EmailList.objects.update(admin_hold=True)
    post("directors@example.org", letter(body=b"held").replace(b"one@", b"two@"))
    assert not purge(DAY, DAY)
    IncomingMessage.objects.update(received_at=ago(31))
    assert "1 incoming messages emptied" in run()
    assert set(IncomingMessage.objects.exclude(raw=b"").values_list("state", flat=True)) == {"handled", "held"}
    TextOfEmail.objects.update(state="sent", sent=ago(1))
    assert "1 incoming messages emptied" in run()
    assert set(IncomingMessage.objects.exclude(raw=b"").values_list("state", flat=True)) == {"held"}


def test_rows_are_deleted_only_if_asked_to_with_all_that_hangs_on_them():
    old, new = a_mail_of(400), a_mail_of(300)
    Attempt.objects.create(textofemail=old, at=ago(400), outcome="sent", host="h", message_id="1")
    MailEvent.objects.create(textofemail=old, address=old.address, event_type="delivered", source="dsn")
    run()
    assert TextOfEmail.objects.count() == 2
    assert "1 mails and 0 incoming messages deleted" in run("--rows=365")
    assert list(TextOfEmail.objects.all()) == [new]
    assert not Attempt.objects.exists()
    assert not MailEvent.objects.exists()


def test_the_rows_of_a_broadcast_that_is_still_being_made_stay():
    a_user()
    request = a_request()
    a_mail_of(400, messagerequest=request)
    assert "0 mails" in run("--rows=365")
    request.processed = True
    request.save()
    assert "1 mails" in run("--rows=365")


def test_incoming_messages_are_deleted_after_their_copies():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")
    post("directors@example.org")
    IncomingMessage.objects.update(received_at=ago(400))
    assert "0 mails and 0 incoming messages deleted" in run("--rows=365")
    TextOfEmail.objects.update(state="sent", sent=ago(399))
    assert "1 mails and 1 incoming messages deleted" in run("--rows=365")
    assert not IncomingMessage.objects.exists()


def test_a_dry_run_says_the_same_and_changes_nothing():
    a_mail_of(400)
    post("nobody@example.org")
    IncomingMessage.objects.update(received_at=ago(400))
    said = run("--rows=365", "--dry-run")
    assert (
        said == "It would be: 1 bodies of mails and 1 incoming messages emptied, "
        "1 mails and 1 incoming messages deleted"
    )
    assert TextOfEmail.objects.get().msgtext
    assert bytes(IncomingMessage.objects.get().raw)
    assert said.endswith(run("--rows=365"))


def test_it_goes_in_steps_that_leave_nothing_out(django_assert_max_num_queries):
    for number in range(25):
        a_mail_of(100 + number)
    TextOfEmail.objects.filter(pk__in=list(TextOfEmail.objects.values_list("pk", flat=True)[3:9])).delete()
    with django_assert_max_num_queries(30):
        assert purge(DAY, DAY, step=4).bodies == 19


@pytest.mark.parametrize("words", [["--rows=29"], ["--rows=50"], ["--bodies=0"], ["--bodies=-1"], ["--bodies=x"]])
def test_wrong_arguments_are_refused(words):
    with pytest.raises(CommandError):
        run(*words)
