"""What every test may ask for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest

from .knot import DnsServer
from .smtp import ScriptedSMTPServer, smtp_server

__all__ = ["relay", "serve", "smtp_server", "use_mailer"]


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


#: Reasons to skip that hold on a machine that has everything.
_GOOD_REASONS = (
    "MAILERS came with Django 6.1",
    "SQLite is in memory",
    "database in memory",
    "SQLite is a file",
    "SQLite has no server",
    "limits the size of files",
    "Django has no tasks",
)


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
