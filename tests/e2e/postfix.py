"""A real Postfix of our own on a high port, beside whatever the machine runs, from what mailgates/postfix/ ships.

Postfix starts as root only, and needs the users that Debian's package makes.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.exim import REPOSITORY, give_away
from tests.ports import free_port
from tests.waiting import until

#: What a server has before anything of dbmail's is added.
_MAIN = """
compatibility_level = 3.6
queue_directory = {place}/spool
data_directory = {place}/data
mail_owner = postfix
maillog_file = {place}/log/mail
maillog_file_prefixes = {place}
myhostname = mx.example.org
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{sink}
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_security_level = none
queue_run_delay = 300s
minimal_backoff_time = 300s
recipient_delimiter = +
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n  -  n  60    1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
smtp      unix  -  -  n  -     -  smtp
relay     unix  -  -  n  -     -  smtp
showq     unix  n  -  n  -     -  showq
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
discard   unix  -  -  n  -     -  discard
lmtp      unix  -  -  n  -     -  lmtp
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
postlog   unix-dgram n - n -   1  postlogd
"""
_NOBODY = 65534


def _unless_it_can_run() -> None:
    """On CI a test that cannot run has failed."""
    why = "" if os.getuid() == 0 else "Postfix starts as root only"
    if not shutil.which("postfix", path=os.environ["PATH"] + ":/usr/sbin"):
        why = "There is no Postfix: scripts/install_for_tests installs it"
    if why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


class Postfix:
    """The server, its queue and its log; dbmail's relay as well. `sink` is the port where mail for other domains
    goes, bounces too. `lmtp`: port of dbmail's own server, which then takes the mail in place of the pipe."""

    def __init__(self, place: Path, environment: dict[str, str], sink: int, lmtp: int = 0) -> None:
        _unless_it_can_run()
        self.place, self.port, self.sink = place, free_port(), sink
        self.gate_log = place / "gate.log"
        self.python = place / "python"
        give_away(place, _NOBODY, _NOBODY)
        for name in ("etc", "spool", "data", "log"):
            (place / name).mkdir()
        shutil.chown(place / "data", "postfix")
        self._configure({"SMTP_PORT": str(self.port), **environment}, lmtp)
        # The gate runs as nobody, who cannot enter /root, where the Python of these tests may be: so it gets the
        # capability to, through Postfix's change of user.
        reach = "+dac_read_search"
        self._run(
            "setpriv",
            f"--inh-caps={reach}",
            f"--ambient-caps={reach}",
            "--securebits=+no_setuid_fixup",
            *self._command("postfix", "start"),
        )

    def _configure(self, environment: dict[str, str], lmtp: int) -> None:
        shipped = (REPOSITORY / "mailgates/postfix/main.cf").read_text()
        if lmtp:
            shipped = shipped.replace(
                "virtual_transport = mailgate", f"virtual_transport = lmtp:inet:127.0.0.1:{lmtp}"
            )
        (self.place / "etc/main.cf").write_text(_MAIN.format(place=self.place, sink=self.sink) + shipped)
        variables = "".join(f"    {name}={value}\n" for name, value in environment.items())
        gate = (REPOSITORY / "mailgates/postfix/master.cf").read_text()
        for before, after in {
            "user=mailgate": "user=nobody",
            "MAILGATE_PYTHON=/srv/site/.venv/bin/python": f"MAILGATE_PYTHON={self.python}",
            "    LOCAL_PART=": f"{variables}    LOCAL_PART=",
            "/srv/dbmail/mailgates/mailgate.sh --project /srv/site": (
                f"{REPOSITORY}/mailgates/mailgate.sh --project {REPOSITORY} --log {self.gate_log}"
            ),
        }.items():
            assert before in gate
            gate = gate.replace(before, after)
        (self.place / "etc/master.cf").write_text(_MASTER.format(port=self.port) + gate)

    def _command(self, name: str, *words: str) -> list[str]:
        return [f"/usr/sbin/{name}", "-c", str(self.place / "etc"), *words]

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        assert not done.returncode, (command, done.stdout, done.stderr, self.log())
        return done.stdout

    def run_queue(self) -> None:
        """Try everything on the queue again, now, and wait until it has been tried."""
        waiting = [line.split()[0].rstrip("*!") for line in self._listed()]
        before = len(self.log())
        self._run(*self._command("postqueue", "-f"))
        for queue_id in waiting:
            self._wait_until_tried(queue_id, before)

    def _listed(self) -> list[str]:
        lines = self._run(*self._command("postqueue", "-p")).splitlines()
        return [line for line in lines if line[:1].isalnum() and not line.startswith("Mail queue is empty")]

    def queued(self) -> int:
        return len(self._listed())

    def log(self) -> str:
        path = self.place / "log/mail"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_until_tried(self, answer: str) -> None:
        """Wait until the message that was taken with this reply has been handed on, or has to wait."""
        self._wait_until_tried(answer.rpartition(" ")[2], 0)

    def _wait_until_tried(self, queue_id: str, since: int) -> None:
        def is_tried() -> bool:
            lines = [line for line in self.log()[since:].splitlines() if f"{queue_id}: " in line]
            return any(line.endswith(": removed") or "status=deferred" in line for line in lines)

        self.wait_for(is_tried)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until(condition, 30, self.log)

    def stop(self) -> None:
        self._run(*self._command("postfix", "stop"))
