"""Lanes: each carries mails over one connection of its own. One thread drives them all, and what the database must
know before a mail may end is settled between two of its rounds; no lane touches the database."""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.utils.translation import gettext as _

from ..blame import in_words, is_a_bug
from ..delivery.message import Mail, RawMail
from ..delivery.smtp import Reply, Stage, words
from ..delivery.wire import WOULD_BLOCK
from .lane import Answered, Job, Lane, LaneEnded, LaneEvent

#: Seconds that the first to have news waits for others: the database takes note of many in the time of one.
_LINGER = 0.001


class Lanes:
    """Connections to one relay, and the jobs that wait for one.

        lanes.open(4)
        lanes.add(job)
        while ...:
            events = lanes.wait(10)
            ...  # the database takes note of them
            lanes.go_on()

    The next mail is begun while the last one is being marked in the database, but its end is only sent by `go_on`,
    after that: so a crash can repeat one mail a connection, never two.
    """

    def __init__(
        self,
        backend: Callable[[], Any],
        late: Callable[[int], bool] = lambda row_id: False,
        connect_within: float | None = None,
    ) -> None:
        """`backend` makes one, not yet open, for each lane; `late` knows whether the lease of a row has ended;
        `connect_within`: seconds that opening may take, where that is less than the backend's timeout."""
        self.late, self.connect_within = late, connect_within
        self.jobs: deque[Job] = deque()
        self.events: list[LaneEvent] = []
        self.selector = selectors.DefaultSelector()
        self.opened: deque[tuple[Lane, str]] = deque()  # by the threads that open connections
        self._backend = backend
        self._lanes: list[Lane] = []
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self.selector.register(self._alarm, selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def capacity(self) -> int:
        """Jobs to have at a time: for each lane one under way, one that is begun with its end, and one more."""
        return 3 * len(self._lanes)

    def open(self, number: int) -> None:
        """Let there be so many lanes. Each connects when it has something to carry."""
        while len(self._lanes) < number:
            self._lanes.append(Lane(self._backend(), self))
        self._start()

    def add(self, job: Job) -> None:
        self.jobs.append(job)
        self._start()

    def _start(self) -> None:
        for lane in [*self._lanes]:
            if not self.jobs:
                return
            if lane.job is None:
                lane.carry(self.jobs.popleft())

    def withdraw(self) -> list[Job]:
        """Take back the jobs that no lane has taken up yet."""
        jobs = [*self.jobs]
        self.jobs.clear()
        return jobs

    def wait(self, seconds: float) -> list[LaneEvent]:
        """What has happened; waits for it at most so long."""
        now = time.monotonic()
        waits = [lane.deadline - now for lane in self._lanes if lane.deadline]
        self._poll(0 if self.events else max(0, min([seconds, *waits])))
        until = time.monotonic() + _LINGER
        while any(lane.deadline for lane in self._lanes) and (left := until - time.monotonic()) > 0:
            self._poll(left)
        for lane in [*self._lanes] if waits else ():
            lane.look_at_clock()
        events, self.events = self.events, []
        return events

    def _poll(self, seconds: float) -> None:
        for key, ready in self.selector.select(seconds):
            if key.data:
                key.data.ready(ready)
            else:
                self._connected()

    def go_on(self) -> None:
        """The database knows all that `wait` told: mails that are sent but for their end may end."""
        for lane in [*self._lanes]:
            if lane.at_end:
                lane.end_mail()

    def ring(self) -> None:
        with suppress(OSError):
            self._bell.send(b"!")

    def _connected(self) -> None:
        with suppress(*WOULD_BLOCK):
            self._alarm.recv(100)
        while self.opened:
            lane, trouble = self.opened.popleft()
            if trouble:
                self.ended(lane, trouble)
            else:
                lane.connected()

    def ended(self, lane: "Lane", reason: str) -> None:
        """This lane, which has a job and has not begun it, can carry nothing."""
        assert lane.job  # noqa: S101 - only then it finds out
        self._lanes.remove(lane)
        self.events.append(LaneEnded(lane.job, reason))
        lane.drop()

    def close(self, *, politely: bool) -> None:
        """Close all connections; those in the middle of a mail have not sent its end."""
        threads = [
            threading.Thread(target=lane.close, kwargs={"politely": politely}, daemon=True, name="dbmail quits")
            for lane in self._lanes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._lanes.clear()
        self.selector.close()
        self._alarm.close()
        self._bell.close()


class BackendLane:
    """In the place of lanes for any other Django mail backend: it carries one mail at a time, at once."""

    capacity = 1

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._events: list[LaneEvent] = []

    def __len__(self) -> int:
        return 1

    def open(self, number: int) -> None:
        self._backend.open()

    def add(self, job: Job) -> None:
        self._events.append(Answered(job, backend_reply(self._backend, job.mail)))

    def withdraw(self) -> list[Job]:
        return []

    def wait(self, seconds: float) -> list[LaneEvent]:
        events, self._events = self._events, []
        return events

    def go_on(self) -> None:
        pass

    def close(self, *, politely: bool) -> None:
        self._backend.close()


def backend_reply(backend: Any, mail: Mail | RawMail) -> Reply:
    """Send through a backend that only returns or raises, in the words of an SMTP reply."""
    try:
        backend.send_messages([mail.email_message()])
    except BaseException as error:  # backends raise what they like; the row gets the reason and another try
        if not is_a_bug(error):
            raise
        code, said = getattr(error, "smtp_code", 451), words(in_words(error))
        return Reply(code if isinstance(code, int) and 400 <= code < 600 else 451, said, Stage.END)
    return Reply(250, _("taken by the mail backend"), Stage.END)
