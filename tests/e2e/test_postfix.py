"""Mail through a real Postfix, the shipped configuration, the real script and a real database file."""

import pytest

from tests.e2e.gate_site import MESSAGE, gate_site, leaves_whole, waits_for_the_database
from tests.e2e.postfix import Postfix

pytestmark = pytest.mark.xdist_group("Postfix")  # one server, and what a test leaves is there for the next


@pytest.fixture(scope="module")
def site(migrated):
    with gate_site(Postfix, migrated) as found:
        yield found


def test_a_message_is_stored_byte_for_byte_and_its_copy_leaves_at_once(site):
    site.send("directors@example.org", MESSAGE % 1)
    raw, sender = site.sql("SELECT raw, sender FROM dbmail_incomingmessage WHERE message_id = '1@home.test'")[0]
    assert raw.endswith(b"\n\nBody \xff\n.\nend\n")
    assert sender == "ann@home.test"
    copy = site.arrived("dan@home.test")
    assert copy.data.endswith(b"\r\n\r\nBody \xff\r\n.\r\nend\r\n")
    assert copy.message["From"] == "Ann via directors <directors@example.org>"
    assert copy.mail_from.startswith("bounces+1-")
    assert site.sql("SELECT address, state FROM dbmail_textofemail") == [("dan@home.test", "sent")]


def test_what_bounces_comes_back_as_an_event_and_the_address_gets_no_more(site):
    destinations = "gone@away.test, dan@home.test"
    site.sql(f"INSERT INTO dbmail_plainredirect (original, destination) VALUES ('old', '{destinations}')")  # noqa: S608
    site.sink.reply("RCPT", "gone@away.test", "550 5.1.1 No such user here")
    site.send("old@example.org", MESSAGE % 30)
    site.server.wait_for(lambda: bool(site.sql("SELECT id FROM dbmail_mailevent")))
    event = site.sql("SELECT address, event_type, is_hard, status, source FROM dbmail_mailevent")
    assert event == [("gone@away.test", "bounced", 1, "5.1.1", "dsn")]
    assert site.sql("SELECT address, reason FROM dbmail_suppression") == [("gone@away.test", "bounced")]
    assert site.states()[-1] == ("handled", "report")


def test_tags_case_and_odd_signs_reach_the_gate_whole(site):
    recipients = ["Directors+urgent@example.org", '"a b"@example.org', "`x`@example.org", "$(reboot)@example.org"]
    for number, recipient in enumerate(recipients, 20):
        site.send(recipient if "(" not in recipient else '"$(reboot)"@example.org', MESSAGE % number)
    stored = site.sql("SELECT local_part, state FROM dbmail_incomingmessage WHERE message_id LIKE '2_@%' ORDER BY id")
    assert [part for part, _state in stored] == ["Directors+urgent", "a b", "`x`", "$(reboot)"]
    assert stored[0][1] == "handled"


def test_an_unknown_address_bounces_to_the_sender_and_says_nothing_of_ours(site):
    site.send("nobody@example.org", MESSAGE % 3, sender="eve@away.test")
    bounce = site.arrived("eve@away.test")
    assert bounce.mail_from == ""
    for secret in (b"Traceback", b"No row takes", b"EmailList", b"sqlite"):
        assert secret not in bounce.data


def test_a_bounce_for_an_unknown_address_is_taken(site):
    site.send("nobody@example.org", MESSAGE % 4, sender="")
    assert site.states()[-1] == ("dropped", "unknown")
    assert site.server.queued() == 0


def test_while_the_database_is_away_the_mail_waits_and_then_goes_once(site):
    waits_for_the_database(site)


@pytest.mark.parametrize(
    ("number", "script"),
    list(enumerate(["kill -9 $$", "kill -SEGV $$", "exit 1", "exit 64", "exit 127", "echo Secret; exit 1"], 40)),
)
def test_whatever_becomes_of_the_interpreter_the_mail_waits(site, number, script):
    working = site.python.read_text().partition("\n")[2]
    site.run_with(script)
    site.send("directors@example.org", MESSAGE % number)
    assert site.server.queued() == 1
    site.run_with(working)
    site.server.run_queue()
    assert site.server.queued() == 0
    assert "Secret" not in site.server.log()
    copies = f"SELECT id FROM dbmail_textofemail WHERE message_id = '{number}@home.test'"  # noqa: S608
    assert len(site.sql(copies)) == 1


def test_a_broadcast_leaves_through_postfix(site):
    leaves_whole(site)
