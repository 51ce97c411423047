"""The outbox as Celery tasks: a real broker, two workers of two processes each, and kills.

BROKER says which broker scripts/test_broker starts (redis, rabbitmq); BROKER_URL names one of your own.
"""

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter

import pytest

from ..smtp import TAKE_AND_DROP
from ..waiting import until
from .site import ROOT

STUDENTS = 60


@pytest.fixture(scope="session")
def broker_url():
    if url := os.environ.get("BROKER_URL"):
        return url
    words = ["scripts/test_broker", os.environ.get("BROKER", "redis")]
    started = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=180)  # noqa: S603 - our own
    assert started.returncode == 0, started.stderr
    return started.stdout.strip()


class Queue:
    """Celery on a queue of its own. Every process has a group of its own, so that a kill takes its children too."""

    def __init__(self, site, broker_url, directory):
        self.site, self.directory, self.processes = site, directory, {}
        site.environment |= {
            "CELERY_BROKER_URL": broker_url,
            "CELERY_QUEUE": f"dbmail-{uuid.uuid4().hex[:8]}",
            "DISPATCH_SECONDS": "1",
        }

    def start(self, name, *words):
        with (self.directory / f"{name}.log").open("w") as output:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - our own words
                [sys.executable, "-m", "celery", "-A", "testproject", *words],
                cwd=ROOT,
                env=self.site.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_worker(self, name):
        self.start(name, "worker", "-n", f"{name}-{uuid.uuid4().hex[:6]}@%h", "--concurrency=2", "--loglevel=INFO")

    def start_beat(self):
        self.start("beat", "beat", "-s", str(self.directory / "schedule"), "--pidfile=")

    def logs(self):
        return "\n".join(path.read_text() for path in self.directory.glob("*.log"))

    def close(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def students():
    return STUDENTS


@pytest.fixture
def celery(site, broker_url, tmp_path):
    """Two workers and the beat, and a broadcast to students, one mail each, that is due at once."""
    site.environment |= {"CHUNK_SIZE": "10", "BATCH_SIZE": "10"}
    queue = Queue(site, broker_url, tmp_path)
    queue.start_worker("one")
    queue.start_worker("two")
    yield queue
    queue.close()


def holder(site, address):
    """The process that has claimed the mail to `address`."""
    found = site.sql(f"SELECT claimed_by FROM dbmail_textofemail WHERE address = '{address}' AND state = 'sending'")  # noqa: S608
    return int(found[0][0].split(".")[0])


def everybody(site):
    until(lambda: site.states() == {"sent": STUDENTS}, seconds=120)
    assert set(site.relay.recipients()) == {f"student{n}@students.example" for n in range(1, STUDENTS + 1)}
    until(lambda: site.sql("SELECT state FROM dbmail_messagerequest") == [("done",)])


def repeats(site):
    ids = {}
    for message in site.relay.messages:
        ids.setdefault(message.rcpt_tos[0], set()).add(message.message["Message-ID"])
    assert all(len(found) == 1 for found in ids.values())
    return sum(count - 1 for count in Counter(site.relay.recipients()).values())


def test_beat_and_two_workers_send_each_mail_once(celery):
    celery.start_beat()
    everybody(celery.site)
    assert repeats(celery.site) == 0


def test_tasks_that_come_many_times_repeat_nothing(celery):
    site = celery.site
    site.python(
        "from testproject.celery import app\n"
        "from dbmail.tasks.on_celery import deliver_batch, process_request\n"
        "pk = MessageRequest.objects.get().pk\n"
        "for _ in range(5):\n"
        "    process_request.delay(pk), deliver_batch.delay(), process_request.delay(pk + 1)\n"
        "answer = 0"
    )
    everybody(site)
    assert repeats(site) == 0


@pytest.mark.parametrize("whole_worker", [False, True], ids=["child", "worker"])
@pytest.mark.parametrize("kept", [False, True], ids=["before-data", "after-data"])
def test_a_kill_loses_nothing_and_repeats_at_most_one(celery, whole_worker, kept):
    site, killed = celery.site, []

    def kill(recipients):
        pid = holder(site, recipients.split()[0])
        os.killpg(os.getpgid(pid), signal.SIGKILL) if whole_worker else os.kill(pid, signal.SIGKILL)
        killed.append(pid)
        return TAKE_AND_DROP if kept else "451 4.3.0 Nobody hears this"

    site.relay.on("BODY", kill, nth=25)
    celery.start_beat()
    everybody(site)
    assert len(killed) == 1
    ended = [name for name, process in celery.processes.items() if process.poll() is not None]
    assert len(ended) == whole_worker
    # Each process has one connection, and one kill can repeat one mail on each; a worker is two processes.
    assert kept <= repeats(site) <= 1 + whole_worker


def test_a_worker_that_is_told_to_stop_finishes_its_turn(celery):
    site, told = celery.site, []

    def tell(recipients):
        told.append(os.getpgid(holder(site, recipients.split()[0])))
        os.kill(told[0], signal.SIGTERM)

    site.relay.on("BODY", tell, nth=15)
    celery.start_beat()
    everybody(site)
    assert repeats(site) == 0
    stopped = [process for process in celery.processes.values() if process.pid in told]
    assert len(stopped) == 1
    assert stopped[0].wait(timeout=60) == 0


def test_a_broadcast_that_fails_stops_no_other(celery):
    site = celery.site
    site.python(
        "good = MessageRequest.objects.get()\n"
        "MessageRequest.objects.create(subject='Broken', msgtext='{% nonsense %}', recipients=good.recipients,"
        " creator=good.creator, created_at=good.created_at)\n"
        "answer = 0"
    )
    celery.start_beat()
    until(lambda: site.states() == {"sent": STUDENTS}, seconds=120)
    until(lambda: site.sql("SELECT state FROM dbmail_messagerequest ORDER BY state") == [("done",), ("failed",)])
    assert "Traceback" not in celery.logs()
