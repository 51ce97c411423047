"""The loop's decisions, and what wakes it. That whole processes obey them is shown in e2e/test_loop.py."""

import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.broadcasts import control
from dbmail.database import wake_workers
from dbmail.models import MessageRequest, TextOfEmail
from dbmail.queue.claim import Claims, recover
from dbmail.queue.worker import ended, identity
from dbmail.service.loop import Listener, next_due, pause_after, pause_without_database
from dbmail.stop import Stop

from ..admin.test_compose import confirm
from ..builders import a_mail, a_request, a_user
from ..queue.test_claim import queued, sending

NOW = datetime(2027, 2, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("due", "trouble", "cut_short", "seconds", "for_news"),
    [
        (None, "", False, 15, True),
        (NOW + timedelta(seconds=4), "", False, 4, True),
        (NOW + HOUR, "", False, 15, True),
        (NOW - HOUR, "", False, 0, True),
        (NOW - HOUR, "", True, 0, True),
        # A relay that is down is not asked again for each mail that somebody queues.
        (NOW - HOUR, "no connection", False, 15, False),
    ],
)
def test_a_pause_ends_when_something_is_due(due, trouble, cut_short, seconds, for_news):
    pause = pause_after(15, NOW, due, trouble, cut_short)
    assert (pause.seconds, pause.for_news) == (seconds, for_news)


def test_a_database_that_is_away_is_asked_less_and_less_often():
    assert [pause_without_database(15, n).seconds for n in (1, 2, 3, 4, 5, 5000)] == [1, 2, 4, 8, 15, 15]


@pytest.mark.django_db
class TestAgenda:
    def test_nothing_is_due_in_an_empty_queue(self):
        assert next_due(timezone.now()) is None

    def test_the_first_of_requests_mails_and_mails_of_broadcasts_counts(self):
        now = timezone.now()
        queued(sending(), 3)
        TextOfEmail.objects.update(due_at=now + 3 * HOUR)
        assert next_due(now) == now + 3 * HOUR
        a_request(processed_by=now + 2 * HOUR)
        assert next_due(now) == now + 2 * HOUR
        a_mail(due_at=now + HOUR)
        assert next_due(now) == now + HOUR

    @pytest.mark.parametrize("state", ["draft", "paused", "cancelled", "failed", "done"])
    def test_what_nobody_will_send_is_not_waited_for(self, state):
        now = timezone.now()
        request = a_request(state=state, processed_by=now + HOUR)
        queued(request, 1)
        TextOfEmail.objects.update(due_at=now + HOUR)
        assert next_due(now) is None

    def test_what_was_due_before_is_no_reason_to_hurry(self):
        now = timezone.now()
        a_mail(due_at=now - HOUR)
        a_request(processed_by=now - HOUR)
        assert next_due(now) is None


class TestStop:
    def test_a_signal_says_stop_and_the_handlers_come_back(self):
        before = signal.getsignal(signal.SIGTERM)
        with Stop() as stop:
            assert not stop()
            signal.raise_signal(signal.SIGTERM)
            assert stop()
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.set_wakeup_fd(-1) == -1

    def test_a_second_signal_ends_the_process(self):
        with Stop():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_a_signal_ends_a_wait_also_if_it_came_just_before(self):
        with Stop() as stop, Listener() as listener:
            signal.raise_signal(signal.SIGTERM)
            began = time.monotonic()
            stop._asked = False  # as if it came between the question and the wait
            listener.wait(stop, 60)
            assert time.monotonic() - began < 30

    def test_a_thread_can_do_without_signals(self):
        said = []

        def elsewhere():
            with Stop() as stop:
                said.append(stop())

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert said == [False]


def heard(do):
    """Whether `do` ends a wait."""
    with Stop() as stop, Listener() as listener:
        listener.listen()
        do()
        began = time.monotonic()
        listener.wait(stop, 0.5)
        return time.monotonic() - began < 0.4


@pytest.mark.django_db(transaction=True)
class TestNews:
    """On PostgreSQL every way into the queue is heard; elsewhere nothing is, and nothing is asked of the database."""

    @pytest.fixture(autouse=True)
    def _database(self):
        self.speaks = connection.vendor == "postgresql"

    def test_a_broadcast_that_becomes_ready_is_news(self):
        assert heard(a_request) is self.speaks
        assert not heard(lambda: a_request(state=MessageRequest.State.DRAFT))

    def test_a_resumed_broadcast_is_news(self):
        request = a_request()
        request.pause()
        assert heard(request.resume) is self.speaks

    def test_a_draft_that_is_sent_off_is_news(self):
        request = a_request(state=MessageRequest.State.DRAFT)
        assert heard(lambda: control.schedule(request)) is self.speaks
        assert not heard(lambda: control.schedule(request))  # it is none any more

    def test_the_send_button_is_news(self, admin_client):
        a_user()
        draft = a_request(state=MessageRequest.State.DRAFT)
        assert heard(lambda: confirm(admin_client, draft)) is self.speaks
        draft.refresh_from_db()
        assert draft.state == MessageRequest.State.SCHEDULED

    def test_mails_that_are_tried_again_are_news(self):
        request = a_request(state=MessageRequest.State.SENDING)
        mail = a_mail(messagerequest=request, state=TextOfEmail.State.FAILED)
        mails = TextOfEmail.objects.filter(pk=mail.pk)
        assert heard(lambda: control.requeue(mails)) is self.speaks
        assert not heard(lambda: control.requeue(mails))  # they wait already

    def test_a_mail_queued_by_hand_is_news(self):
        assert heard(a_mail) is self.speaks
        assert heard(lambda: queued(sending(), 3)) is self.speaks

    def test_news_comes_with_the_commit_and_not_without_it(self):
        def in_vain():
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                a_mail()
                raise ZeroDivisionError

        assert not heard(in_vain)

    def test_news_from_before_the_wait_are_not_missed(self):
        def busy():
            wake_workers()
            a_user()

        assert heard(busy) is self.speaks

    def test_many_rows_are_one_piece_of_news(self):
        request = sending()
        with CaptureQueriesContext(connection) as queries:
            queued(request, 1000)
        assert sum("NOTIFY" in query["sql"] for query in queries) == (1 if self.speaks else 0)

    def test_a_broadcast_tells_once_a_chunk(self, chunks_of):
        chunks_of(10)
        for n in range(30):
            a_user(f"u{n}")
        request = a_request()
        with CaptureQueriesContext(connection) as queries:
            request.process()
        assert sum("NOTIFY" in query["sql"] for query in queries) == (3 if self.speaks else 0)

    def test_a_listening_connection_that_breaks_is_news_and_is_made_again(self):
        if not self.speaks:
            return
        with Stop() as stop, Listener() as listener:
            listener.listen()
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database() AND query LIKE 'LISTEN%'"
                )
                assert cursor.rowcount == 1
            began = time.monotonic()
            listener.wait(stop, 60)
            assert time.monotonic() - began < 30
            listener.listen()
            wake_workers()
            listener.wait(stop, 60)
            assert time.monotonic() - began < 30


@pytest.mark.django_db
def test_what_a_worker_of_this_process_left_behind_is_taken_over():
    queued(sending(), 4)
    alive, dead = identity(), identity()
    assert len(Claims(alive).take(2)) == len(Claims(dead).take(2)) == 2
    assert recover() == 0
    ended(dead)
    assert recover() == 2
    assert set(TextOfEmail.objects.filter(state="sending").values_list("claimed_by", flat=True)) == {alive}


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "soon"])
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(CommandError):
        call_command("dbmail_cron", "--loop", "--interval", interval)
