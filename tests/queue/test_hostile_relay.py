"""Relays that do not keep to SMTP, by accident or on purpose: no mail is lost or taken for something else, and nothing
waits for ever."""

import tracemalloc
from base64 import b64encode
from contextlib import suppress
from smtplib import SMTPException

import pytest
from django.core.mail import send_mail as djangos_send_mail
from django.utils import timezone

from dbmail.exceptions import RelayUnavailable
from dbmail.models import Attempt, RelayTrouble, TextOfEmail, send_mail
from dbmail.service.passes import run_pass, send_email_requests

from ..builders import a_mail
from ..hostile import HostileRelay, Turn
from ..smtp import ScriptedSMTPServer
from .test_claim import queued, sending

pytestmark = pytest.mark.django_db
State = TextOfEmail.State
BACKEND = "dbmail.delivery.backends.CustomSMTPBackend"
DJANGOS = "django.core.mail.backends.smtp.EmailBackend"
GREETING, EHLO, MAIL, RCPT, DATA, END = range(6)


@pytest.fixture(autouse=True)
def one_connection(settings):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 1}


@pytest.fixture(params=["pipelining", "one by one"])
def hostile(request, use_mailer):
    """Starts a relay that says the turns it is given, by their place in the first conversation."""
    started = []

    def start(turns=None, backend=BACKEND, timeout=5, username=None, password=None, **options):
        said = [(turns or {}).get(place, Turn()) for place in range(max(turns or {}, default=-1) + 1)]
        relay = HostileRelay(said, pipelining=request.param == "pipelining", **options)
        started.append(relay.__enter__())
        login = {"username": username, "password": password} if username else {}
        use_mailer(backend, host=relay.host, port=relay.port, timeout=timeout, **login)
        return relay

    yield start
    for relay in started:
        relay.__exit__()


def by_pass(row):
    send_email_requests()
    row.refresh_from_db()


def by_itself(row):
    row.send()


def texts(relay):
    """What a relay was told between DATA and a lone dot, without what our notices say."""
    return [text for text in relay.texts if b"could not be delivered" not in text.data]


both_ways = pytest.mark.parametrize("send", [by_pass, by_itself])


def again(row, send):
    TextOfEmail.objects.update(due_at=timezone.now())
    send(row)
    return row.state


@both_ways
@pytest.mark.parametrize("backend", [BACKEND, DJANGOS])
@pytest.mark.parametrize("reply", ["250 2.0.0 OK", "220 Hello", "300 Well", "355 Nearly"])
def test_without_354_the_text_of_a_mail_is_never_sent(hostile, send, backend, reply):
    relay = hostile({DATA: Turn(f"{reply}\r\n".encode())}, backend)
    row = a_mail(msgtext="QUIT\nRSET\n")
    send(row)
    assert (row.state, row.tries) == (State.QUEUED, 1)
    assert f"answered DATA with “{reply}”, which is no answer to it" in row.last_reply
    assert again(row, send) == State.SENT
    assert [text.partition(b"\r\n\r\n")[2] for text in relay.taken] == [b"QUIT\r\nRSET\r\n"]
    assert {line[:4].upper() for line in relay.commands} <= {b"EHLO", b"MAIL", b"RCPT", b"DATA", b"QUIT"}
    assert relay.connections == 2


@both_ways
def test_a_mail_is_not_sent_because_of_a_reply_that_came_before_its_text(hostile, send):
    relay = hostile({DATA: Turn(ahead=b"250 2.0.0 Taken\r\n"), END: Turn(b"550 5.7.1 Spam\r\n")})
    row = a_mail()
    send(row)
    assert (row.state, row.tries, relay.texts) == (State.QUEUED, 1, [])
    assert "spoke before it was asked: '250 2.0.0 Taken" in row.last_reply
    assert again(row, send) == State.SENT


@both_ways
@pytest.mark.parametrize(
    ("early", "state", "word"),
    [(b"250 2.0.0 OK\r\n", State.QUEUED, "before it was asked"), (b"552 5.3.4 No\r\n", State.FAILED, "552 5.3.4 No")],
)
def test_what_is_said_in_the_middle_of_a_mail_is_at_most_its_refusal(hostile, send, early, state, word):
    relay = hostile(early=early)
    row = a_mail(msgtext="0123456789abcdef\n" * 500_000)
    send(row)
    assert row.state == state and word in row.last_reply
    assert texts(relay) == []


@pytest.mark.parametrize("hostile", ["pipelining"], indirect=True)
def test_a_mail_that_was_refused_for_everybody_does_not_leave_a_command_in_the_next_one(hostile):
    """RFC 2920, 3.1: a relay may say 354 although it took no recipient."""
    rows = queued(sending(), 4)
    second = {6: Turn(), 7: Turn(b"550 5.1.1 No such user\r\n"), 8: Turn(b"354 Go ahead\r\n")}
    relay = hostile({**second, 9: Turn(b"554 5.5.1 No valid recipients\r\n")})
    send_email_requests()
    states = [TextOfEmail.objects.get(pk=row.pk).state for row in rows]
    assert states == [State.SENT, State.FAILED, State.SENT, State.SENT]
    assert [text.data for text in texts(relay)].count(b"") == 1 and len(texts(relay)) == 4
    assert not any(b"RSET" in text.data or b"MAIL FROM" in text.data for text in relay.texts)
    assert {text.connection for text in texts(relay)} == {1}


@pytest.mark.parametrize("hostile", ["pipelining"], indirect=True)
def test_the_end_of_a_mail_for_nobody_may_break_the_connection(hostile):
    rows = queued(sending(), 3)
    second = {7: Turn(b"550 5.1.1 No such user\r\n"), 8: Turn(b"354 Go ahead\r\n"), 9: Turn(b"", close=True)}
    hostile(second)
    report = send_email_requests()
    assert (report.sent, report.failed_count) == (2, 1)
    assert TextOfEmail.objects.get(pk=rows[1].pk).state == State.FAILED


@pytest.mark.parametrize("hostile", ["pipelining"], indirect=True)
def test_a_relay_that_refuses_the_sender_and_wants_the_mail_gets_none_not_even_an_empty_one(hostile):
    first, second = queued(sending(), 2)
    relay = hostile({MAIL: Turn(b"451 4.3.0 Later\r\n")})
    send_email_requests()
    first.refresh_from_db()
    assert (
        first.state == State.QUEUED and "refused the sender (451 4.3.0 Later) and wanted the mail" in first.last_reply
    )
    assert [text.data.partition(b"\r\n")[0].decode() for text in relay.texts] == [f"To: {second.send_to}"]
    assert relay.rests == [b""]


@both_ways
@pytest.mark.parametrize("place", [MAIL, RCPT, DATA, END])
@pytest.mark.parametrize(
    "reply",
    [
        b"300 What?\r\n",
        b"250-yes\r\n550 no\r\n",
        b"250-yes\r\n354 no\r\n",
        b"250 line feed\n",
        b"250 carriage\rreturn\r\n",
        b"250 \0\r\n",
        b"250ok\r\n",
        b"199 ok\r\n",
        b"ok\r\n",
    ],
)
def test_what_is_no_answer_ends_the_connection_and_the_mail_goes_over_another(hostile, send, place, reply):
    relay = hostile({place: Turn(reply)})
    row = a_mail()
    send(row)
    if place > MAIL:
        assert row.state == State.QUEUED
        assert "no SMTP reply" in row.last_reply or "no answer" in row.last_reply
    assert row.state == State.SENT or again(row, send) == State.SENT
    assert relay.connections == 2


@both_ways
def test_words_in_another_encoding_are_words_all_the_same(hostile, send):
    """A relay may quote what another said to it; the code is what counts."""
    hostile({END: Turn("250 2.0.0 Angenommen, schönen Gruß\r\n".encode("latin-1"))})
    row = a_mail()
    send(row)
    assert row.state == State.SENT


@both_ways
@pytest.mark.parametrize("place", [GREETING, EHLO, MAIL, RCPT, DATA])
@pytest.mark.parametrize("ahead", [b"250 2.0.0 OK\r\n", b"354 Go\r\n", b"550 5.1.1 No\r\n", b"250"])
def test_nothing_more_is_said_to_a_relay_that_talks_ahead(hostile, send, place, ahead):
    relay = hostile({place: Turn(ahead=ahead)})
    row = a_mail()
    with suppress(RelayUnavailable):
        send(row)
    row.refresh_from_db()
    assert row.state == State.SENT or again(row, send) == State.SENT
    assert [text.connection for text in relay.texts] == [2]


def test_a_reply_too_many_after_a_mail_is_not_the_next_one_s(hostile):
    rows = queued(sending(), 3)
    relay = hostile({END: Turn(ahead=b"550 5.1.1 No such user\r\n")})
    assert send_email_requests().sent == 3
    assert len(relay.taken) == len(rows) and relay.connections == 2


@pytest.mark.parametrize("place", [GREETING, EHLO, MAIL, RCPT, DATA, END])
@pytest.mark.parametrize(
    "reply",
    [b"", b"421 4.3.2 Going\r\n", b"421-4.3.2 Go\r\n", b"250-a\r\n550 b\r\n", b"250 line feed\n", b"250 \0\r\n"],
)
def test_a_relay_that_breaks_off_at_any_point_loses_nothing(hostile, place, reply):
    queued(sending(), 3)
    relay = hostile({place: Turn(reply, close=True)})
    for _ in range(3):
        TextOfEmail.objects.update(due_at=timezone.now())
        try:
            send_email_requests()
        except RelayUnavailable:
            assert place <= MAIL
    assert set(TextOfEmail.objects.values_list("state", flat=True)) == {State.SENT}
    assert len({data.partition(b"\r\n")[0] for data in relay.taken}) == 3
    assert place == END or len(relay.taken) == 3  # it may have meant to take what it did not say clearly


@both_ways
@pytest.mark.parametrize("place", [GREETING, EHLO, MAIL, RCPT, DATA, END])
@pytest.mark.parametrize("endless", [b"250-and so on\r\n" * 5000, b"x" * 70_000], ids=["lines", "a line"])
def test_a_reply_without_an_end_costs_no_memory(hostile, send, place, endless):
    relay = hostile({place: Turn(b"250-Well\r\n", endless=endless)})
    row = a_mail()
    tracemalloc.start()
    with suppress(RelayUnavailable):
        send(row)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000
    assert all(text.connection > 1 or place == END for text in relay.texts)


@both_ways
@pytest.mark.parametrize("hostile", ["one by one"], indirect=True)
@pytest.mark.parametrize("place", [GREETING, EHLO, MAIL, END])
def test_a_reply_that_comes_byte_by_byte_has_the_time_of_one_reply(hostile, send, place):
    """No byte is as long in coming as the time-out."""
    relay = hostile({place: Turn(b"250 ", endless=b"x", pause=0.05)}, timeout=0.3)
    with suppress(RelayUnavailable):
        send(a_mail())
    assert relay.taken == [] or place >= MAIL


@both_ways
@pytest.mark.parametrize("place", [GREETING, MAIL, RCPT, END])
def test_what_a_relay_says_is_kept_in_one_line_without_control_characters(hostile, send, place, caplog):
    said = "554-\x1b[2J\x1b]0;owned\x07 No\r\n554 \u202e\u2028evil\x7f\x85 ".encode() + b"\xff" + b"x" * 5000 + b"\r\n"
    hostile({place: Turn(said)})
    row = a_mail()
    kept = []
    try:
        send(row)
    except RelayUnavailable as error:
        kept.append(str(error))
        row.refresh_from_db()
    kept += [row.last_reply, *Attempt.objects.values_list("text", flat=True), *caplog.messages]
    assert any("No" in text and "evil" in text for text in kept)
    assert all(text.isprintable() and len(text) < 1200 for text in kept), kept


@pytest.mark.parametrize("size", ["²", "9" * 5000, "-1", "x"])
def test_a_size_that_is_no_number_is_none(hostile, size):
    hostile(offers=(f"SIZE {size}".encode("latin-1"),))
    a_mail()
    assert send_email_requests().sent == 1


@both_ways
def test_what_comes_before_tls_is_not_taken_for_the_relay_s(send, use_mailer, monkeypatch):
    with ScriptedSMTPServer(tls=True) as relay:
        monkeypatch.setenv("SSL_CERT_FILE", relay.certificate)
        relay.reply("STARTTLS", "", "220 Go ahead\n250-relay\n250 AUTH PLAIN", times=1)
        use_mailer(BACKEND, host="localhost", port=relay.port, use_tls=True, timeout=5)
        row = a_mail()
        try:
            send(row)
        except RelayUnavailable:
            row.refresh_from_db()
        assert row.state == State.QUEUED
        assert relay.count("EHLO") == 1 and relay.messages == []
        assert again(row, send) == State.SENT


def test_a_password_is_not_told_to_a_relay_that_talks_ahead(hostile):
    relay = hostile({EHLO: Turn(ahead=b"235 Welcome\r\n")}, offers=(b"AUTH PLAIN",), username="ann", password="s3cret")
    a_mail()
    with pytest.raises(RelayUnavailable, match="before it was asked"):
        send_email_requests()
    assert [line[:4] for line in relay.commands] == [b"ehlo"]
    TextOfEmail.objects.update(due_at=timezone.now())
    assert send_email_requests().sent == 1
    assert b"AUTH" in [line[:4] for line in relay.commands]


def test_mail_that_is_sent_at_once_keeps_to_the_same_protocol(hostile):
    relay = hostile({DATA: Turn(b"250 2.0.0 OK\r\n")})
    with pytest.raises(Exception, match="which is no answer to it"):
        send_mail("Hello", "RSET", "info@example.org", "ann@example.org")
    assert relay.texts == [] and b"RSET" not in relay.commands
    assert send_mail("Hello", "RSET", "info@example.org", "ann@example.org") == 1


@pytest.mark.parametrize("hostile", ["one by one"], indirect=True)
@pytest.mark.parametrize("reply", [b"535 5.7.8 Bad: %s\r\n", b"535-5.7.8\r\n535%s\r\n"], ids=["refused", "no reply"])
@pytest.mark.parametrize("secret", [b"s3cret", b64encode(b"\0ann\0s3cret")], ids=["as it is", "as it was sent"])
def test_a_relay_that_repeats_the_password_tells_nobody(hostile, reply, secret, caplog):
    hostile({2: Turn(reply % secret)}, offers=(b"AUTH PLAIN",), username="ann", password="s3cret")
    a_mail()
    told = [run_pass().trouble]
    hostile({2: Turn(reply % secret)}, offers=(b"AUTH PLAIN",), username="ann", password="s3cret")
    send_mail("Hello", "Text", "info@example.org", "ann@example.org", fail_silently=True)
    hostile({2: Turn(reply % secret)}, offers=(b"AUTH PLAIN",), username="ann", password="s3cret")
    with pytest.raises(SMTPException) as error:
        djangos_send_mail("Hello", "Text", "info@example.org", ["ann@example.org"])
    told += [str(error.value), caplog.text, RelayTrouble.objects.get().reason]
    assert all("535" in text and secret.decode() not in text for text in told), told


@pytest.mark.parametrize("early", [b"250 2.0.0 OK\r\n", b"552 5.3.4 No\r\n"])
def test_django_s_own_mail_is_not_sent_because_of_a_reply_in_the_middle_of_it(hostile, early):
    relay = hostile(early=early)
    with pytest.raises(SMTPException, match=r"before it was asked|552 5\.3\.4 No"):
        djangos_send_mail("Hello", "0123456789abcdef\n" * 500_000, "info@example.org", ["ann@example.org"])
    assert relay.texts == []
    assert djangos_send_mail("Hello", "Text", "info@example.org", ["ann@example.org"]) == 1
