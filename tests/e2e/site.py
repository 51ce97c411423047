"""A project of its own: a database that processes share, and commands run as cron would run them."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..smtp import ScriptedSMTPServer

ROOT = Path(__file__).resolve().parent.parent.parent


class Site:
    """Commands of the test project on `database_url`, with `relay` as its relay."""

    def __init__(self, database_url: str, relay: ScriptedSMTPServer) -> None:
        self.relay = relay
        # What asks DNS gets no answer, unless a test names a server of its own.
        own = {"DATABASE_URL": database_url, "SMTP_PORT": str(relay.port), "RESOLVERS": "127.0.0.1:1"}
        self.environment = {**os.environ, **own}

    def start(self, *words: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, expect: int = 0, **environment: str) -> str:
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=120)
        assert process.returncode == expect, (process.returncode, out, err)
        return out

    def python(self, code: str) -> Any:
        """What `code` leaves in `answer`, run with the project set up."""
        script = f"import json\nfrom dbmail.models import *\n{code}\nprint(json.dumps(answer))"
        return json.loads(self.run("shell", "--no-imports", "-c", script).splitlines()[-1])

    def states(self) -> dict[str, int]:
        """How many mails are in each state; asked of the database itself, for tests that wait ask often."""
        counts = "SELECT state, count(*) FROM dbmail_textofemail GROUP BY state"
        return dict(self.sql(counts))

    def sql(self, *statements: str) -> list[tuple]:
        return ask(self.environment["DATABASE_URL"], *statements)


def ask(database_url: str, *statements: str) -> list[tuple]:
    """The rows of the last of these statements, which a connection of its own carries out one by one."""
    url = urlsplit(database_url)
    if url.scheme == "sqlite":
        connection: Any = sqlite3.connect(url.path.removeprefix("/"), timeout=20, isolation_level=None)
    elif url.scheme == "postgres":
        connection = import_module("psycopg").connect(database_url, autocommit=True)
    else:
        connection = import_module("MySQLdb").connect(
            host=url.hostname,
            port=url.port,
            user=url.username,
            password=url.password or "",
            database=url.path[1:],
            autocommit=True,
        )
    with closing(connection), closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []
