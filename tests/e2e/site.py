"""A project of its own: a database that processes share, and commands run as cron would run them."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.db.utils import load_backend

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
        return self.python(
            "from django.db.models import Count\n"
            "answer = dict(TextOfEmail.objects.values_list('state').annotate(n=Count('pk')))"
        )


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Return as soon as `condition` holds; fail if it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)


#: A migrated SQLite file, once there is one: the tests of a run need not migrate again.
_migrated: list[bytes] = []


@pytest.fixture
def site(smtp_server: ScriptedSMTPServer, tmp_path: Path, django_db_blocker: Any) -> Iterator[Site]:
    """A migrated database of the kind that the tests run on, apart from theirs."""
    given = settings.DATABASES["default"]
    if given["ENGINE"].endswith("sqlite3"):
        made = Site(f"sqlite:///{tmp_path / 'site.sqlite3'}", smtp_server)
        if _migrated:
            (tmp_path / "site.sqlite3").write_bytes(_migrated[0])
        else:
            made.run("migrate", "--verbosity=0")
            _migrated.append((tmp_path / "site.sqlite3").read_bytes())
        yield made
        return
    name = f"dbmail_e2e_{uuid.uuid4().hex[:8]}"
    scheme = "postgres" if "postgresql" in given["ENGINE"] else "mysql"
    user = given["USER"] + (f":{given['PASSWORD']}" if given["PASSWORD"] else "")
    with django_db_blocker.unblock():
        _administer(f"CREATE DATABASE {name}")
    try:
        made = Site(f"{scheme}://{user}@{given['HOST']}:{given['PORT']}/{name}", smtp_server)
        made.run("migrate", "--verbosity=0")
        yield made
    finally:
        with django_db_blocker.unblock():
            _administer(f"DROP DATABASE {name}" + (" WITH (FORCE)" if scheme == "postgres" else ""))


def _administer(statement: str) -> None:
    """Run a statement outside of the test's database and transaction."""
    given = {**connections.settings["default"], "NAME": settings.DATABASES["default"]["NAME"]}
    if "postgresql" in given["ENGINE"]:
        given["NAME"] = "postgres"
    elif given["NAME"].startswith("test_"):
        given["NAME"] = "mysql"
    given["AUTOCOMMIT"] = True
    connection = load_backend(given["ENGINE"]).DatabaseWrapper(given, alias="administration")
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
