"""A real DNS server (Knot DNS) on loopback, filled by dynamic updates (RFC 2136) while it runs."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.update
import dns.zone

SOA = "ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60"
ZONES = {
    "example.org": [],
    "example.net": [],
    "sendgrid.net": [
        ("sendgrid.net", "TXT", '"v=spf1 ip4:192.0.2.0/24 include:ab.sendgrid.net ~all"'),
        ("ab.sendgrid.net", "TXT", '"v=spf1 ip4:198.51.100.0/24 ~all"'),
    ],
    "costly.test": [  # an include that costs nine look-ups, itself counted
        ("costly.test", "TXT", '"v=spf1 ' + " ".join(f"a:a{n}.costly.test" for n in range(8)) + ' ~all"'),
        ("loop.costly.test", "TXT", '"v=spf1 include:loop.costly.test ~all"'),
    ],
}


class DnsServer:
    """Serves ZONES; `address` is for --resolver. A change is answered as soon as `put` returns."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("knotd", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin")
        if not program:
            raise RuntimeError("These tests need Knot DNS: run scripts/test, which installs it.")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        for zone in ZONES:
            soa = SOA.format(zone=zone)
            text = f"{zone}. 60 SOA {soa}\n{zone}. 60 NS ns.{zone}.\nns.{zone}. 60 A 127.0.0.1\n"
            (directory / f"{zone}.zone").write_text(text)
        (directory / "knot.conf").write_text(
            f"server:\n  rundir: {directory}\n  listen: 127.0.0.1@{self.port}\n"
            f"database:\n  storage: {directory}\nlog:\n- target: stderr\n  any: error\n"
            "acl:\n- id: tests\n  address: 127.0.0.1\n  action: [update, transfer]\n"
            f'template:\n- id: default\n  storage: {directory}\n  file: "%s.zone"\n  acl: tests\n'
            "zone:\n" + "".join(f"- domain: {zone}\n" for zone in ZONES)
        )
        self._process = subprocess.Popen([program, "-c", str(directory / "knot.conf")])  # noqa: S603 - found on the PATH
        self._wait_until_it_answers()
        self.reset()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 30
        waiting = set(ZONES)
        while waiting:
            assert self._process.poll() is None, "knotd ended; its reason stands above"
            assert time.monotonic() < deadline, "knotd does not answer; its reason stands above"
            try:
                query = dns.message.make_query(f"{min(waiting)}.", "SOA")
                if dns.query.udp(query, "127.0.0.1", 0.2, self.port).answer:
                    waiting.remove(min(waiting))
            except (dns.exception.Timeout, OSError):
                continue

    def reset(self) -> None:
        """Brings every zone back to what ZONES says."""
        for zone, records in ZONES.items():
            self.fill(zone, [(name, kind, 60, [value]) for name, kind, value in records])

    def fill(self, zone: str, sets: list[tuple[str, str, int, list[str]]]) -> None:
        """Makes `sets` (name, type, TTL, values as in a zone file) all that the zone holds below its SOA."""
        update = dns.update.UpdateMessage(f"{zone}.")
        held = dns.zone.from_xfr(dns.query.xfr("127.0.0.1", zone, port=self.port, relativize=False), relativize=False)
        for name, rdataset in held.iterate_rdatasets():
            kept = rdataset.rdtype in (dns.rdatatype.SOA, dns.rdatatype.NS) or name.to_text() == f"ns.{zone}."
            if not kept:
                update.delete(name, rdataset.rdtype)
        for name, kind, ttl, values in sets:
            update.replace(f"{name}.", ttl, kind, *values)
        self._send(update)

    def put(self, zone: str, name: str, kind: str, *values: str, ttl: int = 60) -> None:
        """Makes `values` the set of this name and type."""
        update = dns.update.UpdateMessage(f"{zone}.")
        update.replace(f"{name}.", ttl, kind, *values)
        self._send(update)

    def _send(self, update: dns.update.UpdateMessage) -> None:
        answer = dns.query.tcp(update, "127.0.0.1", 5, self.port)
        assert answer.rcode() == dns.rcode.NOERROR, answer

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
