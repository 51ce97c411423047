"""Mail through a real Exim, the shipped configuration, the real script and a real database file."""

import pytest

from tests.e2e.exim import Exim
from tests.e2e.gate_site import MESSAGE, gate_site, leaves_whole, waits_for_the_database

pytestmark = pytest.mark.xdist_group("Exim")  # one server, and what a test leaves is there for the next


@pytest.fixture(scope="module")
def site(migrated):
    with gate_site(Exim, migrated) as found:
        yield found


def test_a_message_is_stored_byte_for_byte_and_its_copy_leaves_at_once(site):
    site.send("directors@example.org", MESSAGE % 1)
    raw = site.sql("SELECT raw FROM dbmail_incomingmessage WHERE message_id = '1@home.test'")[0][0]
    assert raw.endswith(b"\n\nBody \xff\n.\nend\n")
    assert site.sql("SELECT address, state FROM dbmail_textofemail") == [("dan@home.test", "sent")]
    copy = site.arrived("dan@home.test")
    assert copy.data.endswith(b"\r\n\r\nBody \xff\r\n.\r\nend\r\n")
    assert copy.message["From"] == "Ann via directors <directors@example.org>"
    assert copy.message["Reply-To"] == "Ann <ann@home.test>"
    assert "unsubscribe@example.org" in copy.message["List-Unsubscribe"]
    assert copy.mail_from.startswith("bounces+1-")
    assert site.server.queued() == 0


def test_what_bounces_comes_back_as_an_event_and_the_address_gets_no_more(site):
    site.sql(
        "INSERT INTO dbmail_plainredirect (original, destination) VALUES ('old', 'gone@away.test, dan@home.test')"
    )
    site.sink.reply("RCPT", "gone@away.test", "550 5.1.1 No such user here")
    site.send("old@example.org", MESSAGE % 30)
    # Exim takes the copy, is refused, and sends its own report to the signed return path: that is mail for the gate.
    site.server.wait_for(lambda: bool(site.sql("SELECT id FROM dbmail_mailevent")))
    event = site.sql("SELECT address, event_type, is_hard, status, source FROM dbmail_mailevent")
    assert event == [("gone@away.test", "bounced", 1, "5.1.1", "dsn")]
    assert site.sql("SELECT address, scope, reason FROM dbmail_suppression") == [("gone@away.test", "all", "bounced")]
    assert site.states()[-1] == ("handled", "report")
    site.send("old@example.org", MESSAGE % 31)
    states = "SELECT address, state FROM dbmail_textofemail WHERE message_id = '31@home.test' ORDER BY address"
    assert site.sql(states) == [("dan@home.test", "sent"), ("gone@away.test", "suppressed")]
    assert site.server.queued() == 0


def test_a_forged_report_is_no_news(site):
    before = site.sql("SELECT count(*) FROM dbmail_mailevent")
    report = (
        b"From: x@y.test\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; y.test\r\n\r\n"
        b"Final-Recipient: rfc822; dan@home.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    site.send("bounces+1-0123456789abcdef@example.org", report, sender="")
    site.send("bounces@example.org", report, sender="")
    assert site.sql("SELECT count(*) FROM dbmail_mailevent") == before


def test_a_tag_and_odd_signs_reach_the_gate_whole(site):
    recipients = ["Directors+urgent@example.org", '"a b"@example.org', "${reboot}@example.org", "`x`@example.org"]
    for number, recipient in enumerate(recipients, 20):
        site.send(recipient, MESSAGE % number)
    stored = site.sql("SELECT local_part, state FROM dbmail_incomingmessage WHERE message_id LIKE '2_@%' ORDER BY id")
    assert [part for part, _state in stored] == ["directors+urgent", "a b", "${reboot}", "`x`"]
    assert stored[0][1] == "handled"


def test_an_unknown_address_bounces_to_the_sender_and_says_nothing_of_ours(site):
    site.send("nobody@example.org", MESSAGE % 3, sender="eve@away.test")
    site.server.wait_for(lambda: any(mail.rcpt_tos == ["eve@away.test"] for mail in site.sink.messages))
    bounce = next(mail for mail in site.sink.messages if mail.rcpt_tos == ["eve@away.test"])
    assert bounce.mail_from == ""
    for secret in (b"Traceback", b"No row takes", b"EmailList", b"sqlite"):
        assert secret not in bounce.data


def test_a_bounce_for_an_unknown_address_is_taken_and_not_frozen(site):
    site.send("nobody@example.org", MESSAGE % 4, sender="")
    assert site.states()[-1] == ("dropped", "unknown")
    assert site.server.queued() == 0


def test_what_a_stranger_says_in_our_mtas_name_does_not_count(site):
    site.sql("UPDATE dbmail_emaillist SET who_may_post = 'staff'")
    site.sql(
        "INSERT INTO auth_user (username, email, is_staff, is_active, is_superuser, first_name, last_name, password,"
        " date_joined) VALUES ('ann', 'ann@home.test', 1, 1, 0, '', '', '', '2026-01-01')"
    )
    forged = b"Authentication-Results: mx.example.org; dmarc=pass header.from=home.test\r\n"
    site.send("directors@example.org", forged + MESSAGE % 5)
    site.sql("UPDATE dbmail_emaillist SET who_may_post = ''")
    state, raw = site.sql("SELECT state, raw FROM dbmail_incomingmessage WHERE message_id = '5@home.test'")[0]
    assert state == "held"
    assert b"dmarc=pass" not in raw
    assert b"Authentication-Results: mx.example.org" in raw


def test_while_the_database_is_away_the_mail_waits_and_then_goes_once(site):
    waits_for_the_database(site)


@pytest.mark.parametrize(
    "script",
    [
        "kill -9 $$",
        "kill -SEGV $$",
        "exit 1",
        "exit 2",
        "exit 64",
        "exit 127",
        "echo Secret; echo Secret >&2; exit 1",
    ],
)
def test_whatever_becomes_of_the_interpreter_the_mail_waits(site, script):
    working = site.python.read_text().partition("\n")[2]
    site.run_with(script)
    site.send("directors@example.org", MESSAGE % 7)
    assert site.server.queued() == 1
    site.run_with(working)
    site.server.run_queue()
    assert site.server.queued() == 0
    assert "Secret" not in site.server.log()
    assert len(site.sql("SELECT id FROM dbmail_textofemail WHERE message_id = '7@home.test'")) == 1


def test_a_gate_without_an_interpreter_costs_no_mail(site):
    away = site.python.with_suffix(".away")
    site.python.rename(away)
    site.send("directors@example.org", MESSAGE % 8)
    assert site.server.queued() == 1
    away.rename(site.python)
    site.server.run_queue()
    assert site.server.queued() == 0


AWKWARD = {
    "no from": b"Subject: x\r\nMessage-ID: <100@x>\r\n\r\nbody\r\n",
    "header only": b"From: a@b.test\r\nMessage-ID: <102@x>\r\n\r\n",
    "nothing": b"",
    "two froms": b"From: a@b.test\r\nFrom: c@d.test\r\nMessage-ID: <103@x>\r\n\r\n\r\n",
    "nul": b"From: a@b.test\r\nMessage-ID: <104@x>\r\n\r\n\0\0\r\n",
    "broken words": b"From: =?x?b?!?= <a@b.test>\r\nSubject: =?utf-8?b?/w==?=\r\nMessage-ID: <105@x>\r\n\r\n.\r\n",
    "long header": b"From: a@b.test\r\nMessage-ID: <106@x>\r\nX: " + b"y\r\n " * 50_000 + b"\r\n\r\nbody\r\n",
    "injection": b"From: =?utf-8?q?a=0ABcc:b?= <a@b.test>\r\nMessage-ID: <107@x>\r\n\r\nbody\r\n",
    "long line": b"From: a@b.test\r\nMessage-ID: <108@x>\r\n\r\n" + b"z" * 100_000 + b"\r\n",
}


@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_message_is_decided_on_and_leaves_the_queue(site, name):
    before = len(site.states())
    site.send("directors@example.org", AWKWARD[name])
    assert site.server.queued() == 0
    assert len(site.states()) == before + 1
    assert site.states()[-1][0] == (
        "held" if name in ("no from", "two froms", "nothing", "long header") else "handled"
    )


def test_what_our_own_list_sent_is_dropped_when_it_comes_back(site):
    site.send("directors@example.org", b"X-Loop: directors@example.org\r\n" + MESSAGE % 9)
    assert site.states()[-1] == ("dropped", "loop")


def test_a_broadcast_leaves_through_exim(site):
    leaves_whole(site)
