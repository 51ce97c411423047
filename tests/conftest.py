"""What every test may ask for."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.test import override_settings

from .knot import DnsServer, dns_server, knot
from .smtp import ScriptedSMTPServer, smtp_server

ROOT = Path(__file__).resolve().parents[1]
__all__ = ["dns_server", "knot", "relay", "serve", "smtp_server", "use_mailer"]


@pytest.fixture
def use_mailer(settings: Any) -> Callable[..., None]:
    """Configure the default mail backend as this version of Django wants it: `use_mailer(PATH, host=..., ...)`."""

    def use(backend: str, **options: Any) -> None:
        if django.VERSION >= (6, 1):
            settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
            return
        settings.EMAIL_BACKEND = backend
        names = {"host": "HOST", "port": "PORT", "username": "HOST_USER", "password": "HOST_PASSWORD"}
        for option, value in options.items():
            setattr(settings, "EMAIL_" + names.get(option, option.upper()), value)

    return use


@pytest.fixture
def chunks_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`chunks_of(2)` turns two recipients at a time into mails."""
    return lambda number: monkeypatch.setattr("dbmail.queue.process.CHUNK_SIZE", number)


@pytest.fixture
def batches_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`batches_of(2)` claims two mails at a time."""
    return lambda number: monkeypatch.setattr("dbmail.queue.deliver.BATCH_SIZE", number)


@pytest.fixture
def relay(smtp_server: ScriptedSMTPServer, use_mailer: Callable[..., None]) -> ScriptedSMTPServer:
    """The scripted server, as the relay that mail goes to."""
    use_mailer("dbmail.delivery.backends.CustomSMTPBackend", host=smtp_server.host, port=smtp_server.port, timeout=5)
    return smtp_server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., DnsServer]]:
    """`serve({"example.org": [line, ...]})` starts a DNS server with these zones."""
    servers: list[DnsServer] = []

    def start(zones: dict[str, list[str]]) -> DnsServer:
        directory = tmp_path / f"dns{len(servers)}"
        directory.mkdir()
        servers.append(DnsServer(directory, zones))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file for tests of whole processes to copy."""
    path = tmp_path_factory.mktemp("migrated") / "site.sqlite3"
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{path}"}
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - our own words
    return path


@pytest.fixture(scope="session", autouse=True)
def _passwords_cost_little() -> Iterator[None]:
    """Django's own way to hash takes half a second for each user that logs in, which is the point of it elsewhere."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


def pytest_configure(config: pytest.Config) -> None:
    # Also where pytest-xdist is not there, or not asked for.
    config.addinivalue_line("markers", "xdist_group(name): these run in one process, in their order.")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Where only files outside of e2e are named, processes of their own take longer to start than they save."""
    paths = [Path(word.partition("::")[0]) for word in config.args]
    return 0 if all(path.is_file() and "e2e" not in path.parts for path in paths) else None


#: Reasons to skip that hold on a machine that has everything.
_GOOD_REASONS = (
    "MAILERS came with Django 6.1",
    "PostgreSQL alone",
    "threads of their own race on a database server",
    "SQLite is in memory",
    "database in memory",
    "SQLite is a file",
    "SQLite has no server",
    "limits the size of files",
    "Django has no tasks",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logs goes through a pipe of pytest-xdist, which half of a character would end."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be skipped because something is missing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return
    reasons = {str(report.longrepr[2]) for report in reporter.stats.get("skipped", []) if report.longrepr}
    bad = sorted(reason for reason in reasons if not any(good in reason for good in _GOOD_REASONS))
    if bad:
        reporter.write_line(f"Skipped in CI, which is a failure: {'; '.join(bad)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
