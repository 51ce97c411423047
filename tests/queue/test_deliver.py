"""Sending what is due, with a relay that says and does what the test wants."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dbmail.exceptions import MailRefused, RelayUnavailable
from dbmail.models import Attempt, MessageRequest, Suppression, TextOfEmail
from dbmail.queue import one
from dbmail.queue.deliver import Sender
from dbmail.service.passes import send_email_requests

from ..builders import a_mail, a_request
from ..smtp import DROP, HANG, TAKE_AND_DROP
from .test_claim import queued, sending

pytestmark = pytest.mark.django_db
State = TextOfEmail.State


def states():
    return dict(TextOfEmail.objects.values_list("address", "state"))


def test_all_mails_of_a_pass_share_one_connection(relay):
    queued(sending(), 30)
    report = send_email_requests()
    assert (report.sent, relay.connections, len(relay.messages)) == (30, 1, 30)
    assert set(states().values()) == {State.SENT}
    assert Attempt.objects.filter(code=250, outcome="sent", host=f"127.0.0.1:{relay.port}").count() == 30


def test_several_connections_share_the_work_and_send_each_mail_once(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 4}
    queued(sending(), 200)
    assert send_email_requests().sent == 200
    assert len(set(relay.recipients())) == len(relay.recipients()) == 200
    assert relay.connections == 4


def test_a_sent_mail_is_not_sent_again(relay):
    mail = a_mail()
    assert mail.send() is None
    assert isinstance(mail.send(), Exception)
    assert send_email_requests().sent == 0
    assert relay.recipients() == ["ann@example.org"]


def test_each_mail_has_a_signed_return_path_and_its_own_message_id(relay):
    from dbmail.delivery.return_path import read

    mail = a_mail()
    mail.send()
    assert read(relay.messages[0].mail_from) == mail.pk
    assert relay.messages[0].message["Message-ID"] == f"<{mail.message_id}>"


def test_a_refusal_for_now_is_tried_again_later_and_arrives(relay):
    relay.reply("RCPT", "", "450 4.2.0 Greylisted", times=1)
    mail = a_mail()
    report = send_email_requests()
    mail.refresh_from_db()
    assert (report.deferred, mail.tries, mail.state, mail.sent) == (1, 1, State.QUEUED, None)
    assert mail.due_at > timezone.now() + timedelta(minutes=10)
    assert send_email_requests().sent == 0
    TextOfEmail.objects.update(due_at=timezone.now())
    assert send_email_requests().sent == 1
    assert list(mail.attempt_set.order_by("pk").values_list("outcome", "code")) == [("deferred", 450), ("sent", 250)]


def test_a_refusal_for_good_fails_at_once_and_is_reported_to_the_creator(relay):
    relay.reply("RCPT", "n0@", "550 5.1.1 No such user")
    relay.reply("RCPT", "n1@", "550 5.2.2 Mailbox full")
    request = sending()
    rows = queued(request, 3)
    report = send_email_requests()
    assert (report.sent, report.failed_count) == (1, 2)
    assert [states()[row.address] for row in rows] == [State.FAILED, State.FAILED, State.SENT]
    assert [row.address for row in Suppression.objects.all()] == [rows[0].address]
    notice = relay.messages[-1]
    assert notice.rcpt_tos == ["admin@example.org", "bounces@example.org"]
    assert "550 5.1.1 No such user" in notice.message.get_content()
    assert notice.message["Subject"] == "2 mails could not be delivered"
    request.refresh_from_db()
    assert request.state == MessageRequest.State.DONE


def test_a_report_of_very_many_failures_stays_readable(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "BREAKER": {"SHARE": 0}}
    relay.reply("RCPT", "n", "550 5.2.2 No", times=300)
    queued(sending(), 300)
    assert send_email_requests().failed_count == 300
    assert len(relay.messages) == 1
    assert "and 280 more" in relay.messages[0].message.get_content()
    assert len(relay.messages[0].data) < 5000


def test_tries_end(relay, settings):
    settings.EMAILRETRIES = 2
    relay.reply("RCPT", "", "450 4.2.0 Later", times=2)
    mail = a_mail()
    for _ in range(2):
        TextOfEmail.objects.update(due_at=timezone.now())
        send_email_requests()
    mail.refresh_from_db()
    assert (mail.state, mail.tries) == (State.FAILED, 2)
    assert "2 tries have failed" in mail.last_reply


def test_a_relay_that_is_down_costs_no_try(use_mailer):
    use_mailer("dbmail.models.CustomSMTPBackend", host="127.0.0.1", port=1)
    mail = a_mail()
    with pytest.raises(RelayUnavailable, match=r"127\.0\.0\.1:1"):
        send_email_requests()
    mail.refresh_from_db()
    assert (mail.state, mail.tries, mail.claimed_by) == (State.QUEUED, 0, "")
    assert isinstance(mail.send(), RelayUnavailable)
    assert (mail.state, mail.tries) == (State.QUEUED, 0)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("CONNECT", "554 Go away"),
        ("CONNECT", "421 Too many connections"),
        ("CONNECT", DROP),
        ("EHLO", DROP),
        ("MAIL", "550 5.7.1 Sender refused"),
        ("MAIL", "421 4.3.2 Storm"),
        ("MAIL", DROP),
        ("RCPT", "550 5.1.8 Sender verify failed"),
    ],
)
def test_what_no_mail_is_to_blame_for_costs_no_try_and_ends_the_pass(relay, command, reply):
    relay.on(command, reply)
    queued(sending(), 40)
    with pytest.raises(RelayUnavailable):
        send_email_requests()
    assert set(TextOfEmail.objects.values_list("state", "tries", "claimed_by")) == {(State.QUEUED, 0, "")}
    assert relay.messages == []
    assert relay.count("MAIL") < 20
    relay.forget_rules()
    TextOfEmail.objects.update(due_at=timezone.now())
    assert send_email_requests().sent == 40


def test_a_relay_that_closes_the_line_now_and_then_gets_everything_once(relay):
    for n in (3, 7, 8):
        relay.on("MAIL", "421 4.3.2 Enough", nth=n)
    relay.on("MAIL", DROP, nth=12)
    queued(sending(), 20)
    assert send_email_requests().sent == 20
    assert sorted(set(relay.recipients())) == sorted(relay.recipients())
    assert TextOfEmail.objects.filter(tries__gt=0).count() == 0


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_line_dropped_in_the_middle_costs_one_mail_a_try(relay, command):
    relay.on(command, DROP, nth=2)
    queued(sending(), 5)
    assert send_email_requests().sent == 4
    assert list(TextOfEmail.objects.filter(state=State.QUEUED).values_list("tries", flat=True)) == [1]


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_a_mail_that_may_have_arrived_is_resent_with_its_message_id_or_held(relay, settings, policy):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": policy}
    relay.on("BODY", TAKE_AND_DROP, nth=1)
    mail = a_mail()
    send_email_requests()
    mail.refresh_from_db()
    assert mail.state == (State.QUEUED if policy == "resend" else State.IN_DOUBT)
    TextOfEmail.objects.update(due_at=timezone.now())
    send_email_requests()
    ids = [message.message["Message-ID"] for message in relay.messages]
    assert ids == [f"<{mail.message_id}>"] * (2 if policy == "resend" else 1)


def test_a_mail_of_ten_megabytes_arrives_whole(relay):
    line = "Ten megabytes of text, forty characters.\n"
    a_mail(msgtext=line * 256_000)
    assert send_email_requests().sent == 1
    assert relay.messages[0].message.get_content().replace("\r\n", "\n") == line * 256_000


def test_holding_what_is_in_doubt_sends_everything_once_too(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": "hold", "CONNECTIONS": 3}
    queued(sending(), 50)
    assert send_email_requests().sent == 50
    assert len(set(relay.recipients())) == 50


def test_a_relay_that_hangs_is_left_after_the_time_out(relay, use_mailer):
    use_mailer("dbmail.models.CustomSMTPBackend", host=relay.host, port=relay.port, timeout=0.3)
    relay.on("RCPT", HANG, nth=1)
    rows = queued(sending(), 3)
    assert send_email_requests().sent == 2
    assert TextOfEmail.objects.get(pk=rows[0].pk).tries == 1


def test_a_connection_that_cannot_be_had_leaves_the_work_to_the_others(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 3}
    relay.reply("CONNECT", "", "421 Too many connections", nth=2)
    queued(sending(), 30)
    assert send_email_requests().sent == 30


@pytest.mark.parametrize("spoil", [{"send_to": "no address"}, {"send_from": "x\ny"}])
def test_a_spoiled_row_fails_by_itself(relay, spoil):
    bad, good = a_mail("bad@example.org"), a_mail("good@example.org")
    TextOfEmail.objects.filter(pk=bad.pk).update(**spoil)
    report = send_email_requests()
    assert (report.sent, report.failed_count) == (1, 1)
    bad.refresh_from_db()
    assert bad.state == State.FAILED and bad.last_reply
    assert "good@example.org" in relay.recipients()
    assert good.send() is not None


def test_a_broadcast_that_is_deleted_meanwhile_disturbs_nobody(relay):
    doomed, other = sending(), sending()
    queued(doomed, 3)
    queued(other, 3)
    deleted = []
    with Sender(progress=lambda: deleted or deleted.append(doomed.delete())) as sender:
        sender.drain()
    assert sender.report.sent == 6  # what was claimed is sent; nothing is left to mark, and nothing breaks
    assert TextOfEmail.objects.filter(state=State.SENT).count() == 3
    assert Attempt.objects.count() == 3


def test_pausing_and_resuming_and_cancelling(relay):
    request = sending()
    queued(request, 3)
    assert request.pause() and not request.pause()
    assert send_email_requests().sent == 0
    assert request.resume() and not request.resume()
    assert request.cancel() and not request.cancel()
    assert send_email_requests().sent == 0
    assert set(states().values()) == {State.CANCELLED}
    assert relay.connections == 0


def test_send_returns_the_exception_and_keeps_the_count(relay):
    relay.reply("RCPT", "", "450 4.2.1 Later")
    mail = a_mail()
    error = mail.send()
    assert isinstance(error, MailRefused) and "450 4.2.1 Later" in str(error)
    assert (mail.tries, mail.sent, mail.state) == (1, None, State.QUEUED)


@pytest.mark.parametrize(
    "backend",
    [
        "django.core.mail.backends.locmem.EmailBackend",
        "django.core.mail.backends.console.EmailBackend",
        "django.core.mail.backends.filebased.EmailBackend",
        "anymail.backends.test.EmailBackend",
    ],
)
def test_any_other_backend_delivers_too(backend, use_mailer, tmp_path):
    use_mailer(backend, **({"file_path": str(tmp_path)} if "file" in backend else {}))
    queued(sending(), 5)
    assert send_email_requests().sent == 5
    assert set(Attempt.objects.values_list("host", flat=True)) == {backend}


def test_an_error_of_another_backend_costs_its_mail_a_try(use_mailer):
    use_mailer(f"{__name__}.FailingBackend")
    queued(sending(), 2)
    report = send_email_requests()
    assert (report.sent, report.deferred) == (1, 1)
    assert "RuntimeError: out of stamps" in TextOfEmail.objects.get(tries=1).last_reply


class FailingBackend:
    def __init__(self, alias=None, **options):
        self.sent = 0

    def open(self):
        pass

    def close(self):
        pass

    def send_messages(self, messages):
        self.sent += 1
        if self.sent == 1:
            raise RuntimeError("out of stamps")
        return 1


def test_a_hand_made_row_needs_only_the_reference_s_fields(relay):
    request = a_request(state=MessageRequest.State.SENDING)
    mail = TextOfEmail.objects.create(
        messagerequest=request,
        send_to='"Ann" <Ann@example.org>',
        send_from="info@example.org",
        subject="Hello",
        msgtext="Text",
        created_at=timezone.now(),
    )
    assert mail.address == "ann@example.org"
    assert mail.send() is None
    assert relay.recipients() == ["Ann@example.org"]


@pytest.mark.parametrize("in_doubt", ["resend", "hold"])
def test_a_mail_that_is_sent_by_itself_is_begun_like_one_of_a_pass(relay, settings, monkeypatch, in_doubt):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": in_doubt}
    mail, begun = a_mail(), []
    transmit = one.transmit

    def look(before_end=lambda: None):
        before_end()
        begun.append(TextOfEmail.objects.get(pk=mail.pk).begun)

    monkeypatch.setattr(
        one, "transmit", lambda smtp, wire, before_end: look() or transmit(smtp, wire, lambda: look(before_end))
    )
    assert mail.send() is None
    assert begun == [False, in_doubt == "hold"]
