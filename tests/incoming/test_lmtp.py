"""Mail over LMTP: a process that stays up, a reply for each recipient, an end that loses nothing."""

import os
import shutil
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ..waiting import until

pytest.importorskip("aiosmtpd")

REPOSITORY = Path(__file__).resolve().parents[2]
MESSAGE = b"From: Ann <ann@home.test>\r\nSubject: Hello\r\nMessage-ID: <%s@home.test>\r\n\r\nBody \xff\r\n.\r\nend\r\n"


class Service:
    """The command, on a database of its own."""

    def __init__(self, place, relay, migrated, **environment):
        self.database = place / "site.sqlite3"
        self.environment = {
            **os.environ,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "SMTP_PORT": str(relay.port),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.log = place / "log"
        shutil.copyfile(migrated, self.database)
        self.sql("INSERT INTO dbmail_plainredirect (original, destination) VALUES ('directors', 'dan@home.test')")
        self.sql("INSERT INTO dbmail_plainredirect (original, destination) VALUES ('a b', 'dora@home.test')")
        self.process = None

    def manage(self, *words):
        command = [sys.executable, "manage.py", *words]
        subprocess.run(command, cwd=REPOSITORY, env=self.environment, check=True)  # noqa: S603

    def start(self, *words, listen="127.0.0.1:0"):
        command = [sys.executable, "manage.py", "dbmail_lmtp", "--listen", listen, *words]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command, cwd=REPOSITORY, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        said = self.process.stdout.readline()
        assert said.startswith("Listening on "), (said, self.log.read_text())
        self.address = said.removeprefix("Listening on ").strip()
        return self

    def client(self):
        host, _, port = self.address.rpartition(":")
        client = smtplib.LMTP(host, int(port), timeout=30)
        client.command_encoding = "utf-8"
        return client

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)
            self.process.stdout.close()
        return self.process and self.process.returncode

    def sql(self, statement):
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def wait_for(self, condition, seconds=20):
        until(condition, seconds, self.log.read_text)


@pytest.fixture
def service(tmp_path, smtp_server, migrated):
    made = Service(tmp_path, smtp_server, migrated)
    made.relay = smtp_server
    yield made
    made.stop()


def hand_in(client, recipients, message, sender="ann@home.test"):
    """One transaction; the replies for each recipient."""
    assert client.docmd("MAIL", f"FROM:<{sender}> BODY=8BITMIME")[0] == 250
    for recipient in recipients:
        assert client.docmd("RCPT", f"TO:<{recipient}>")[0] == 250, recipient
    assert client.docmd("DATA")[0] == 354
    client.send(smtplib._quote_periods(message) + b".\r\n")
    return [client.getreply()[0] for _ in recipients]


def test_each_recipient_has_a_reply_and_the_copies_leave(service):
    with service.start().client() as client:
        recipients = ["directors@example.org", "nobody@example.org", '"a b"@example.org', "bücher@example.org"]
        client.ehlo_or_helo_if_needed()
        assert hand_in(client, recipients, MESSAGE % b"1") == [250, 550, 250, 550]
        service.wait_for(lambda: sorted(service.relay.recipients()) == ["dan@home.test", "dora@home.test"])
        assert all(mail.data.endswith(b"\r\n\r\nBody \xff\r\n.\r\nend\r\n") for mail in service.relay.messages)
        # The same again, over the same connection: known, and not sent twice.
        assert hand_in(client, recipients, MESSAGE % b"1") == [250, 550, 250, 550]
    assert service.sql("SELECT count(*) FROM dbmail_textofemail") == [(2,)]
    assert service.sql("SELECT DISTINCT raw FROM dbmail_incomingmessage") == [(MESSAGE % b"1",)]


def test_a_bounce_has_no_sender_and_gets_no_refusal(service):
    with service.start().client() as client:
        client.ehlo_or_helo_if_needed()
        assert hand_in(client, ["nobody@example.org", "directors@example.org"], MESSAGE % b"2", sender="") == [
            250,
            250,
        ]
    assert service.sql("SELECT sender, state FROM dbmail_incomingmessage") == [("", "dropped"), ("", "dropped")]


def test_messages_without_an_id_are_told_apart_by_the_servers_name_for_them(service):
    bare = b"Received: from x by mx.example.org with ESMTP id %s; Tue\r\nFrom: Ann <ann@home.test>\r\n\r\nBody\r\n"
    with service.start().client() as client:
        client.ehlo_or_helo_if_needed()
        for name in (b"1tFabc-000001-2x", b"1tFabc-000002-2x", b"1tFabc-000001-2x"):
            assert hand_in(client, ["directors@example.org"], bare % name) == [250]
    assert service.sql("SELECT queue_id FROM dbmail_incomingmessage") == [("1tFabc-000001-2x",), ("1tFabc-000002-2x",)]


def test_lines_and_messages_of_any_length_are_decided_on(service):
    service.environment["INCOMING_MAX_SIZE"] = "200000"
    with service.start().client() as client:
        client.ehlo_or_helo_if_needed()
        assert hand_in(client, ["directors@example.org"], MESSAGE % b"3" + b"x" * 150_000 + b"\r\n") == [250]
        two = ["directors@example.org", "directors@example.org"]
        assert hand_in(client, two, MESSAGE % b"4" + b"x\r\n" * 90_000) == [554, 554]
        assert hand_in(client, two, MESSAGE % b"5" + b"x\r\n" * 200_000) == [552, 552]
        assert hand_in(client, two, MESSAGE % b"6" + b"x" * 1_000_000 + b"\r\n") == [552, 552]
        assert hand_in(client, ["directors@example.org"], MESSAGE % b"7") == [250]


def test_whatever_goes_wrong_is_for_later(service):
    service.start()
    with service.client() as client:
        client.ehlo_or_helo_if_needed()
        service.sql("ALTER TABLE dbmail_emaillist RENAME TO away")
        assert hand_in(client, ["directors@example.org"], MESSAGE % b"8") == [451]
        service.sql("ALTER TABLE away RENAME TO dbmail_emaillist")
        assert hand_in(client, ["directors@example.org"], MESSAGE % b"8") == [250]
    service.wait_for(lambda: service.relay.recipients() == ["dan@home.test"])


def test_many_servers_at_once_lose_and_repeat_nothing(service):
    service.start("--workers", "4")
    failures = []

    def one(number):
        try:
            with service.client() as client:
                client.ehlo_or_helo_if_needed()
                for turn in range(10):
                    name = b"%d-%d" % (number, turn)
                    assert hand_in(client, ["directors@example.org"], MESSAGE % name) == [250]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    service.wait_for(lambda: len(service.relay.messages) == 80)
    assert len({mail.message["Message-ID"] for mail in service.relay.messages}) == 80


def test_more_connections_than_allowed_are_told_to_come_later(service):
    service.start("--connections", "2")
    with service.client() as one, service.client() as two:
        one.ehlo_or_helo_if_needed()
        two.ehlo_or_helo_if_needed()
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            service.client()
        assert refused.value.smtp_code == 421
    service.wait_for(lambda: service.client().ehlo()[0] == 250)


def test_a_term_signal_lets_what_has_come_whole_be_finished(service):
    service.start()
    client, idle = service.client(), service.client()
    client.ehlo_or_helo_if_needed()
    idle.ehlo_or_helo_if_needed()
    lock = sqlite3.connect(service.database, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")  # the message waits for the database while the signal comes
    client.docmd("MAIL", "FROM:<ann@home.test>")
    client.docmd("RCPT", "TO:<directors@example.org>")
    client.docmd("DATA")
    client.send(smtplib._quote_periods(MESSAGE % b"9") + b".\r\n")
    idle.noop()
    service.process.send_signal(signal.SIGTERM)
    service.wait_for(lambda: not accepts(service.address))
    lock.execute("ROLLBACK")
    lock.close()
    assert client.getreply()[0] == 250
    assert idle.getreply()[0] == 421
    client.close()
    idle.close()
    assert service.process.wait(40) == 0
    service.process.stdout.close()
    assert service.sql("SELECT state FROM dbmail_incomingmessage") == [("handled",)]
    assert service.sql("SELECT count(*) FROM dbmail_textofemail WHERE state = 'sending'") == [(0,)]


def test_killed_at_any_moment_it_loses_nothing_and_repeats_nothing(service):
    taken = set()
    for number in range(3):
        service.start()
        service.relay.on("MAIL", lambda _: service.process.kill(), nth=3 + number)
        with service.client() as client:
            client.ehlo_or_helo_if_needed()
            try:
                for turn in range(8):
                    name = b"%d-%d" % (number, turn)
                    assert hand_in(client, ["directors@example.org"], MESSAGE % name) == [250]
                    taken.add(name.decode())
            except (OSError, smtplib.SMTPServerDisconnected):
                pass
            client.close()
        service.wait_for(lambda: service.process.poll() is not None)
        service.process.stdout.close()
        service.relay.forget_rules()
    service.manage("dbmail_cron", "--quiet")
    arrived = [mail.message["Message-ID"].strip("<>").partition("@")[0] for mail in service.relay.messages]
    assert taken <= set(arrived)
    assert len(arrived) - len(set(arrived)) <= 3  # the mail in flight, once a kill
    assert service.sql("SELECT count(*) FROM dbmail_textofemail WHERE state != 'sent'") == [(0,)]


def test_it_listens_on_a_socket_in_the_file_system(service, tmp_path):
    service.start(listen=str(tmp_path / "lmtp"))
    with smtplib.LMTP(str(tmp_path / "lmtp")) as client:
        client.ehlo_or_helo_if_needed()
        assert hand_in(client, ["directors@example.org"], MESSAGE % b"10") == [250]


@pytest.mark.parametrize("words", [["--listen", "nowhere"], ["--workers", "0"], ["--listen", "127.0.0.1:99999"]])
def test_wrong_arguments_are_named(service, words):
    command = [sys.executable, "manage.py", "dbmail_lmtp", *words]
    done = subprocess.run(  # noqa: S603
        command, cwd=REPOSITORY, env=service.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words[1] in done.stderr


def accepts(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
