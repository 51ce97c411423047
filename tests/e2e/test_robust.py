"""Clocks that are set, machines that sleep, relays that are slow, databases that go away, disks that are full."""

import os
import resource
import signal
import subprocess
import sys
import threading

import pytest
from django.db import connection

from ..waiting import until
from .site import Site
from .test_kill import STUDENTS, broadcast, everybody, repeats, students

__all__ = ["broadcast", "students"]


def clocks_are_set(site: Site, hours: int) -> None:
    """As if every clock were set by so many hours: all times that are stored are as much older."""
    site.python(
        "from datetime import timedelta\nfrom django.db.models import F\n"
        f"by = timedelta(hours={hours})\n"
        "TextOfEmail.objects.update(due_at=F('due_at') - by, created_at=F('created_at') - by)\n"
        "TextOfEmail.objects.exclude(claimed_until=None).update(claimed_until=F('claimed_until') - by)\n"
        "MessageRequest.objects.exclude(claimed_until=None).update(claimed_until=F('claimed_until') - by)\n"
        "answer = 0"
    )


def each_once(site: Site) -> None:
    everybody(site)
    assert repeats(site) == 0


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_an_hour_loses_nothing_and_doubles_nothing(broadcast, hours):
    site = broadcast

    def jump(argument):
        clocks_are_set(site, hours)
        site.run("dbmail_cron", RATES='{"all": "1000/min"}')  # another worker looks for leases that have ended

    site.relay.on("RCPT", jump, nth=15)
    site.run("dbmail_cron", CONNECTIONS="2", RATES='{"all": "1000/min"}')
    clocks_are_set(site, 1)  # an hour later
    site.run("dbmail_cron")
    each_once(site)


def test_a_worker_that_slept_through_its_lease_repeats_at_most_what_it_had_in_flight(broadcast):
    site, processes, asleep = broadcast, [], threading.Event()

    def fall_asleep(argument):
        os.kill(processes[0].pid, signal.SIGSTOP)
        asleep.set()

    site.relay.on("MAIL", fall_asleep, nth=15)
    processes.append(site.start("dbmail_cron", CONNECTIONS="2", LEASE="1", BATCH_SIZE="30"))
    assert asleep.wait(60)
    clocks_are_set(site, 5)
    out = site.run("dbmail_cron")
    assert "0 sent" not in out
    os.kill(processes[0].pid, signal.SIGCONT)
    processes[0].communicate(timeout=120)
    site.run("dbmail_cron")
    everybody(site)
    assert repeats(site) <= 2  # what the relay had taken and nobody had written down: one a connection


def test_a_dialogue_that_is_slower_than_its_lease_keeps_it(broadcast):
    site, taken_over = broadcast, []

    def leases(which):
        return which(
            end for (end,) in site.sql("SELECT claimed_until FROM dbmail_textofemail WHERE state = 'sending'")
        )

    def be_slow(argument):
        ends = leases(max)
        until(lambda: leases(min) > ends, 30)
        # What a worker on another host does, which cannot see that this one lives.
        taken_over.append(
            site.python(
                "import dbmail.queue.claim as claim\n"
                "claim.provably_alive = lambda name: False\n"
                "answer = claim.recover()"
            )
        )

    for nth in (5, 25):
        site.relay.on("RCPT", be_slow, nth=nth)
    workers = [site.start("dbmail_cron", LEASE="2") for _ in range(2)]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, (out, err)
    assert taken_over == [0, 0]
    site.run("dbmail_cron")
    each_once(site)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server that could go away")
@pytest.mark.parametrize("command", ["MAIL", "BODY"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_database_that_breaks_off_all_connections_in_the_middle(broadcast, command, times):
    site = broadcast
    kill = {
        "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()",
        "mysql": "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    }[connection.vendor]

    def break_off(argument):
        """At once: a pass that takes longer than ten seconds looks up, and then ends if the database is away."""
        rows = site.sql(kill)
        if connection.vendor == "mysql" and rows:
            site.sql(*(f"KILL {row[0]}" for row in rows))

    for n in range(times):
        site.relay.on(command, break_off, nth=10 + 12 * n)
    site.run("dbmail_cron", CONNECTIONS="2")
    each_once(site)


@pytest.mark.skipif(connection.vendor != "sqlite" or sys.platform != "linux", reason="limits the size of files")
@pytest.mark.parametrize("command", ["MAIL", "BODY"])
def test_a_full_disk_holds_the_work_up_until_there_is_room(broadcast, command):
    site, processes, full = broadcast, [], threading.Event()

    def fill(argument):
        resource.prlimit(processes[0].pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        full.set()

    site.relay.on(command, fill, nth=15)
    processes.append(site.start("dbmail_cron", CONNECTIONS="2"))
    assert full.wait(60)
    sent = len(site.relay.messages)
    with pytest.raises(subprocess.TimeoutExpired):
        processes[0].wait(3)
    assert len(site.relay.messages) <= sent + 3  # nothing goes on while it cannot be written down
    resource.prlimit(processes[0].pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    out, err = processes[0].communicate(timeout=120)
    assert processes[0].returncode == 0, (out, err)
    each_once(site)


def test_workers_at_the_same_time_keep_a_limit_together(broadcast):
    site = broadcast
    limits = '{"domain:students.example": "30/h"}'
    workers = [site.start("dbmail_cron", RATES=limits, CONNECTIONS="2") for _ in range(4)]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, (out, err)
    assert len(site.relay.messages) == 30
    assert site.states() == {"sent": 30, "queued": STUDENTS - 30}
    site.python("from django.utils import timezone\nTextOfEmail.objects.update(due_at=timezone.now())\nanswer = 0")
    site.run("dbmail_cron")
    each_once(site)
