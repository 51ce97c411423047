"""Databases for whole processes: a new one for each test, copied from one that was migrated and filled once."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from ..smtp import ScriptedSMTPServer
from .site import ROOT, Site, ask


class Databases:
    """Files in `place`, or databases on the tests' own server; all gone after `close`."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._templates: dict[int, str] = {}
        self._made: list[str] = []
        given = settings.DATABASES["default"]
        self._server = ""
        if not given["ENGINE"].endswith("sqlite3"):
            scheme = "postgres" if "postgresql" in given["ENGINE"] else "mysql"
            user = given["USER"] + (f":{given['PASSWORD']}" if given["PASSWORD"] else "")
            self._server = f"{scheme}://{user}@{given['HOST']}:{given['PORT']}/"

    def make(self, students: int = 0) -> str:
        """The URL of a migrated database, with a broadcast to so many students, one mail to each."""
        return self._copy(self._template(students))

    def drop(self, url: str) -> None:
        self._made.remove(url)
        name = url.rpartition("/")[2]
        if url.startswith("postgres"):
            ask(self._server + "postgres", f"DROP DATABASE {name} WITH (FORCE)")
        elif url.startswith("mysql"):
            ask(self._server + "mysql", f"DROP DATABASE {name}")
        else:
            for path in self._place.glob(f"{name}*"):
                path.unlink()

    def close(self) -> None:
        for url in list(self._made):
            self.drop(url)

    def _template(self, students: int) -> str:
        if students not in self._templates:
            url = self._copy(self._template(0) if students else "")
            words = ["seed", f"--students={students}"] if students else ["migrate", "--verbosity=0"]
            environment = {**os.environ, "DATABASE_URL": url}
            command = [sys.executable, "manage.py", *words]
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603
            if students:
                ask(url, "UPDATE dbmail_messagerequest SET sendto_fn_name = ''")
            self._templates[students] = url
        return self._templates[students]

    def _copy(self, template: str) -> str:
        """A new database; empty without a template."""
        name, old = f"dbmail_e2e_{uuid.uuid4().hex[:8]}", template.rpartition("/")[2]
        if not self._server:
            url = f"sqlite:///{self._place / name}"
            if template:
                shutil.copyfile(self._place / old, self._place / name)
        elif self._server.startswith("postgres"):
            url = self._server + name
            ask(self._server + "postgres", f"CREATE DATABASE {name}" + (f" TEMPLATE {old}" if template else ""))
        else:
            url = self._server + name
            ask(self._server + "mysql", f"CREATE DATABASE {name}")
            tables = [row[0] for row in ask(template, "SHOW TABLES")] if template else []
            makes = [ask(template, f"SHOW CREATE TABLE {table}")[0][1] for table in tables]
            fills = [f"INSERT INTO {table} SELECT * FROM {old}.{table}" for table in tables]  # noqa: S608 - our own
            ask(url, "SET foreign_key_checks = 0", *makes, *fills)
        self._made.append(url)
        return url


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.close()


@pytest.fixture
def students() -> int:
    """How many the site's broadcast goes to; 0: there is none. Modules have fixtures of this name of their own."""
    return 0


@pytest.fixture
def site(databases: Databases, students: int, smtp_server: ScriptedSMTPServer) -> Iterator[Site]:
    """A migrated database of the kind that the tests run on, apart from theirs, and the commands on it."""
    url = databases.make(students)
    yield Site(url, smtp_server)
    databases.drop(url)
