"""kill -9 at named steps and at random moments: no mail is lost, at most one a kill and connection repeats."""

import os
import random
import signal
from collections import Counter

import pytest

from ..smtp import TAKE_AND_DROP
from .site import Site

#: Kills at random moments; the figure in docs/performance.md is for KILLS=50.
KILLS = int(os.environ.get("KILLS", "8"))
STUDENTS = max(60, 8 * KILLS)


def everybody(site: Site) -> None:
    """Every recipient was written to, and every mail is marked as sent."""
    assert set(site.relay.recipients()) == {f"student{n}@students.example" for n in range(1, STUDENTS + 1)}
    assert site.states() == {"sent": STUDENTS}


def repeats(site: Site) -> int:
    """How many mails came more than once; each with the Message-ID of the first."""
    ids: dict[str, set[str]] = {}
    for message in site.relay.messages:
        ids.setdefault(message.rcpt_tos[0], set()).add(message.message["Message-ID"])
    assert all(len(found) == 1 for found in ids.values())
    return sum(count - 1 for count in Counter(site.relay.recipients()).values())


@pytest.fixture
def students():
    return STUDENTS


@pytest.fixture
def broadcast(site):
    """A broadcast to the students themselves, one mail each, in chunks of ten."""
    site.environment |= {"CHUNK_SIZE": "10", "BATCH_SIZE": "10"}
    return site


@pytest.mark.parametrize("connections", ["1", "3"])
@pytest.mark.parametrize(
    ("command", "nth", "kept"),
    [
        ("CONNECT", 1, False),  # after the claim
        ("MAIL", 25, False),
        ("RCPT", 25, False),
        ("DATA", 25, False),  # before the message
        ("BODY", 25, True),  # the relay has it, its reply never arrives
    ],
)
def test_a_kill_at_each_step_loses_nothing(broadcast, command, nth, kept, connections):
    site, processes = broadcast, []

    def kill(argument):
        os.kill(processes[0].pid, signal.SIGKILL)
        processes[0].wait()
        return TAKE_AND_DROP if kept else None

    site.relay.on(command, kill, nth=nth)
    processes.append(site.start("dbmail_cron", CONNECTIONS=connections))
    processes[0].communicate(timeout=120)
    assert processes[0].returncode == -signal.SIGKILL
    assert len(site.relay.messages) < STUDENTS
    site.run("dbmail_cron", CONNECTIONS=connections)
    everybody(site)
    assert repeats(site) <= int(connections)
    if kept:
        assert repeats(site) >= 1


def test_what_a_kill_leaves_in_doubt_is_held_if_a_setting_says_so(broadcast):
    site, processes = broadcast, []

    def kill(argument):
        os.kill(processes[0].pid, signal.SIGKILL)
        processes[0].wait()
        return TAKE_AND_DROP

    site.relay.on("BODY", kill, nth=25)
    processes.append(site.start("dbmail_cron", IN_DOUBT="hold"))
    processes[0].communicate(timeout=120)
    site.run("dbmail_cron", IN_DOUBT="hold")
    assert site.states() == {"sent": STUDENTS - 1, "in_doubt": 1}
    assert repeats(site) == 0
    assert len(site.relay.messages) == STUDENTS


def test_kills_at_random_moments_lose_nothing(broadcast):
    site, kills = broadcast, 0
    chance = random.Random(int(os.environ.get("KILL_SEED", "1")))  # noqa: S311 - a test that can be repeated
    for _ in range(KILLS):
        process = site.start("dbmail_cron", CONNECTIONS="2")
        after = chance.randrange(1, 12)
        site.relay.on("MAIL", lambda argument, pid=process.pid: os.kill(pid, signal.SIGKILL), nth=after)
        process.communicate(timeout=120)
        site.relay.forget_rules()
        kills += process.returncode == -signal.SIGKILL
    site.run("dbmail_cron", CONNECTIONS="2")
    everybody(site)
    assert kills > KILLS // 2  # the others came when all was sent
    print(f"{kills} kills, {repeats(site)} repeats")
    assert repeats(site) <= 2 * kills


def test_many_workers_on_one_queue_send_each_mail_once(broadcast):
    site = broadcast
    workers = [site.start("dbmail_cron", CONNECTIONS=str(n)) for n in (1, 2, 1, 2)]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, (out, err)
    site.run("dbmail_cron")
    everybody(site)
    assert repeats(site) == 0


def test_sigterm_finishes_the_mails_in_flight_and_leaves_nothing_claimed(broadcast):
    site, processes = broadcast, []
    site.relay.on("RCPT", lambda argument: processes[0].terminate(), nth=15)
    processes.append(site.start("dbmail_cron", CONNECTIONS="2"))
    processes[0].communicate(timeout=120)
    assert processes[0].returncode == 0
    assert len(site.relay.messages) < STUDENTS
    assert "sending" not in site.states()
    site.run("dbmail_cron")
    everybody(site)
    assert repeats(site) == 0
