"""dbmail_cron --loop as a service: it wakes, waits, stops, and outlives its database."""

import os
import signal
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest

from ..processes import catches
from ..smtp import DROP, HANG
from ..waiting import until
from .gate import Gate

STUDENTS = 30
A_MAIL = (
    "from django.utils import timezone\n"
    "now = timezone.now()\n"
    "TextOfEmail.objects.create(send_to='ann@example.org', send_from='info@example.org', subject='Hello',"
    " msgtext='A body', **fields())\n"
    "answer = 0"
)


def queue_a_mail(site, fields="{}"):
    site.python(f"from datetime import timedelta\ndef fields():\n    return {fields}\n{A_MAIL}")


def everybody_once(site, students=STUDENTS):
    assert Counter(site.relay.recipients()) == {f"student{n}@students.example": 1 for n in range(1, students + 1)}
    assert site.states() == {"sent": students}


@pytest.fixture
def students(request):
    return STUDENTS if "broadcast" in request.fixturenames else 0


@pytest.fixture
def broadcast(site):
    """A broadcast to the students themselves, one mail each, in chunks of ten."""
    site.environment |= {"CHUNK_SIZE": "10", "BATCH_SIZE": "10"}
    return site


@pytest.fixture
def loop(site):
    """Start loops; whatever still runs at the end of the test must stop cleanly."""
    processes = []

    def start(interval, **environment):
        process = site.start("dbmail_cron", "--loop", f"--interval={interval}", **environment)
        processes.append(process)
        return process

    yield start
    try:
        for process in processes:
            if process.poll() is None:
                stop(process)
    finally:
        for process in processes:
            process.kill()


def stop(process, number=signal.SIGTERM):
    # Others may have done all the work while this one still started.
    until(lambda: process.poll() is not None or catches(process.pid, signal.SIGTERM))
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (process.returncode, out, err)
    return out, err


def sent(site, number):
    return lambda: len(site.relay.messages) >= number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_that_waits_stops_at_once(broadcast, loop, number):
    process = loop(3600)
    until(lambda: broadcast.sql("SELECT state FROM dbmail_messagerequest") == [("done",)])
    out, err = stop(process, number)
    assert out.startswith(f"1 requests processed, 0 failed, {STUDENTS} mails made, {STUDENTS} sent")
    assert err == ""
    everybody_once(broadcast)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_that_sends_finishes_the_mails_in_flight(broadcast, loop, number):
    site = broadcast
    processes = []
    site.relay.on("RCPT", lambda argument: processes[0].send_signal(number), nth=15)
    processes.append(loop(3600, CONNECTIONS="2"))
    processes[0].communicate(timeout=60)
    assert processes[0].returncode == 0
    assert 15 <= len(site.relay.messages) < STUDENTS
    assert set(site.states()) == {"sent", "queued"}
    assert site.states()["sent"] == len(site.relay.messages)
    site.run("dbmail_cron")
    everybody_once(site)


def test_a_second_signal_does_not_wait_for_a_relay_that_hangs(broadcast, loop):
    site = broadcast
    site.relay.on("DATA", HANG, nth=5)
    process = loop(3600)
    until(sent(site, 4))
    until(lambda: site.relay.count("DATA") == 5)
    until(lambda: process.terminate() or process.poll() is not None)  # two that come at once are one
    assert process.returncode == -signal.SIGTERM
    site.relay.forget_rules()
    site.relay.release()
    site.run("dbmail_cron")
    everybody_once(site)


def test_what_is_queued_by_another_process_leaves_within_the_interval_on_postgresql_at_once(site, loop):
    wakes = site.environment["DATABASE_URL"].startswith("postgres")
    loop(3600 if wakes else 1)
    for number in (1, 2, 3):
        queue_a_mail(site)
        until(sent(site, number), seconds=20)


def test_a_broadcast_is_taken_up_at_its_time_not_at_the_end_of_the_interval(broadcast, loop):
    site = broadcast
    site.python(
        "from datetime import timedelta\nfrom django.utils import timezone\n"
        "MessageRequest.objects.update(processed_by=timezone.now() + timedelta(seconds=6))\nanswer = 0"
    )
    began = time.monotonic()
    loop(3600)
    until(lambda: site.states() == {"sent": STUDENTS})
    assert time.monotonic() - began > 3


def test_a_retry_is_made_when_it_is_due_not_at_the_end_of_the_interval(site, loop):
    site.relay.reply("RCPT", "", "450 4.2.0 Greylisted", times=1)
    queue_a_mail(site)
    loop(3600, RETRY_WAIT="2")
    until(lambda: site.states() == {"sent": 1})
    assert site.relay.count("RCPT") == 2


def test_a_loop_that_waits_does_its_upkeep(site, loop):
    """A mail whose worker died elsewhere is sent, and one that is too old expires, with nobody queueing anything."""
    loop(1)
    queue_a_mail(site)
    until(sent(site, 1))
    queue_a_mail(site, "dict(state='sending', claimed_by='1@elsewhere', claimed_until=now + timedelta(seconds=3))")
    queue_a_mail(site, "dict(created_at=now - timedelta(days=8), due_at=now + timedelta(hours=1))")
    until(lambda: site.states() == {"sent": 2, "expired": 1})


def test_a_relay_that_is_down_is_asked_again_after_the_interval(site, loop):
    site.relay.reply("CONNECT", "", "421 4.3.2 Closed for now", times=2)
    queue_a_mail(site)
    process = loop(1)
    until(lambda: site.states() == {"sent": 1})
    _, err = stop(process)
    assert "Mail waits" in err and "Closed for now" in err


def test_two_loops_on_one_queue_send_each_mail_once(broadcast, loop):
    loop(1)
    loop(1, CONNECTIONS="2")
    until(lambda: broadcast.states() == {"sent": STUDENTS})
    everybody_once(broadcast)


def test_another_loop_takes_over_from_one_that_was_killed(broadcast, loop):
    site = broadcast
    processes = []

    def kill(argument):
        os.kill(processes[0].pid, signal.SIGKILL)
        processes[0].wait()
        return DROP

    site.relay.on("DATA", kill, nth=15)
    processes.append(loop(1))
    until(lambda: processes[0].returncode == -signal.SIGKILL)
    loop(1)
    until(lambda: site.states() == {"sent": STUDENTS})
    assert len(set(site.relay.recipients())) == STUDENTS
    assert len(site.relay.messages) <= STUDENTS + 1


@pytest.fixture
def gate(site):
    """The site's database behind a gate that the test can shut."""
    url = urlsplit(site.environment["DATABASE_URL"])
    if not url.port:
        pytest.skip("SQLite is a file: it does not go away")
    with Gate(url.hostname, url.port) as gate:
        site.environment["THROUGH_THE_GATE"] = url._replace(
            netloc=url.netloc.replace(f":{url.port}", f":{gate.port}")
        ).geturl()
        yield gate


def test_a_loop_that_waits_outlives_its_database(site, gate, loop):
    process = loop(1, DATABASE_URL=site.environment["THROUGH_THE_GATE"])
    queue_a_mail(site)
    until(sent(site, 1))
    for number in (2, 3):
        gate.shut()
        queue_a_mail(site)
        gate.open()
        until(sent(site, number))
    stop(process)


@pytest.mark.parametrize("step", ["MAIL", "DATA", "BODY"])
def test_a_database_that_goes_away_while_mails_leave_loses_none_and_repeats_none(broadcast, gate, loop, step):
    site = broadcast
    site.relay.on(step, lambda argument: gate.shut(), nth=15)
    process = loop(1, DATABASE_URL=site.environment["THROUGH_THE_GATE"])
    until(lambda: gate._listener is None)
    assert process.poll() is None
    gate.open()
    until(lambda: site.states() == {"sent": STUDENTS})
    stop(process)
    everybody_once(site)


def test_a_database_that_goes_away_while_mails_are_made_makes_each_once(broadcast, gate, loop):
    site = broadcast
    # The end of the first chunk's sending: the next is about to be made.
    site.relay.on("BODY", lambda argument: gate.shut(), nth=10)
    process = loop(1, DATABASE_URL=site.environment["THROUGH_THE_GATE"])
    until(lambda: gate._listener is None)
    assert process.poll() is None
    gate.open()
    until(lambda: site.states() == {"sent": STUDENTS})
    everybody_once(site)


def test_sigterm_is_heard_while_the_database_is_away(broadcast, gate, loop):
    process = loop(1, DATABASE_URL=broadcast.environment["THROUGH_THE_GATE"])
    until(lambda: broadcast.sql("SELECT state FROM dbmail_messagerequest") == [("done",)])
    gate.shut()
    _, err = stop(process)
    assert "Traceback" not in err
