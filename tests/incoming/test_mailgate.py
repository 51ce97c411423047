"""The script as a mail server runs it: a process, its environment, its exit code, and nothing on its output."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dbmail.delivery import return_path
from tests.incoming.bombs import BOMBS
from tests.processes import catches, measured
from tests.smtp import TAKE_AND_DROP

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "mailgates/mailgate.py"
WRAPPER = REPOSITORY / "mailgates/mailgate.sh"
MESSAGE = b"From: Ann <ann@home.test>\nSubject: Hello\nMessage-ID: <1@home.test>\n\nBody\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    """A database with a redirect of 30 addresses."""
    path = tmp_path_factory.mktemp("site") / "site.sqlite3"
    shutil.copyfile(migrated, path)
    addresses = ",".join(f"u{number}@home.test" for number in range(30))
    sql(path, f"INSERT INTO dbmail_plainredirect (original, destination) VALUES ('all', '{addresses}')")  # noqa: S608
    return path


@pytest.fixture
def database(template, tmp_path):
    path = tmp_path / "site.sqlite3"
    source, target = sqlite3.connect(template), sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.close()
    return path


def environment(database, **envelope):
    return {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{database}", **envelope}


def gate(database, *arguments, message=MESSAGE, program=SCRIPT, **envelope):
    command = [str(program), *arguments] if program == WRAPPER else [sys.executable, str(program), *arguments]
    env = environment(database, MAILGATE_PYTHON=sys.executable, **envelope)
    return subprocess.run(command, input=message, capture_output=True, env=env, cwd="/", check=False)  # noqa: S603


def sql(database, statement):
    connection = sqlite3.connect(database, timeout=20)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def copies(database):
    return sql(database, "SELECT count(*) FROM dbmail_textofemail")[0][0]


@pytest.mark.parametrize("program", [SCRIPT, WRAPPER])
@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        ({"LOCAL_PART": "all", "DOMAIN": "example.org", "SENDER": "ann@home.test"}, 0),
        ({"LOCAL_PART": "nobody", "DOMAIN": "example.org", "SENDER": "ann@home.test"}, 67),
        ({"LOCAL_PART": "nobody", "DOMAIN": "example.org", "SENDER": ""}, 0),
        ({"LOCAL_PART": "nobody", "DOMAIN": "example.org", "SENDER": "MAILER-DAEMON"}, 0),
        ({"RECIPIENT": "all@example.org"}, 0),
        ({"LOCAL_PART": "all"}, 0),
        ({"LOCAL_PART": "al", "LOCAL_PART_SUFFIX": "l", "DOMAIN": "example.org"}, 0),
        ({}, 75),
    ],
)
def test_the_envelope_comes_from_the_environment_and_the_answer_is_a_code(database, program, envelope, code):
    done = gate(database, program=program, **envelope)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")
    assert copies(database) == (30 if code == 0 and "nobody" not in envelope.values() else 0)


def test_arguments_stand_in_for_the_environment(database):
    done = gate(
        database, "--local-part", "all", "--domain", "example.org", "--sender", "a@b.test", "--settings",
        "testproject.settings", "--project", str(REPOSITORY), "--python", sys.executable,
    )  # fmt: skip
    assert done.returncode == 0
    assert copies(database) == 30


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="the tests do not run in a virtual environment")
def test_it_finds_the_projects_environment_and_settings_by_itself(database, tmp_path):
    site = tmp_path / "a site"
    site.mkdir()
    (site / ".venv").symlink_to(sys.prefix)
    for name in ("manage.py", "dbmail", "testproject", "mailgates"):
        (site / name).symlink_to(REPOSITORY / name)
    # By its whole name: Debian's own Python has no `python`.
    outside = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    command = [str(outside), "-S", str(SCRIPT), "--project", str(site)]
    done = subprocess.run(command, input=MESSAGE, env=environment(database, LOCAL_PART="all"), check=False)  # noqa: S603
    assert done.returncode == 0
    assert copies(database) == 30


def test_a_local_part_that_is_no_utf_8_is_no_address(database):
    command = [sys.executable, str(SCRIPT)]
    env = {name.encode(): value.encode() for name, value in environment(database).items()}
    env[b"LOCAL_PART"] = b"all\xff"
    assert subprocess.run(command, input=MESSAGE, env=env, check=False).returncode == 67  # noqa: S603


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["--settings", "no.such.module"], ["--project", "/nowhere"], ["--seconds", "0.05"]]
)
def test_whatever_is_set_up_wrongly_the_mail_waits_and_nothing_is_printed(database, arguments):
    done = gate(database, *arguments, LOCAL_PART="all")
    assert (done.returncode, done.stdout) == (75, b"")
    assert b"Traceback" not in done.stderr


def test_errors_are_written_to_the_log(database, tmp_path):
    log = tmp_path / "gate.log"
    sql(database, "DROP TABLE dbmail_emaillist")
    assert gate(database, "--log", str(log), LOCAL_PART="all").returncode == 75
    assert "no such table" in log.read_text()
    log.unlink()
    assert gate(database, "--log", str(log), "--settings", "no.such.module", LOCAL_PART="all").returncode == 75
    assert "No module named" in log.read_text()


def test_it_explains_what_would_happen_and_does_nothing(database):
    done = gate(database, "--explain", "all@example.org")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "row 30 PlainList ^(.*)$  all: takes it" in text
    assert "send (clear)" in text
    assert "u29@home.test" in text
    assert "67" in gate(database, "--explain", "nobody").stdout.decode()
    assert "no message given" in gate(database, "--explain", "all@example.org", message=b"").stdout.decode()
    assert sql(database, "SELECT count(*) FROM dbmail_incomingmessage") == [(0,)]


#: The dearest of all, each to where it was; tests/incoming/test_hostile.py has the others.
DEAREST = [
    ("all", "a million fields"),
    ("all", "ten megabytes of base64"),
    ("all", "600 parentheses in From, closed"),
    ("bounces", "100,000 semicolons in Content-Type"),
    ("bounces", "a report on 100,000 recipients"),
    ("bounces", "semicolons in each of 240 multiparts"),
    ("bounces", "ten megabytes of quoted-printable"),
]


@pytest.mark.parametrize(("to", "name"), DEAREST)
def test_a_strangers_bomb_takes_less_than_two_seconds_and_150_megabytes(database, to, name):
    address = return_path.signed(7) if to == "bounces" else "all@example.org"
    env = environment(database, RECIPIENT=address, SENDER="" if to == "bounces" else "eve@evil.test")
    cost = measured([sys.executable, str(SCRIPT)], BOMBS[name](), env)
    assert cost.code == 0
    assert cost.seconds < 2
    assert cost.memory < 150


def test_killed_at_any_moment_it_loses_nothing_and_repeats_nothing(database):
    env = environment(database, LOCAL_PART="all", DOMAIN="example.org", SENDER="ann@home.test")
    begin = time.monotonic()
    gate(database, LOCAL_PART="nobody", message=b"From: x@y.test\n\nwarm up")
    whole = time.monotonic() - begin
    for part in range(1, 13):
        process = subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, env=env)  # noqa: S603
        process.stdin.write(MESSAGE)
        process.stdin.close()
        try:
            process.wait(whole * (0.4 + part * 0.05))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        assert copies(database) in (0, 30)
    assert gate(database, LOCAL_PART="all", DOMAIN="example.org", SENDER="ann@home.test").returncode == 0
    assert copies(database) == 30
    assert sql(database, "SELECT state FROM dbmail_incomingmessage WHERE local_part = 'all'") == [("handled",)]


@pytest.mark.parametrize(("command", "kept"), [("CONNECT", 0), ("MAIL", 0), ("DATA", 0), ("BODY", 1)])
def test_killed_while_it_sends_it_loses_nothing_and_repeats_no_more_than_the_mail_in_flight(
    database, smtp_server, command, kept
):
    running = []

    def kill(_argument):
        running[0].kill()
        running[0].wait()
        return TAKE_AND_DROP if kept else None

    envelope = {"LOCAL_PART": "all", "SENDER": "ann@home.test", "SMTP_PORT": str(smtp_server.port)}
    env = environment(database, **envelope)
    smtp_server.on(command, kill, nth=1 if command == "CONNECT" else 12)
    running.append(subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, env=env))  # noqa: S603
    running[0].stdin.write(MESSAGE)
    running[0].stdin.close()
    running[0].wait()
    assert running[0].returncode == -signal.SIGKILL
    assert gate(database, **envelope).returncode == 0  # the server tries again
    assert len(smtp_server.recipients()) < 30
    subprocess.run([sys.executable, "manage.py", "dbmail_cron"], cwd=REPOSITORY, env=env, check=True)
    assert len(set(smtp_server.recipients())) == 30
    # The mail before it may not have been marked yet; never both, for its end waits for that mark.
    assert kept <= len(smtp_server.recipients()) - 30 <= 1
    assert {mail.message["Message-ID"] for mail in smtp_server.messages} == {"<1@home.test>"}


def test_the_same_message_in_several_processes_at_once_goes_once(database, smtp_server):
    env = environment(database, LOCAL_PART="all", SENDER="ann@home.test", SMTP_PORT=str(smtp_server.port))
    running = [
        subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, env=env)  # noqa: S603
        for _ in range(5)
    ]
    for process in running:
        process.stdin.write(MESSAGE)
    for process in running:
        process.stdin.close()
    assert {process.wait() for process in running} <= {0, 75}
    assert copies(database) == 30
    assert sql(database, "SELECT count(*) FROM dbmail_forward") == [(1,)]
    assert len(smtp_server.recipients()) == len(set(smtp_server.recipients())) == 30


def test_a_term_signal_means_later(database):
    env = environment(database, LOCAL_PART="all")
    process = subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, env=env)  # noqa: S603
    deadline = time.monotonic() + 20
    while not catches(process.pid, signal.SIGTERM):
        assert time.monotonic() < deadline
    process.terminate()
    assert process.wait() == 75
