"""A real DNS server (Knot DNS) on loopback that serves the zones a test writes."""

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import dns.exception
import dns.message
import dns.query

_HEAD = "@ 60 SOA ns hostmaster 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n"


class DnsServer:
    """Serves `zones`: name -> lines of a zone file without SOA and NS, for instance `@ TXT "v=spf1 -all"`."""

    def __init__(self, directory: Path, zones: Mapping[str, Sequence[str]]) -> None:
        program = shutil.which("knotd", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin")
        if not program:
            raise RuntimeError("These tests need Knot DNS: run scripts/test, which installs it.")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        for zone, lines in zones.items():
            (directory / f"{zone}.zone").write_text(f"$ORIGIN {zone}.\n$TTL 60\n{_HEAD}" + "\n".join(lines) + "\n")
        (directory / "knot.conf").write_text(
            f"server:\n  rundir: {directory}\n  listen: 127.0.0.1@{self.port}\n"
            f"database:\n  storage: {directory}\nlog:\n- target: stderr\n  any: error\n"
            f'template:\n- id: default\n  storage: {directory}\n  file: "%s.zone"\n'
            "zone:\n" + "".join(f"- domain: {zone}\n" for zone in zones)
        )
        self._process = subprocess.Popen([program, "-c", str(directory / "knot.conf")])  # noqa: S603 - fixed words
        try:
            for zone in zones:
                self._wait_for(zone)
        except AssertionError:
            self.stop()
            raise

    def _wait_for(self, zone: str) -> None:
        query = dns.message.make_query(f"{zone}.", "SOA")
        deadline = time.monotonic() + 10
        while True:
            assert time.monotonic() < deadline, f"knotd does not serve {zone}; its reason stands above"
            try:
                if dns.query.udp(query, "127.0.0.1", 0.2, self.port).answer:
                    return
            except (dns.exception.Timeout, OSError):
                pass
            assert self._process.poll() is None, "knotd ended; its reason stands above"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
