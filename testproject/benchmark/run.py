"""Runs every contestant in a process of its own, one after the other, and prints what they took as a table."""

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", default="1000,10000", help="mails, for instance 1000,10000,100000")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--connections", default="8", help="SMTP connections of dbmail and of the bare loop")
    parser.add_argument("--more", action="store_true", help="also a relay 50 ms away, and two processes")
    parser.add_argument("--peers", default="post_office,mailer", help="measured at the numbers up to 10000")
    given = parser.parse_args()
    numbers = [int(number) for number in given.numbers.split(",")]
    with relay() as (port, name):
        print(
            f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, "
            f"{given.connections} connections, relay: {name}\n"
        )
        print(
            f"{'database':11}{'contestant':13}{'mails':>8}{'rows us':>9}{'send us':>9}"
            f"{'mails/s':>9}{'MB':>6}{'queries':>14}"
        )
        for database in given.databases.split(","):
            results: dict[tuple[str, int], Any] = {}
            for number in numbers:
                peers = [peer for peer in given.peers.split(",") if peer and number <= 10_000]
                for contestant in ["bare", "dbmail", *peers]:
                    result = measure(contestant, number, database, port, given.connections)
                    results[contestant, number] = result
                    show(database, contestant, number, result)
            ratios(database, numbers, given.peers.split(","), results)
            if given.more:
                more(database, port, given.connections)


def measure(contestant: str, number: int, database: str, port: str, connections: str, **more: str) -> dict[str, Any]:
    with fresh_database(database) as url:
        environment = {**os.environ, "DATABASE_URL": url, "SMTP_PORT": port, "CONNECTIONS": connections, **more}
        environment |= {"CONTESTANT": contestant, "DJANGO_SETTINGS_MODULE": "testproject.benchmark.settings"}
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "--verbosity=0"], env=environment, check=True, cwd=ROOT
        )
        timed = run(contestant, number, environment)
    if contestant == "dbmail" and number <= 10_000:
        with fresh_database(database) as url:
            environment["DATABASE_URL"] = url
            subprocess.run(
                [sys.executable, "-m", "django", "migrate", "--verbosity=0"], env=environment, check=True, cwd=ROOT
            )
            timed["queries"] = run(contestant, number, environment, "--count-queries")["queries"]
    return timed


def run(contestant: str, number: int, environment: dict[str, str], *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "testproject.benchmark.contestants", contestant, str(number), *words]
    done = subprocess.run(command, env=environment, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def show(database: str, contestant: str, number: int, result: dict[str, Any]) -> None:
    rows, sending = (result["seconds"].get(name, 0) / number * 1e6 for name in ("rows", "sending"))
    queries = "/".join(f"{count / number:.3f}" for count in result["queries"].values() if count) or "-"
    line = f"{database:11}{contestant:13}{number:8}{rows:9.0f}{sending:9.0f}{1e6 / (rows + sending):9.0f}"
    print(f"{line}{result['peak_mb']:6.0f}{queries:>14}", flush=True)


def ratios(database: str, numbers: list[int], peers: list[str], results: dict[tuple[str, int], Any]) -> None:
    """The figures of the contract, each beside its target."""

    def whole(contestant: str, number: int) -> float:
        return sum(results[contestant, number]["seconds"].values()) / number

    def sending(contestant: str, number: int) -> float:
        return float(results[contestant, number]["seconds"]["sending"]) / number

    first, last = numbers[0], numbers[-1]
    print(f"\n{database}, ratios in this run")
    for number in numbers:
        for peer in peers:
            if (peer, number) in results:
                print(
                    f"  whole job against {peer} at {number}: {whole(peer, number) / whole('dbmail', number):.1f} (5)"
                )
        ratio = sending("bare", number) / sending("dbmail", number)
        print(f"  sending against the bare loop at {number}: {ratio:.2f} (0.7)")
    if first != last:
        print(
            f"  time a mail at {last} against {first}: "
            f"{whole('dbmail', last) / whole('dbmail', first):.2f} (at most 1.2)"
        )
        memory = results["dbmail", last]["peak_mb"] / results["dbmail", first]["peak_mb"]
        print(f"  peak memory at {last} against {first}: {memory:.2f} (at most 1.1)")
    print()


def more(database: str, port: str, connections: str) -> None:
    """What more connections do where the relay is far away, and what a second process does."""
    with distant_relay(port) as far:
        rates = [
            number / measure("dbmail", number, database, far, lanes)["seconds"]["sending"]
            for number, lanes in ((300, "1"), (4800, "16"))
        ]
    print(f"  a relay 50 ms away, 16 connections ({rates[1]:.0f}/s) against 1 ({rates[0]:.0f}/s):", end=" ")
    print(f"{rates[1] / rates[0]:.1f} (14)")
    if database != "sqlite":  # SQLite has one writer at a time
        one, two = (
            measure("dbmail", 10_001, database, port, connections, PROCESSES=processes)["seconds"]["sending"]
            for processes in ("1", "2")
        )
        print(f"  two processes against one: {one / two:.2f} (1.6)")
    print()


@contextmanager
def distant_relay(port: str) -> Iterator[str]:
    far = _free_port()
    process = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-m", "testproject.benchmark.distant", far, port, "25"], cwd=ROOT
    )
    try:
        _wait_for(far)
        yield far
    finally:
        process.terminate()
        process.wait()


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


@contextmanager
def fresh_database(kind: str) -> Iterator[str]:
    place = tempfile.mkdtemp(prefix="dbmail-benchmark-")
    try:
        if kind == "sqlite":
            yield f"sqlite:///{place}/db.sqlite3"
            return
        server = subprocess.run(  # noqa: S603 - our own script
            [ROOT / "scripts" / "test_database", kind], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        import psycopg

        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS benchmark WITH (FORCE)")
            connection.execute("CREATE DATABASE benchmark")
        yield server.rpartition("/")[0] + "/benchmark"
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def relay() -> Iterator[tuple[str, str]]:
    port = _free_port()
    program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "1000"])  # noqa: S603 - found by us
        try:
            _wait_for(port)
            yield port, "smtp-sink"
        finally:
            process.terminate()
            process.wait()
    else:
        threading.Thread(target=asyncio.run, args=[_sink(int(port))], daemon=True).start()
        _wait_for(port)
        yield port, "a sink of our own (slower than smtp-sink: apt-get install postfix)"


def _wait_for(port: str) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", int(port))).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("The relay does not start.")


async def _sink(port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-sink\r\n250 PIPELINING\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**24)
    await server.serve_forever()


if __name__ == "__main__":
    main()
