import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dbmail.dns.client import Dns

from ..knot import DnsServer
from .services import GandiService, SendGridService

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "sendgrid_authentication.py"


@pytest.fixture
def sendgrid(dns_server: DnsServer) -> Iterator[SendGridService]:
    service = SendGridService(Dns([dns_server.address]))
    yield service
    service.stop()


@pytest.fixture
def gandi(dns_server: DnsServer) -> Iterator[GandiService]:
    """LiveDNS with example.org; what is posted there is in DNS at once."""

    def publish(zone: str) -> None:
        sets = [
            (zone if name == "@" else f"{name}.{zone}", kind, ttl, values)
            for (name, kind), (ttl, values) in service.zones[zone].items()
        ]
        dns_server.fill(zone, sets)

    service = GandiService()
    service.zones["example.org"] = {("@", "MX"): (10800, ["10 mail.example.org."])}
    service.publish = publish
    publish("example.org")
    yield service
    service.stop()


@dataclass
class Run:
    """The script as a process of its own, with the environment and options that all runs share."""

    environment: dict[str, str]
    options: list[str] = field(default_factory=list)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - the script under test
            [sys.executable, SCRIPT, *self.options, *arguments],
            env={**self.environment, **environment},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
        """The exit code and all that was printed."""
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(typed, timeout=60)
        return process.returncode, output


@pytest.fixture
def run(sendgrid: SendGridService, gandi: GandiService, dns_server: DnsServer, tmp_path: Path) -> Run:
    """Runs the script against the services on loopback, at Gandi, with all keys in place and no .env file."""
    (tmp_path / "none.env").write_text("")
    environment = {
        "PATH": os.environ["PATH"],
        "SENDGRID_API_KEY": sendgrid.key,
        "SENDGRID_API_URL": sendgrid.url,
        "GANDI_PERSONAL_ACCESS_TOKEN": gandi.key,
        "GANDI_API_URL": gandi.url,
        "DNS_REGISTRAR": "gandi",
    }
    return Run(environment, ["--resolver", dns_server.address, "--env-file", str(tmp_path / "none.env")])


Sleeps = list[float]


@pytest.fixture
def no_sleep() -> tuple[Sleeps, Callable[[float], None]]:
    """A clock that does not tick: (the pauses asked for, the function to ask)."""
    pauses: Sleeps = []
    return pauses, pauses.append
