"""The dialogue with relays that say whatever comes to mind, at each stage. DBMAIL_FUZZ=5000 in the environment tries
so many other conversations instead of the few that are always the same.
"""

import os
import re
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dbmail.delivery.backends import CustomSMTPBackend
from dbmail.delivery.connection import close_smtp, open_smtp
from dbmail.delivery.message import WireMail
from dbmail.delivery.smtp import Stage, transmit
from dbmail.exceptions import RelayUnavailable
from dbmail.queue.lane import Answered, LaneEnded
from dbmail.queue.lanes import Lanes

from ..hostile import HostileRelay, Turn

EXAMPLES = int(os.environ.get("DBMAIL_FUZZ", "0"))
COMMAND = re.compile(rb"(?i)ehlo \S+|helo \S+|MAIL FROM:<b@example\.org>|RCPT TO:<r\d@example\.org>|DATA|RSET|quit")


def mail(number: int) -> WireMail:
    """Each of its lines says that it is text, and some look like commands."""
    lines = (b"Subject: text", b"", b"MAIL FROM:<text@example.org>", b".text", b"DATA text", b"QUIT text", b"text %d")
    data = b"\r\n".join(lines) % number + b"\r\n"
    return WireMail("b@example.org", (f"r{number}@example.org",), data)


codes = st.sampled_from(
    [b"250", b"354", b"450", b"550", b"421", b"220", b"251", b"300", b"552", b"100", b"600", b"000"]
)
forms = st.sampled_from(
    [
        b"%s ok\r\n",
        b"%s\r\n",
        b"%s-one\r\n%s two\r\n",
        b"%s-one\r\n250 two\r\n",
        b"%s-one\r\n354 two\r\n",
        b"%s \xfc\x1b[2J\r\n",
        b"%s ok\n",
        b"%s o\0k\r\n",
        b"%s o\rk\r\n",
        b"%sok\r\n",
        b"x%s ok\r\n",
        b" %s ok\r\n",
        b"\r\n%s ok\r\n",
        b"%s " + b"o" * 9000 + b"\r\n",
        b"%s-o\r\n" * 101 + b"%s ok\r\n",
    ]
)
replies = st.builds(lambda code, form: form.replace(b"%s", code), codes, forms)
unfinished = st.sampled_from([b"", b"2", b"250", b"250 ok", b"250 ok\r", b"250-ok\r\n", b"354-go\r\n3"])
ahead = st.one_of(st.just(b""), replies, st.lists(replies, min_size=2, max_size=2).map(b"".join), unfinished)
cuts = st.lists(st.integers(1, 12), max_size=3, unique=True).map(lambda at: tuple(sorted(at)))
turns = st.one_of(
    st.just(Turn()),
    st.builds(Turn, cuts=cuts),
    st.builds(Turn, reply=replies, cuts=cuts),
    st.builds(Turn, ahead=ahead),
    st.builds(Turn, reply=replies, ahead=ahead, close=st.booleans()),
    st.builds(Turn, reply=unfinished, close=st.just(True)),
)
#: Most go well up to some turn: else no conversation would come far.
conversations = st.builds(
    lambda well, ill: [Turn()] * well + ill, st.integers(0, 12), st.lists(turns, min_size=1, max_size=12)
)


#: Up to the reply to DATA.
WELL = [Turn()] * 4


def by_transmit(backend, mails):
    """Each reply that a mail had, in the order of the mails; None where it never came to a dialogue."""
    heard, made = [], backend()
    for envelope in mails:
        try:
            if made.connection is None or made.connection.sock is None:
                made.connection = None
                open_smtp(made)
            heard.append(transmit(made.connection, envelope))
        except RelayUnavailable:
            heard.append(None)
    close_smtp(made, politely=True)
    return heard


def by_lanes(backend, mails):
    jobs = [SimpleNamespace(row_id=n, mail=SimpleNamespace(for_smtp=lambda e=e: e)) for n, e in enumerate(mails)]
    heard, lanes = {}, Lanes(backend)
    for job in jobs:
        lanes.add(job)
    until = time.monotonic() + 20
    while len(heard) < len(jobs):
        lanes.open(1)
        for event in lanes.wait(5):
            if isinstance(event, Answered | LaneEnded):
                assert event.job.row_id not in heard
                heard[event.job.row_id] = event.reply if isinstance(event, Answered) else None
        lanes.go_on()
        assert time.monotonic() < until, "a mail has no outcome"
    lanes.close(politely=True)
    return [heard[n] for n in range(len(jobs))]


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("send", [by_transmit, by_lanes])
@settings(
    max_examples=EXAMPLES or 80,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(turns=conversations)
@example([*WELL, Turn(b"250 ok\r\n")])
@example([*WELL, Turn(ahead=b"250 taken\r\n"), Turn(b"550 no\r\n")])
@example([*WELL[:-1], Turn(b"550 no\r\n"), Turn(b"354 go\r\n"), Turn(b"554 nobody\r\n")])
@example([*WELL, Turn(), Turn(b"250-taken\r\n550 no\r\n")])
def test_whatever_a_relay_says_no_mail_is_lost_and_no_text_is_a_command(send, pipelining, turns):
    mails = [mail(number) for number in range(4)]
    with HostileRelay(turns, pipelining) as relay:

        def backend():
            return CustomSMTPBackend(alias="relay", host=relay.host, port=relay.port, timeout=5)

        heard = send(backend, mails[:3])
        ended = relay.connections
        (last,) = send(backend, mails[3:])
    sent = [envelope.data for envelope, reply in zip(mails, heard, strict=False) if reply and reply.accepted]
    assert all(data in relay.taken for data in sent), "sent without a 2xx to its own end"
    assert last and last.accepted and mails[3].data in relay.taken, "the next mail on a new connection"
    assert relay.connections > ended
    strange = [line for line in relay.commands if not COMMAND.fullmatch(line)]
    assert strange == [], "the text of a mail as a command"
    assert not any(COMMAND.search(rest) for rest in relay.rests), "commands in a text that broke off"
    assert {text.data for text in relay.texts} <= {b"", *(envelope.data for envelope in mails)}, "commands in a text"
    for reply in filter(None, heard):
        assert reply.text.isprintable() and len(reply.text) <= 1000
        assert "in time" not in reply.text, "it waited for what was not owed"
        assert reply.stage is not Stage.CONNECT
