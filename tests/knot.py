"""A real DNS server (Knot DNS) on loopback that serves the zones a test writes, and takes changes while it runs."""

import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.update
import dns.zone
import pytest

from .ports import free_port

_HEAD = "@ 60 SOA ns hostmaster 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n"
#: Name, type, TTL and values as in a zone file.
RecordSet = tuple[str, str, int, list[str]]


class DnsServer:
    """Serves `zones`: name -> lines of a zone file without SOA and NS, for instance `@ TXT "v=spf1 -all"`.

    `address` is for --resolver. A change (RFC 2136) is answered as soon as `put` or `fill` returns.
    """

    def __init__(self, directory: Path, zones: Mapping[str, Sequence[str]]) -> None:
        program = shutil.which("knotd", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin")
        if not program:
            raise RuntimeError("These tests need Knot DNS: run scripts/test, which installs it.")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._zones = {
            zone: f"$ORIGIN {zone}.\n$TTL 60\n{_HEAD}" + "\n".join(lines) + "\n" for zone, lines in zones.items()
        }
        for zone, text in self._zones.items():
            (directory / f"{zone}.zone").write_text(text)
        (directory / "knot.conf").write_text(
            f"server:\n  rundir: {directory}\n  listen: 127.0.0.1@{self.port}\n"
            f"database:\n  storage: {directory}\nlog:\n- target: stderr\n  any: error\n"
            "acl:\n- id: tests\n  address: 127.0.0.1\n  action: [update, transfer]\n"
            f'template:\n- id: default\n  storage: {directory}\n  file: "%s.zone"\n  acl: tests\n'
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
        deadline = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, "knotd ended; its reason stands above"
            assert time.monotonic() < deadline, f"knotd does not serve {zone}; its reason stands above"
            try:
                if dns.query.udp(query, "127.0.0.1", 0.2, self.port).answer:
                    return
            except (dns.exception.Timeout, OSError):
                continue

    def reset(self) -> None:
        """Brings every zone back to what it was at the start."""
        for zone, text in self._zones.items():
            self.fill(zone, _sets(zone, dns.zone.from_text(text, relativize=False)))

    def fill(self, zone: str, sets: Iterable[RecordSet]) -> None:
        """Makes `sets` all that the zone holds besides its SOA and name server."""
        update = dns.update.UpdateMessage(f"{zone}.")
        held = dns.zone.from_xfr(dns.query.xfr("127.0.0.1", zone, port=self.port, relativize=False), relativize=False)
        for name, kind, _ttl, _values in _sets(zone, held):
            update.delete(f"{name}.", kind)
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


def _sets(zone: str, held: dns.zone.Zone) -> list[RecordSet]:
    """What a zone holds besides its SOA and name server."""
    return [
        (
            name.to_text(omit_final_dot=True),
            dns.rdatatype.to_text(found.rdtype),
            found.ttl,
            [r.to_text() for r in found],
        )
        for name, found in held.iterate_rdatasets()
        if found.rdtype not in (dns.rdatatype.SOA, dns.rdatatype.NS) and name.to_text() != f"ns.{zone}."
    ]


#: What the DNS server of `dns_server` holds before a test begins.
ZONES = {
    "example.org": [],
    "example.net": [],
    "sendgrid.net": [
        '@ TXT "v=spf1 ip4:192.0.2.0/24 include:ab.sendgrid.net ~all"',
        'ab TXT "v=spf1 ip4:198.51.100.0/24 ~all"',
    ],
    "costly.test": [  # an include that costs nine look-ups, itself counted
        '@ TXT "v=spf1 ' + " ".join(f"a:a{n}.costly.test" for n in range(8)) + ' ~all"',
        'loop TXT "v=spf1 include:loop.costly.test ~all"',
    ],
}


@pytest.fixture(scope="session")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    server = DnsServer(tmp_path_factory.mktemp("knot"), ZONES)
    yield server
    server.stop()


@pytest.fixture
def dns_server(knot: DnsServer) -> DnsServer:
    knot.reset()
    return knot
