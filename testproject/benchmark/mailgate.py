"""Mail coming in, measured: what the pipe costs beside starting Django, and what LMTP saves."""

import argparse
import os
import smtplib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from .run import relay

ROOT = Path(__file__).resolve().parents[2]
GATE = ROOT / "mailgates/mailgate.py"
HEADER = b"From: Ann <ann@home.test>\r\nSubject: Hello\r\nMessage-ID: <%s@home.test>\r\n\r\n"
MESSAGE = HEADER + b"Good morning.\r\n" * 160
SETUP = "import django; django.setup()"
#: Seconds after which copies that have not left are not waited for.
PATIENCE = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="processes of each kind")
    parser.add_argument("--mails", type=int, default=1000, help="mails over LMTP")
    parser.add_argument("--connections", type=int, default=4, help="LMTP connections of the mail server")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, relay() as (port, sink):
        database = Path(place) / "site.sqlite3"
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": f"sqlite:///{database}",
            "DJANGO_SETTINGS_MODULE": "testproject.settings",
            "SMTP_PORT": str(port),
        }
        prepare(database, environment)
        print(f"One recipient a message, 2.4 KB; copies go to {sink}.", flush=True)
        measure_starts(options.runs, environment)
        by_pipe = measure_pipe(options.runs, environment)
        measure_lmtp(options.mails // options.connections, options.connections, by_pipe, database, environment)


def prepare(database: Path, environment: dict[str, str]) -> None:
    run([sys.executable, "-m", "compileall", "-q", "dbmail", "testproject", "mailgates"], environment)
    run([sys.executable, "manage.py", "migrate", "-v0"], environment)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO dbmail_plainredirect (original, destination) VALUES ('directors', 'dan@home.test')"
        )


def run(command: list[str], environment: dict[str, str], message: bytes = b"") -> float:
    """Seconds that the command took."""
    begin = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment, input=message, check=True, capture_output=True)  # noqa: S603
    return time.perf_counter() - begin


def hand_in(name: str, environment: dict[str, str]) -> float:
    envelope = {"LOCAL_PART": "directors", "DOMAIN": "example.org", "SENDER": "ann@home.test"}
    return run([sys.executable, str(GATE)], environment | envelope, MESSAGE % name.encode())


def measure_starts(runs: int, environment: dict[str, str]) -> None:
    """One process after the other, the kinds in turns, so that whatever else the machine does is shared."""
    queued = environment | {"INCOMING_SEND_SECONDS": "0"}
    empty, queueing, sending = [], [], []
    for number in range(runs + 1):
        empty.append(run([sys.executable, "-c", SETUP], environment))
        queueing.append(hand_in(f"q{number}", queued))
        sending.append(hand_in(f"s{number}", environment))
    base = statistics.median(empty[1:])  # the first of each warms up
    for name, times in (
        ("an empty django.setup()", empty),
        ("pipe, queued", queueing),
        ("pipe, sent at once", sending),
    ):
        middle = statistics.median(times[1:])
        print(f"{name:<28} {middle * 1000:7.0f} ms  {middle / base:5.2f} times", flush=True)


def measure_pipe(runs: int, environment: dict[str, str]) -> float:
    """Mails a second, as many processes at once as there are processors."""
    number = runs * 2
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begin = time.perf_counter()
        list(pool.map(lambda one: hand_in(f"p{one}", environment), range(number)))
        rate = number / (time.perf_counter() - begin)
    print(f"{f'pipe, {os.cpu_count()} at once':<28} {rate:7.1f} mails a second", flush=True)
    return rate


def measure_lmtp(for_each: int, connections: int, by_pipe: float, database: Path, environment: dict[str, str]) -> None:
    with server(environment) as port:
        begin = time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(lambda number: speak(port, f"l{number}-", for_each), range(connections)))
        taken = time.perf_counter() - begin
        wait_until_sent(database)
        sent = time.perf_counter() - begin
    for name, seconds in (("LMTP, taken in", taken), ("LMTP, taken in and sent on", sent)):
        rate = for_each * connections / seconds
        print(f"{name:<28} {rate:7.1f} mails a second  {rate / by_pipe:5.1f} times", flush=True)


@contextmanager
def server(environment: dict[str, str]) -> Iterator[int]:
    """A running `dbmail_lmtp`: its port."""
    command = [sys.executable, "manage.py", "dbmail_lmtp", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            said = process.stdout.readline() if process.stdout else ""
            yield int(said.rpartition(":")[2])
        finally:
            process.terminate()


def speak(port: int, name: str, mails: int) -> None:
    with smtplib.LMTP("127.0.0.1", port) as client:
        for number in range(mails):
            client.sendmail("ann@home.test", ["directors@example.org"], MESSAGE % f"{name}{number}".encode())


def wait_until_sent(database: Path) -> None:
    # Those of the pipe that were only queued stay there.
    waiting = "SELECT count(*) FROM dbmail_textofemail WHERE sent IS NULL AND message_id LIKE 'l%'"
    deadline = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        while number := connection.execute(waiting).fetchone()[0]:
            if time.monotonic() > deadline:
                raise SystemExit(f"{number} copies have not left after {PATIENCE} s.")
            time.sleep(0.05)


if __name__ == "__main__":
    main()
