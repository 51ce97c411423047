"""Mail through real servers that hand it to dbmail's own over LMTP, by the shipped configuration."""

import subprocess
import sys
from functools import partial

import pytest

from tests.e2e.exim import REPOSITORY, Exim
from tests.e2e.gate_site import MESSAGE, GateSite, gate_site
from tests.e2e.postfix import Postfix
from tests.ports import free_port

pytest.importorskip("aiosmtpd")


class LmtpSite:
    """A GateSite whose mail server hands over to a `dbmail_lmtp` that can be stopped and started."""

    def __init__(self, site: GateSite, port: int) -> None:
        self.site, self.port = site, port
        self.start()

    def start(self) -> None:
        environment = {**self.site.environment, "SMTP_PORT": str(self.site.server.port)}
        command = [sys.executable, "manage.py", "dbmail_lmtp", "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(  # noqa: S603
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == f"Listening on 127.0.0.1:{self.port}\n"

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(40) == 0
        self.process.stdout.close()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Exim, marks=pytest.mark.xdist_group("lmtp from Exim")),
        pytest.param(Postfix, marks=pytest.mark.xdist_group("lmtp from Postfix")),
    ],
)
def lmtp(request, migrated):
    port = free_port()
    with gate_site(partial(request.param, lmtp=port), migrated) as site:
        lmtp = LmtpSite(site, port)
        yield lmtp
        lmtp.stop()


@pytest.fixture
def site(lmtp):
    return lmtp.site


def test_a_message_is_stored_byte_for_byte_and_its_copy_leaves_at_once(site):
    site.send("directors@example.org", MESSAGE % 1)
    raw, sender = site.sql("SELECT raw, sender FROM dbmail_incomingmessage WHERE message_id = '1@home.test'")[0]
    assert raw.endswith(b"\r\n\r\nBody \xff\r\n.\r\nend\r\n")
    assert sender == "ann@home.test"
    copy = site.arrived("dan@home.test")
    assert copy.data.endswith(b"\r\n\r\nBody \xff\r\n.\r\nend\r\n")
    assert copy.mail_from.startswith("bounces+1-")


def test_recipients_of_one_message_are_answered_one_by_one(site):
    recipients = ["nobody@example.org", "Directors+urgent@example.org", '"a b"@example.org', "postmaster@example.org"]
    site.sql("INSERT INTO dbmail_plainredirect (original, destination) VALUES ('a b', 'dora@home.test')")
    site.send(recipients, MESSAGE % 2, sender="eve@away.test")
    stored = site.sql("SELECT local_part, state FROM dbmail_incomingmessage WHERE message_id = '2@home.test'")
    assert {part.lower(): state for part, state in stored} == {
        "nobody": "rejected",
        "directors+urgent": "handled",
        "a b": "handled",
        "postmaster": "rejected",
    }
    bounce = site.arrived("eve@away.test")
    assert b"nobody@example.org" in bounce.data
    assert b"urgent@example.org" not in bounce.data.partition(b"message/rfc822")[0]
    assert site.arrived("dora@home.test")
    site.server.wait_for(lambda: site.server.queued() == 0)


def test_what_bounces_comes_back_as_an_event(site):
    site.sql("INSERT INTO dbmail_plainredirect (original, destination) VALUES ('old', 'gone@away.test')")
    site.sink.reply("RCPT", "gone@away.test", "550 5.1.1 No such user here")
    site.send("old@example.org", MESSAGE % 3)
    site.server.wait_for(lambda: bool(site.sql("SELECT id FROM dbmail_mailevent")))
    assert site.sql("SELECT address, status FROM dbmail_mailevent") == [("gone@away.test", "5.1.1")]


def test_lines_of_any_length_pass(site):
    site.send("directors@example.org", MESSAGE % 4 + b"x" * 50_000 + b"\r\n")
    sizes = "SELECT length(raw) > 50000 FROM dbmail_incomingmessage WHERE message_id = '4@home.test'"
    assert site.sql(sizes) == [(1,)]


def test_while_it_is_down_or_has_no_database_the_mail_waits_and_then_goes_once(lmtp):
    site = lmtp.site
    lmtp.stop()
    site.send("directors@example.org", MESSAGE % 5)
    assert site.server.queued() == 1
    lmtp.start()
    site.sql("ALTER TABLE dbmail_emaillist RENAME TO away")
    site.send("directors@example.org", MESSAGE % 6)
    assert site.server.queued() == 2
    site.sql("ALTER TABLE away RENAME TO dbmail_emaillist")
    site.server.run_queue()
    site.server.wait_for(lambda: site.server.queued() == 0)
    copies = "SELECT message_id FROM dbmail_textofemail WHERE message_id IN ('5@home.test', '6@home.test') ORDER BY 1"
    assert site.sql(copies) == [("5@home.test",), ("6@home.test",)]
