"""A DNS server for each test that asks for one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..knot import DnsServer


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., DnsServer]]:
    """`serve({"example.org": [line, ...]})` starts a server with these zones."""
    servers = []

    def start(zones: dict[str, list[str]]) -> DnsServer:
        directory = tmp_path / f"dns{len(servers)}"
        directory.mkdir()
        servers.append(DnsServer(directory, zones))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
