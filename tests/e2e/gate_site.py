"""A database file, a real mail server in front of it, and a sink behind that."""

import os
import shutil
import smtplib
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.exim import REPOSITORY
from tests.smtp import Received, ScriptedSMTPServer

MESSAGE = b"From: Ann <ann@home.test>\r\nSubject: Hello\r\nMessage-ID: <%d@home.test>\r\n\r\nBody \xff\r\n.\r\nend\r\n"


#: Starts a mail server: its directory, the gate's environment, the port of the sink.
Make = Callable[[Path, dict[str, str], int], Any]


class GateSite:
    """`make(place, environment, sink port)` starts the mail server; `migrated` is the database to begin with."""

    def __init__(self, place: Path, sink: ScriptedSMTPServer, make: Make, migrated: Path) -> None:
        self.sink = sink
        self.database = place / "site.sqlite3"
        self.environment = {
            "DATABASE_URL": f"sqlite:///{self.database}",
            "DJANGO_SETTINGS_MODULE": "testproject.settings",
            "AUTHSERV_IDS": "mx.example.org",
        }
        shutil.copyfile(migrated, self.database)
        self.sql("INSERT INTO dbmail_plainredirect (original, destination) VALUES ('directors', 'dan@home.test')")
        self.python = place / "python"
        self.run_with(f'exec {sys.executable} "$@"')
        self.server = make(place, self.environment, sink.port)

    def run_with(self, script: str) -> None:
        """What the gate's wrapper runs as its interpreter."""
        self.python.write_text(f"#!/bin/sh\n{script}\n")
        self.python.chmod(0o755)

    def manage(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        environment = {**os.environ, **self.environment, **environment}
        subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)  # noqa: S603

    def sql(self, statement: str) -> list[tuple]:
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def send(self, recipients: str | list[str], message: bytes, sender: str = "ann@home.test") -> str:
        """Give a message to the server, and wait until it has been handed on once; what the server said."""
        with smtplib.SMTP("127.0.0.1", self.server.port) as client:
            client.ehlo()
            assert client.docmd("MAIL", f"FROM:<{sender}>")[0] == 250
            for recipient in [recipients] if isinstance(recipients, str) else recipients:
                assert client.docmd("RCPT", f"TO:<{recipient}>")[0] == 250
            code, text = client.data(message)
            assert code == 250, text
        answer = text.decode()
        self.server.wait_until_tried(answer)
        return answer

    def arrived(self, address: str) -> Received:
        """The last message that came to the sink for `address`; waits for the first."""
        self.server.wait_for(lambda: address in self.sink.recipients())
        return [mail for mail in self.sink.messages if mail.rcpt_tos == [address]][-1]

    def states(self) -> list[tuple]:
        return self.sql("SELECT state, decision FROM dbmail_incomingmessage ORDER BY id")


_MAILS = """
from django.utils import timezone
from dbmail.models import TextOfEmail
TextOfEmail.objects.bulk_create(
    TextOfEmail(address=f"r{n}@away.test", send_to=f"r{n}@away.test", send_from="info@example.org", copy_key=str(n),
        subject="Hello", msgtext=f"Hello {n}\\n.\\nend\\n", due_at=timezone.now())
    for n in range(60)
)
"""


def waits_for_the_database(site: GateSite) -> None:
    """A message that comes while the database is away stays in the server's queue, and then goes once."""
    away = site.database.with_suffix(".away")
    site.database.rename(away)
    site.send("directors@example.org", MESSAGE % 6)
    assert site.server.queued() == 1
    for path in site.database.parent.glob("site.sqlite3*"):
        path.unlink()
    away.rename(site.database)
    site.server.run_queue()
    assert site.server.queued() == 0
    assert len(site.sql("SELECT id FROM dbmail_textofemail WHERE message_id = '6@home.test'")) == 1
    assert "Traceback" in site.server.gate_log.read_text()


def leaves_whole(site: GateSite) -> None:
    """Sixty mails over two connections, with the commands for the next one behind the end of each (RFC 2920)."""
    site.manage("shell", "-c", _MAILS)
    site.manage("dbmail_cron", CONNECTIONS="2", SMTP_PORT=str(site.server.port))
    assert site.sql("SELECT DISTINCT state, tries FROM dbmail_textofemail WHERE send_from = 'info@example.org'") == [
        ("sent", 0)
    ]
    if hasattr(site.server, "run_queue"):
        site.server.run_queue()  # Exim delivers no more than ten a connection at once
    for n in range(60):
        assert site.arrived(f"r{n}@away.test").data.endswith(b"Hello %d\r\n.\r\nend\r\n" % n)
    there = [mail.rcpt_tos[0] for mail in site.sink.messages if mail.rcpt_tos[0].startswith("r")]
    assert sorted(there) == sorted(f"r{n}@away.test" for n in range(60))


@contextmanager
def gate_site(make: Make, migrated: Path) -> Iterator[GateSite]:
    # Not pytest's own directory: no other user may enter that.
    with tempfile.TemporaryDirectory(prefix="dbmail-mta-") as place:
        os.chmod(place, 0o755)  # noqa: S103
        with ScriptedSMTPServer() as sink:
            site = GateSite(Path(place), sink, make, migrated)
            try:
                yield site
            finally:
                site.server.stop()
