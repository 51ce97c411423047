"""A real Exim on a high port, as an ordinary user, from the configuration that mailgates/exim/ ships."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.waiting import until

REPOSITORY = Path(__file__).resolve().parents[2]
#: The main section of the tests' server; everything about dbmail comes from the shipped files.
_MAIN = """
{macros}
exim_path = {place}/exim4
exim_user = {uid}
exim_group = {gid}
deliver_drop_privilege = true
primary_hostname = mx.example.org
spool_directory = {place}/spool
log_file_path = {place}/log/%slog
pid_file_path = {place}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
host_lookup =
rfc1413_hosts = :
rfc1413_query_timeout = 0s
smtputf8_advertise_hosts = *
message_size_limit = 10M
keep_environment =
add_environment =
never_users =
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data

begin acl
acl_rcpt:
  accept
acl_data:
.include {repository}/mailgates/exim/acl_data.conf
  accept

begin routers
.include {repository}/mailgates/exim/router.conf
out:
  driver = manualroute
  domains = ! DBMAIL_DOMAINS
  route_list = * 127.0.0.1::{sink} byname
  transport = sink
  self = send

begin transports
.include {repository}/mailgates/exim/transport.conf
sink:
  driver = smtp
  allow_localhost
  message_linelength_limit = 10000000
  hosts_avoid_tls = *

begin retry
*  *  F,1h,1s; F,4d,1h
"""


def exim_binary() -> str:
    """Where an Exim is; unpacked at the first call where none is installed. Skips the test where none can be had."""
    command = [str(REPOSITORY / "tests/e2e/get_exim"), str(REPOSITORY / ".venv-test/exim")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        # On CI a test that cannot run has failed.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"There is no Exim: {done.stderr[-500:]}")
    return done.stdout.strip()


class Exim:
    """The server, its queue and its log; dbmail's relay as well. `sink` is the port where mail for other domains
    goes, bounces too. `lmtp`: port of dbmail's own server, which then takes the mail in place of the pipe."""

    def __init__(self, place: Path, environment: dict[str, str], sink: int, lmtp: int = 0) -> None:
        self.place, self.port, self.sink = place, free_port(), sink
        self.uid, self.gid = _mail_user()
        self.gate_log = place / "gate.log"
        self.python = place / "python"
        for name in ("spool", "log"):
            (place / name).mkdir()
        self.binary = place / "exim4"
        # Without its setuid bit it runs as whoever starts it, and keeps the capabilities that we give it.
        shutil.copyfile(exim_binary(), self.binary)
        self.binary.chmod(0o755)
        self._configure(environment, lmtp)
        give_away(place, self.uid, self.gid)
        self.process = subprocess.Popen(self._as_mail_user("-bdf"), stderr=subprocess.DEVNULL)  # noqa: S603
        until(self._listens, 30, lambda: f"Exim does not listen. {self.log()}")

    def _configure(self, environment: dict[str, str], lmtp: int) -> None:
        shipped = (REPOSITORY / "mailgates/exim/macros.conf").read_text()
        values = {
            "DBMAIL_GATE": f"{REPOSITORY}/mailgates/mailgate.sh --project {REPOSITORY} --log {self.gate_log}",
            "DBMAIL_USER": pwd.getpwuid(self.uid).pw_name,
            "DBMAIL_ENVIRONMENT": " : ".join(
                f"{name}={value.replace(':', '::')}"
                for name, value in {
                    "PYTHONUTF8": "1",
                    "MAILGATE_PYTHON": str(self.python),
                    "SMTP_PORT": str(self.port),
                    **environment,
                }.items()
            ),
        }
        if lmtp:
            values |= {"DBMAIL_TRANSPORT": "dbmail_lmtp", "DBMAIL_LMTP_PORT": str(lmtp)}
        macros = [
            f"{name} = {values[name]}" if (name := line.partition(" =")[0]) in values else line
            for line in shipped.splitlines()
        ]
        text = _MAIN.format(
            macros="\n".join(macros),
            uid=self.uid,
            gid=self.gid,
            place=self.place,
            port=self.port,
            sink=self.sink,
            repository=REPOSITORY,
        )
        (self.place / "exim.conf").write_text(text)

    def _as_mail_user(self, *arguments: str) -> list[str]:
        command = [str(self.binary), "-C", str(self.place / "exim.conf"), *arguments]
        if os.getuid() == self.uid:
            return command
        # Whoever runs the tests as root may have Python below /root, which no other user can enter.
        capability = "+dac_read_search"
        return [
            "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            f"--inh-caps={capability}",
            f"--ambient-caps={capability}",
            *command,
        ]

    def run(self, *arguments: str) -> str:
        command = self._as_mail_user(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        return done.stdout + done.stderr

    def run_queue(self) -> None:
        """Try everything on the queue again, now."""
        self.run("-qff")

    def queued(self) -> int:
        return int(self.run("-bpc").strip() or 0)

    def log(self) -> str:
        path = self.place / "log/mainlog"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_until_tried(self, answer: str) -> None:
        """Wait until the message that was taken with this reply has been handed on, or has to wait."""
        queue_id = answer.rpartition("=")[2]
        marks = [f"{queue_id} Completed", f"{queue_id} == ", f"{queue_id} ** "]
        self.wait_for(lambda: any(mark in self.log() for mark in marks))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until(condition, 30, self.log)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"Exim ended: {self.run('-bV')} {self.log()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _mail_user() -> tuple[int, int]:
    """Nobody where we are root (Exim delivers nothing as root), else ourselves."""
    return (65534, 65534) if os.getuid() == 0 else (os.getuid(), os.getgid())


def give_away(place: Path, uid: int, gid: int) -> None:
    if os.getuid() == 0:
        for path in [place, *place.rglob("*")]:
            os.chown(path, uid, gid)
