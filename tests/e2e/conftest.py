"""Databases for whole processes: a new one for each test, copied from one that was migrated once."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from ..smtp import ScriptedSMTPServer
from .site import ROOT, Site, ask


@pytest.fixture
def site(database_url: str, smtp_server: ScriptedSMTPServer) -> Site:
    """A migrated database of the kind that the tests run on, apart from theirs, and the commands on it."""
    return Site(database_url, smtp_server)


@pytest.fixture(scope="session")
def server_url() -> str:
    """The URL of the tests' database server, with no database; "" with SQLite."""
    given = settings.DATABASES["default"]
    if given["ENGINE"].endswith("sqlite3"):
        return ""
    scheme = "postgres" if "postgresql" in given["ENGINE"] else "mysql"
    user = given["USER"] + (f":{given['PASSWORD']}" if given["PASSWORD"] else "")
    return f"{scheme}://{user}@{given['HOST']}:{given['PORT']}/"


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a database on the server that is only copied."""
    name = _create(server_url)
    try:
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        environment = {**os.environ, "DATABASE_URL": server_url + name}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - our own words
        yield name
    finally:
        _drop(server_url, name)


@pytest.fixture
def database_url(server_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database that belongs to this test."""
    if not server_url:
        path = tmp_path / "site.sqlite3"
        shutil.copyfile(request.getfixturevalue("migrated"), path)
        yield f"sqlite:///{path}"
        return
    name = _create(server_url, request.getfixturevalue("template"))
    try:
        yield server_url + name
    finally:
        _drop(server_url, name)


def _create(server_url: str, template: str = "") -> str:
    name = f"dbmail_e2e_{uuid.uuid4().hex[:8]}"
    if server_url.startswith("postgres"):
        ask(server_url + "postgres", f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name
    ask(server_url + "mysql", f"CREATE DATABASE {name}")
    if template:
        old, new = server_url + template, server_url + name
        tables = [row[0] for row in ask(old, "SHOW TABLES")]
        makes = [ask(old, f"SHOW CREATE TABLE {table}")[0][1] for table in tables]
        fills = [f"INSERT INTO {table} SELECT * FROM {template}.{table}" for table in tables]  # noqa: S608 - our own
        ask(new, "SET foreign_key_checks = 0", *makes, *fills)
    return name


def _drop(server_url: str, name: str) -> None:
    if urlsplit(server_url).scheme == "postgres":
        ask(server_url + "postgres", f"DROP DATABASE {name} WITH (FORCE)")
    else:
        ask(server_url + "mysql", f"DROP DATABASE {name}")
