"""Passes of the outbox without end: what `dbmail_cron --loop` does."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import Error, close_old_connections
from django.utils import timezone

from .cronmail import PassReport, run_pass
from .outbox.agenda import next_due
from .preflight.everyone import go_on
from .sleep import Listener, Stop

log = logging.getLogger(__name__)

#: Seconds that a turn gives to drafts whose audience is still being looked at: mail that becomes due waits so long.
PREFLIGHT = 5
#: Seconds after which a pass that always finds more to do ends, so that failures are reported.
LONGEST_PASS = 3600


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
    return Pause(min(2.0 ** min(failures - 1, 16), interval), False, "the database does not answer")


class Loop:
    """Runs passes until `stop` says so. The mails in flight are finished then and the others given back.

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
                listener.listen()
                pause = self._turn()
                log.debug("The next pass is in at most %.1f seconds: %s", pause.seconds, pause.reason)
                listener.wait(self.stop, pause.seconds, for_news=pause.for_news)

    def _turn(self) -> Pause:
        try:
            pause = self._pass()
        except Error as error:
            self._failures += 1
            log.error("The database does not answer as it should (%s); trying again", _first_line(error))
            pause = pause_without_database(self.interval, self._failures)
        else:
            if self._failures:
                log.warning("The database answers again")
            self._failures = 0
        # A connection that broke, or that is older than CONN_MAX_AGE, is not used for the next pass.
        close_old_connections()
        return pause

    def _pass(self) -> Pause:
        began, end = timezone.now(), time.monotonic() + LONGEST_PASS
        report = run_pass(stop=lambda: self.stop() or time.monotonic() > end, progress=self.progress)
        self.tell(report)
        more = go_on(self.stop, PREFLIGHT)
        due = None if report.trouble else next_due(after=began)
        return pause_after(self.interval, timezone.now(), due, report.trouble, more or time.monotonic() > end)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
