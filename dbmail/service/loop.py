"""Passes without end: a worker that waits until a time has passed, something became due, or it was asked to stop."""

import logging
import select
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, close_old_connections, connections
from django.db.models import Min, OuterRef, Subquery
from django.utils import timezone

from ..blame import database_error, is_a_bug
from ..database import CHANNEL
from ..models import MessageRequest, TextOfEmail
from ..queue.apart import apart
from ..queue.claim import ACTIVE
from ..stop import Stop
from .passes import PassReport, look_over_drafts, run_pass

log = logging.getLogger(__name__)
BroadcastState = MessageRequest.State
#: Seconds that a turn gives to drafts whose audience is still being looked at: mail that becomes due waits so long.
PREFLIGHT = 5
#: Seconds after which a pass that always finds more to do ends, so that failures are reported.
LONGEST_PASS = 3600


def next_due(after: datetime) -> datetime | None:
    """The first moment later than `after` at which a request or a mail becomes due; None if there is none."""
    requests = MessageRequest.objects.filter(
        processed=False, state__in=[BroadcastState.SCHEDULED, BroadcastState.PROCESSING], processed_by__gt=after
    )
    waiting = TextOfEmail.objects.filter(state=TextOfEmail.State.QUEUED, due_at__gt=after)
    # One look into the index for each broadcast under way: its rows may be millions.
    of_request = waiting.filter(messagerequest=OuterRef("pk")).order_by("due_at").values("due_at")[:1]
    under_way = MessageRequest.objects.filter(state__in=ACTIVE).annotate(next=Subquery(of_request))
    moments = [
        requests.aggregate(first=Min("processed_by"))["first"],
        waiting.filter(messagerequest=None).aggregate(first=Min("due_at"))["first"],
        under_way.aggregate(first=Min("next"))["first"],
    ]
    return min((moment for moment in moments if moment is not None), default=None)


class Listener:
    """Hears `wake_workers()` of any process, over a connection of its own: LISTEN ends with its connection, and
    the usual one is closed whenever Django thinks fit. Deaf where the database is not PostgreSQL by psycopg 3."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self._using = using
        self._connection: Any = None

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def listen(self) -> None:
        """Listen from now on. Call it before looking for work, so that nothing falls between the two."""
        if self._connection is not None or not _can_listen(self._using):
            return
        connection = connections[self._using].copy()
        connection.settings_dict["OPTIONS"].pop("pool", None)  # a pool would hand it on, still listening
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        except Error as error:
            connection.close()
            log.warning("Cannot listen for news of the queue (%s): looking every now and then", type(error).__name__)
            return
        self._connection = connection

    def wait(self, stop: Stop, seconds: float, *, for_news: bool = True) -> None:
        """Return after `seconds`, when asked to stop, or (where `for_news`) when there is something to do."""
        deadline = time.monotonic() + seconds
        while not stop() and (left := deadline - time.monotonic()) > 0:
            sockets: list[Any] = [stop]
            if for_news and self._connection is not None:
                sockets.append(self._connection.connection)
            try:
                readable, _, _ = select.select(sockets, [], [], left)
            except Exception:  # the driver may have closed its socket by itself
                if self._connection is None:
                    raise
                log.warning("The connection that listens for news of the queue is gone")
                self._close()
                return
            if len(readable) > (stop in readable) and self._news():
                return
            if stop in readable:
                return

    def _news(self) -> bool:
        try:
            with self._connection.wrap_database_errors:
                return bool(list(self._connection.connection.notifies(timeout=0)))
        except Error:
            log.warning("The database has closed the connection that listens for news of the queue")
            self._close()
            return True  # whatever was said meanwhile was not heard

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Error):
                connection.close()


def _can_listen(using: str) -> bool:
    if connections[using].vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


@dataclass(frozen=True)
class Pause:
    """How long to wait before the next pass, in seconds; whether news of something due ends it; and why."""

    seconds: float
    for_news: bool
    reason: str


def pause_after(interval: float, now: datetime, due: datetime | None, trouble: str, cut_short: bool) -> Pause:
    """The pause after a pass at whose end the next thing was to become `due`.

    Never longer than `interval`: leases of dead workers end and mails expire without anybody's notice.
    """
    if trouble:
        return Pause(interval, False, "the relay takes nothing")
    if cut_short:
        return Pause(0, True, "there is more to do")
    if due is None:
        return Pause(interval, True, "nothing is due")
    return Pause(min(max((due - now).total_seconds(), 0), interval), True, f"something is due at {due}")


def pause_without_database(interval: float, failures: int) -> Pause:
    """The pause after the `failures`th attempt in a row that the database did not answer: 1, 2, 4... seconds."""
    return Pause(min(2.0 ** min(failures - 1, 16), interval), False, "the last turn failed")


class Loop:
    """Runs passes until `stop` says so. The mails in flight are finished then and the others given back.

    Nothing else ends it: what goes wrong in one turn is logged, and the next turn comes.

    `interval`: the longest pause between two passes, in seconds. `tell` gets the report of each pass.
    """

    def __init__(
        self,
        stop: Stop,
        interval: float,
        tell: Callable[[PassReport], None] = lambda report: None,
        progress: Callable[[PassReport], None] = lambda report: None,
    ) -> None:
        self.stop, self.interval, self.tell, self.progress = stop, interval, tell, progress
        self._failures = 0

    def run(self) -> None:
        with Listener() as listener:
            while not self.stop():
                pause = self._turn(listener)
                log.debug("The next pass is in at most %.1f seconds: %s", pause.seconds, pause.reason)
                listener.wait(self.stop, pause.seconds, for_news=pause.for_news)

    def _turn(self, listener: Listener) -> Pause:
        try:
            # A connection that broke, or that is older than CONN_MAX_AGE, is not used for this pass.
            close_old_connections()
            listener.listen()
            pause = self._pass()
        except BaseException as error:
            if not is_a_bug(error):
                raise
            self._failures += 1
            of_database = database_error(error)
            if of_database:
                log.error("The database does not answer as it should (%s); trying again", _first_line(of_database))
            else:
                log.exception("A turn of the loop broke off; trying again")
            return pause_without_database(self.interval, self._failures)
        if self._failures:
            log.warning("All goes well again")
        self._failures = 0
        return pause

    def _pass(self) -> Pause:
        began, end = timezone.now(), time.monotonic() + LONGEST_PASS
        report = run_pass(stop=lambda: self.stop() or time.monotonic() > end, progress=self.progress)
        apart("Telling of the pass", lambda: self.tell(report), None)
        more = look_over_drafts(self.stop, PREFLIGHT, report.defect)
        due = None if report.trouble else next_due(after=began)
        return pause_after(self.interval, timezone.now(), due, report.trouble, more or time.monotonic() > end)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
