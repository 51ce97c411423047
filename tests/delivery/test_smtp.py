"""The dialogue for one mail, with a server that says what the test wants."""

import pytest

from dbmail.delivery.message import WireMail
from dbmail.delivery.smtp import Stage, transmit
from dbmail.delivery.wire import Connection

from ..smtp import DROP, EXTENSIONS, TAKE_AND_DROP, ScriptedSMTPServer

ENVELOPE = WireMail("bounces@example.org", ("ann@example.org",), b"Subject: x\r\n\r\n.dot\r\n..\r\nend")


@pytest.fixture(params=["pipelining", "one by one"])
def server(request):
    extensions = EXTENSIONS if request.param == "pipelining" else ["SIZE 1000", "8BITMIME"]
    with ScriptedSMTPServer(extensions=extensions) as server:
        yield server


def connected(server):
    smtp = Connection(server.host, server.port, timeout=2)
    smtp.ehlo()
    return smtp


class Writes:
    """A socket that keeps what is written to it."""

    def __init__(self, sock):
        self._sock, self.written = sock, []

    def sendall(self, data):
        self.written.append(bytes(data))
        self._sock.sendall(data)

    def __getattr__(self, name):
        return getattr(self._sock, name)


def test_a_mail_arrives_byte_for_byte(server):
    ended = []
    with connected(server) as smtp:
        reply = transmit(smtp, ENVELOPE, lambda: ended.append(len(server.messages)))
    assert reply.accepted
    assert str(reply) == "250 2.0.0 Taken"
    assert ended == [0]
    (message,) = server.messages
    assert message.data == ENVELOPE.data + b"\r\n"
    assert (message.mail_from, message.rcpt_tos) == ("bounces@example.org", ["ann@example.org"])


@pytest.mark.parametrize(
    ("command", "stage"),
    [("MAIL", Stage.MAIL), ("RCPT", Stage.RCPT), ("DATA", Stage.DATA), ("BODY", Stage.END)],
)
@pytest.mark.parametrize("code", [450, 550])
def test_a_refusal_is_told_with_its_stage_and_the_connection_goes_on(server, command, stage, code):
    server.reply(command, "", f"{code} 5.7.1 No", times=1)
    with connected(server) as smtp:
        reply = transmit(smtp, ENVELOPE)
        assert (reply.code, reply.text, reply.stage, reply.accepted) == (code, "5.7.1 No", stage, False)
        assert reply.enhanced == "5.7.1"
        assert transmit(smtp, ENVELOPE).accepted
    assert len(server.messages) == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "BODY"])
def test_a_broken_line_is_told_with_its_stage(server, command):
    server.on(command, DROP)
    reply = transmit(connected(server), ENVELOPE)
    assert reply.lost
    assert reply.stage is (Stage.END if command == "BODY" else Stage[command])


def test_a_line_that_breaks_after_the_mail_was_taken_looks_the_same(server):
    server.on("BODY", TAKE_AND_DROP)
    reply = transmit(connected(server), ENVELOPE)
    assert reply.lost and reply.stage is Stage.END
    assert len(server.messages) == 1


def test_one_refused_recipient_does_not_keep_the_mail_from_the_other(server):
    server.reply("RCPT", "bad@", "550 5.1.1 No such user")
    with connected(server) as smtp:
        reply = transmit(smtp, WireMail("b@example.org", ("bad@example.org", "ann@example.org"), b"x\r\n\r\ny"))
    assert reply.accepted
    assert server.recipients() == ["ann@example.org"]


def test_a_mail_that_is_too_big_for_the_relay_is_not_offered():
    with ScriptedSMTPServer(extensions=["SIZE 20"]) as server, connected(server) as smtp:
        reply = transmit(smtp, ENVELOPE)
        assert (reply.code, reply.enhanced) == (552, "5.3.4")
        assert server.count("MAIL") == 0


def test_a_foreign_local_part_needs_smtputf8():
    envelope = WireMail("b@example.org", ("müller@example.org",), b"To: m\r\n\r\nx")
    with ScriptedSMTPServer() as server, connected(server) as smtp:
        assert transmit(smtp, envelope).accepted
        assert server.recipients() == ["müller@example.org"]
        assert "SMTPUTF8" in server.messages[0].mail_options
        assert transmit(smtp, ENVELOPE).accepted
        assert "SMTPUTF8" not in server.messages[1].mail_options
    with ScriptedSMTPServer(extensions=["PIPELINING"]) as server, connected(server) as smtp:
        reply = transmit(smtp, envelope)
        assert (reply.code, reply.enhanced) == (553, "5.6.7")


def test_pipelined_commands_go_out_in_one_write():
    with ScriptedSMTPServer() as server, connected(server) as smtp:
        smtp.sock = Writes(smtp.sock)
        transmit(smtp, ENVELOPE)
        assert len(smtp.sock.written) == 2


def test_garbage_instead_of_a_reply_is_a_broken_line(server):
    server.reply("MAIL", "", "what?")
    assert transmit(connected(server), ENVELOPE).lost
