"""What goes over the wire from several connections at a time, and in which order."""

import select
import socket
import threading
from contextlib import contextmanager

import pytest

from dbmail.addresses import parse_mailbox
from dbmail.delivery.connection import configured_backend
from dbmail.delivery.message import Mail
from dbmail.exceptions import RelayUnavailable
from dbmail.models import TextOfEmail
from dbmail.queue.lane import Answered, Begun, Job
from dbmail.queue.lanes import Lanes
from dbmail.service.passes import send_email_requests

from ..smtp import ScriptedSMTPServer
from .test_claim import queued, sending

pytestmark = pytest.mark.django_db
State = TextOfEmail.State


@pytest.fixture(autouse=True)
def one_connection(settings):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 1}


@contextmanager
def a_relay(use_mailer, serve, once=False):
    """`serve(file)` talks to whoever connects, one at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)
    failures = []

    def run():
        try:
            sock, _ = listener.accept()
            if once:
                listener.close()
            with sock:
                sock.settimeout(20)
                serve(sock)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    host, port = listener.getsockname()
    use_mailer("dbmail.delivery.backends.CustomSMTPBackend", host=host, port=port, timeout=10)
    try:
        yield
    finally:
        thread.join(30)
        listener.close()
        assert failures == []


class Talk:
    def __init__(self, sock):
        self.sock, self.seen = sock, b""
        sock.sendall(b"220 hello\r\n")
        self.until(b"ehlo", b"\r\n")
        self.say(b"250-hello\r\n250 PIPELINING\r\n")

    def until(self, *marks):
        for mark in marks:
            while mark not in self.seen:
                data = self.sock.recv(65536)
                assert data, f"closed before {mark!r}, after {self.seen!r}"
                self.seen += data
            self.seen = self.seen.partition(mark)[2]

    def say(self, data):
        self.sock.sendall(data)


def the_first_mail(talk):
    """It goes alone: its domain may be a slow one."""
    talk.until(b"MAIL FROM", b"DATA\r\n")
    talk.say(b"250 ok\r\n250 ok\r\n354 go\r\n")
    talk.until(b"\r\n.\r\n")
    talk.say(b"250 taken\r\n")
    talk.until(b"MAIL FROM", b"DATA\r\n")


def test_the_commands_for_the_next_mail_come_with_the_end_of_the_last_one(use_mailer):
    queued(sending(), 4)

    def serve(sock):
        talk = Talk(sock)
        the_first_mail(talk)
        for last in (False, False, True):
            talk.say(b"250 ok\r\n250 ok\r\n354 go\r\n")
            talk.until(b"\r\n.\r\n")
            if not last:
                # Nothing has been said of the mail that ended; and what follows is no message yet.
                talk.until(b"MAIL FROM", b"DATA\r\n")
                assert talk.seen == b""
            talk.say(b"250 taken\r\n")
        talk.until(b"quit")
        talk.say(b"221 bye\r\n")

    with a_relay(use_mailer, serve):
        assert send_email_requests().sent == 4


@pytest.mark.parametrize("goodbye", [b"", b"421 4.3.2 shutting down\r\n"])
def test_a_relay_that_goes_after_a_mail_does_not_take_the_next_one_with_it(use_mailer, goodbye):
    queued(sending(), 3)

    def serve(sock):
        talk = Talk(sock)
        the_first_mail(talk)
        talk.say(b"250 ok\r\n250 ok\r\n354 go\r\n")
        talk.until(b"\r\n.\r\n", b"DATA\r\n")
        talk.say(b"250 taken\r\n" + goodbye)
        sock.close()
        # It listens no more: the last mail finds nobody, and has spent no try.

    with pytest.raises(RelayUnavailable), a_relay(use_mailer, serve, once=True):
        send_email_requests()
    states = TextOfEmail.objects.order_by("pk").values_list("state", "tries")
    assert list(states) == [(State.SENT, 0), (State.SENT, 0), (State.QUEUED, 0)]


def test_replies_cut_into_single_bytes_are_replies(use_mailer):
    queued(sending(), 3)

    def in_bytes(sock, data):
        for byte in data:
            sock.sendall(bytes([byte]))

    def serve(sock):
        talk = Talk(sock)
        the_first_mail(talk)
        for last in (False, True):
            in_bytes(sock, b"250-one\r\n250 two\r\n250 ok\r\n354 go\r\n")
            talk.until(b"\r\n.\r\n")
            if not last:
                talk.until(b"DATA\r\n")
            in_bytes(sock, b"250-2.0.0 taken\r\n250 2.0.0 at last\r\n")
        talk.until(b"quit")
        talk.say(b"221 bye\r\n")

    with a_relay(use_mailer, serve):
        assert send_email_requests().sent == 3


@pytest.mark.parametrize("encryption", ["use_tls", "use_ssl"])
def test_mails_big_and_small_pass_through_tls(encryption, use_mailer, settings, monkeypatch):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 3}
    rows = queued(sending(), 40)
    big = "0123456789abcdef" * 4 + "\n"
    for row in rows[::10]:
        row.msgtext = big * 50_000  # more than any socket takes at once
    TextOfEmail.objects.bulk_update(rows[::10], ["msgtext"])
    with ScriptedSMTPServer(tls=encryption == "use_tls", implicit_tls=encryption == "use_ssl") as relay:
        monkeypatch.setenv("SSL_CERT_FILE", str(relay.certificate))
        backend = "dbmail.delivery.backends.CustomSMTPBackend"
        use_mailer(backend, host="localhost", port=relay.port, **{encryption: True})
        assert send_email_requests().sent == 40
    assert sorted(relay.recipients()) == sorted(row.address for row in rows)
    assert all(message.tls for message in relay.messages)
    bodies = [message.data.partition(b"\r\n\r\n")[2] for message in relay.messages]
    assert sorted(len(body) for body in bodies if len(body) > 1000) == [66 * 50_000] * 4


def test_what_a_relay_says_while_the_database_takes_note_is_not_the_reply_to_the_mail(use_mailer):
    """It comes after all replies that are owed were heard, and before the end of the mail is sent."""
    noting = threading.Event()

    def serve(sock):
        talk = Talk(sock)
        talk.until(b"DATA\r\n")
        talk.say(b"250 ok\r\n250 ok\r\n354 go\r\n")
        noting.wait(20)
        talk.say(b"250 taken\r\n")
        assert sock.recv(1000) == b""

    ann = parse_mailbox("ann@example.org")
    with a_relay(use_mailer, serve):
        backend = configured_backend()
        lanes = Lanes(lambda: backend)
        lanes.open(1)
        lanes.add(Job(TextOfEmail(pk=1), Mail("Hello", "Text", ann, (ann,), "b@example.org")))
        while not any(isinstance(event, Begun) for event in lanes.wait(5)):
            pass
        noting.set()
        assert select.select([backend.connection.sock], [], [], 20)[0]
        lanes.go_on()
        (outcome,) = lanes.wait(5)
        assert isinstance(outcome, Answered) and outcome.reply.lost
        assert "before it was asked: '250 taken" in outcome.reply.text
        lanes.close(politely=True)
