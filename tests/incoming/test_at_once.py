"""The copies of a message leave while its server waits: for a set time, and never twice."""

import time
from types import SimpleNamespace

import pytest

from dbmail.incoming import intake
from dbmail.incoming.at_once import send_at_once
from dbmail.incoming.receivers import PlainList
from dbmail.models import EmailList, PlainRedirect, TextOfEmail
from dbmail.service.passes import send_email_requests
from tests.builders import a_mail
from tests.incoming.builders import letter
from tests.smtp import HANG, TAKE_AND_DROP

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def keep_the_connection(monkeypatch):
    """The gate says goodbye to the database when it is done; a test's transaction goes on."""
    monkeypatch.setattr(intake, "connections", SimpleNamespace(close_all=lambda: None))


class Alias(PlainList):
    preserve_headers = True


EVERYBODY = [f"u{number}@home.test" for number in range(10)]


@pytest.fixture(autouse=True)
def everybody():
    PlainRedirect.objects.create(original="all", destination=", ".join(EVERYBODY))


def take(raw=None):
    return intake.take({"LOCAL_PART": b"all", "DOMAIN": b"example.org", "SENDER": b"a@b.test"}, raw or letter())


def states():
    return sorted(TextOfEmail.objects.values_list("state", flat=True))


def test_the_copies_of_this_message_leave_at_once_and_nothing_else_does(relay):
    other = a_mail("ann@home.test")
    assert take() == 0
    assert sorted(relay.recipients()) == EVERYBODY
    assert relay.connections == 1
    other.refresh_from_db()
    assert other.state == "queued"


def test_the_same_message_again_sends_nothing(relay):
    assert (take(), take()) == (0, 0)
    send_email_requests()
    assert sorted(relay.recipients()) == EVERYBODY


def test_when_the_time_is_over_the_next_pass_sends_the_rest(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {"SEND_SECONDS": 0.2}}
    relay.on("RCPT", lambda _: time.sleep(0.25), nth=3)  # noqa: TID251 - a slow relay is what this is about
    assert take() == 0
    at_once = len(relay.recipients())
    assert 3 <= at_once < 10
    assert "sending" not in states()
    send_email_requests()
    assert sorted(relay.recipients()) == EVERYBODY


def test_a_site_may_leave_it_all_to_the_next_pass(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {"SEND_SECONDS": 0}}
    assert take() == 0
    assert relay.connections == 0
    assert set(states()) == {"queued"}


def test_a_relay_that_does_not_greet_costs_no_more_than_that_time(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {"SEND_SECONDS": 0.3}}
    relay.on("CONNECT", HANG)
    begin = time.monotonic()
    assert take() == 0
    assert time.monotonic() - begin < 3
    assert set(states()) == {"queued"}
    assert set(TextOfEmail.objects.values_list("tries", flat=True)) == {0}
    relay.forget_rules()
    send_email_requests()
    assert sorted(relay.recipients()) == EVERYBODY


def test_a_relay_that_is_down_costs_nothing(relay, use_mailer):
    use_mailer("dbmail.delivery.backends.CustomSMTPBackend", host="127.0.0.1", port=1, timeout=5)
    assert take() == 0
    assert set(states()) == {"queued"}


def test_a_relay_that_hears_the_whole_mail_and_drops_the_line_is_asked_again_later(relay):
    relay.on("BODY", TAKE_AND_DROP, nth=1)
    assert take() == 0
    assert states().count("sent") == 9
    TextOfEmail.objects.filter(state="queued").update(due_at="2026-01-01T00:00Z")
    send_email_requests()
    assert set(states()) == {"sent"}
    assert len(relay.recipients()) == 11  # the one whose answer never came


def test_a_refused_address_does_not_change_what_the_server_is_told(relay):
    relay.reply("RCPT", "u3@home.test", "550 5.1.1 No such user")
    assert take() == 0
    assert TextOfEmail.objects.get(address="u3@home.test").state == "failed"
    assert states().count("sent") == 9


def notices(relay):
    return [mail for mail in relay.messages if "could not be delivered" in str(mail.message["Subject"])]


def test_a_refusal_is_told_as_a_pass_would_tell_it(relay):
    relay.reply("RCPT", "u3@home.test", "550 5.1.1 No such user")
    assert take() == 0
    (notice,) = notices(relay)
    assert "u3@home.test" in notice.message.get_content() and "No such user" in notice.message.get_content()
    send_email_requests()
    assert len(notices(relay)) == 1


def test_a_refused_notice_is_not_told_of_or_there_would_be_no_end(relay):
    PlainRedirect.objects.create(original="joe", destination="x@home.test")
    EmailList.objects.create(regex="^joe$", handler="tests.incoming.test_at_once.Alias", seq=1)
    relay.reply("RCPT", "x@home.test", "550 5.1.1 No such user")
    envelope = {"LOCAL_PART": b"joe", "DOMAIN": b"example.org", "SENDER": b"a@b.test"}
    assert intake.take(envelope, letter("Auto-Submitted: auto-generated")) == 0
    assert states() == ["failed"]
    assert not notices(relay)


def test_what_another_worker_has_claimed_is_left_to_it(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {"SEND_SECONDS": 0}}
    take()
    TextOfEmail.objects.filter(address="u0@home.test").update(state="sending", claimed_by="another")
    report = send_at_once(TextOfEmail.objects.first().forward_id, 5)
    assert report.sent == 9
    assert "u0@home.test" not in relay.recipients()
