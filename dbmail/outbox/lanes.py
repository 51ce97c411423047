"""Lanes: each carries mails over one connection of its own. One thread drives them all, and what the database must
know before a mail may end is settled between two of its rounds; no lane touches the database."""

import logging
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..delivery.connection import close_smtp, open_smtp
from ..delivery.message import Mail, RawMail
from ..delivery.smtp import Dialogue, Replies, Reply, Say, Stage, dialogue, lost
from ..exceptions import CannotSign, RelayUnavailable
from ..models import TextOfEmail

log = logging.getLogger(__name__)

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: Bytes read at once: more than a relay has to say, and no less than a TLS record (RFC 8446, 5.1).
_AT_ONCE = 32_768
#: Seconds that the first to have news waits for others: the database takes note of many in the time of one.
_LINGER = 0.001


@dataclass(eq=False, slots=True)
class Job:
    """One mail on its way."""

    row: TextOfEmail
    mail: Mail | RawMail

    @property
    def row_id(self) -> int:
        return self.row.pk


@dataclass(frozen=True, slots=True)
class Begun:
    """All but the message itself is sent; from the next round on it may arrive."""

    job: Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """This is what the relay said of a job."""

    job: Job
    reply: Reply


@dataclass(frozen=True, slots=True)
class LaneEnded:
    """A lane carries nothing more, since no connection can be had; its job was not begun."""

    job: Job
    reason: str


@dataclass(frozen=True, slots=True)
class Late:
    """The lease of this job had ended before it could be sent."""

    job: Job


Event = Begun | Outcome | LaneEnded | Late


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
        self.events: list[Event] = []
        self.selector = selectors.DefaultSelector()
        self.opened: deque[tuple[_Lane, str]] = deque()  # by the threads that open connections
        self._backend = backend
        self._lanes: list[_Lane] = []
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self.selector.register(self._alarm, _READ)

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def capacity(self) -> int:
        """Jobs to have at a time: for each lane one under way, one that is begun with its end, and one more."""
        return 3 * len(self._lanes)

    def open(self, number: int) -> None:
        """Let there be so many lanes. Each connects when it has something to carry."""
        while len(self._lanes) < number:
            self._lanes.append(_Lane(self._backend(), self))
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

    def wait(self, seconds: float) -> list[Event]:
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
        with suppress(*_WOULD_BLOCK):
            self._alarm.recv(100)
        while self.opened:
            lane, trouble = self.opened.popleft()
            if trouble:
                self.ended(lane, trouble)
            else:
                lane.connected()

    def ended(self, lane: "_Lane", reason: str) -> None:
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


class _Lane:
    """One connection, reopened when the relay drops it, and the dialogue on it."""

    def __init__(self, backend: Any, lanes: Lanes) -> None:
        self.backend, self.lanes = backend, lanes
        self.job: Job | None = None
        self.at_end = False
        self.deadline = 0.0  # when the relay's time is up; 0 where nothing is expected of it
        self._sock: Any = None
        self._carried = 0  # mails over this connection
        self._following: tuple[Job, Dialogue, Say] | None = None  # its first commands are sent already
        self._out = memoryview(b"")
        self._begin(None)

    def _begin(self, steps: Dialogue | None) -> None:
        self._steps = steps
        self._step: Say | None = None
        self._heard: list[Reply] = []
        self.at_end = False
        self.deadline = 0.0

    def carry(self, job: Job) -> None:
        self.job = job
        if self.lanes.late(job.row_id):
            self._done(Late(job))
        elif self._sock is None:
            self._open()
        else:
            self._talk(job)

    def _open(self) -> None:
        threading.Thread(target=self._opening, daemon=True, name="dbmail connects").start()

    def _opening(self) -> None:
        """Elsewhere: it may take a minute, in which the other lanes go on."""
        try:
            open_smtp(self.backend, within=self.lanes.connect_within)
        except RelayUnavailable as error:
            trouble = str(error)
        except Exception as error:  # nobody may be left waiting for this lane
            log.exception("A connection could not be opened")
            trouble = f"{type(error).__name__}: {error}"
        else:
            trouble = ""
        self.lanes.opened.append((self, trouble))
        self.lanes.ring()

    def connected(self) -> None:
        job = self.job
        assert job  # noqa: S101 - it is for a job that we connect
        self._sock = self.backend.connection.sock
        self._timeout = self._sock.gettimeout()
        self._sock.setblocking(False)
        self._carried = 0
        self._replies = Replies()
        self._interest = _READ
        self.lanes.selector.register(self._sock, _READ, self)
        if self.lanes.late(job.row_id):
            self._done(Late(job))
        else:
            self._talk(job)

    def _talk(self, job: Job) -> None:
        try:
            envelope = job.mail.envelope()
        except CannotSign as error:
            self.lanes.ended(self, str(error))
            return
        except Exception as error:  # whatever is in a row, it must not keep the others from going out
            log.exception("Mail %s cannot be sent", job.row_id)
            self._done(Outcome(job, Reply(554, f"5.6.0 It cannot be made into a mail: {error}", Stage.DATA)))
            return
        self._begin(dialogue(self.backend.connection, envelope))
        self._advance()

    def _advance(self, replies: list[Reply] | None = None) -> None:
        """Tell the dialogue what was replied, and do its next step."""
        assert self._steps  # noqa: S101 - called in a dialogue only
        try:
            self._step = next(self._steps) if replies is None else self._steps.send(replies)
        except StopIteration as end:
            self._ended(end.value)
            return
        if self._step is None:
            self.at_end, self.deadline = True, 0.0
            if self.job:
                self.lanes.events.append(Begun(self.job))
            return
        self._out = memoryview(self._step.data + (self._follow() if self._step.stages == (Stage.END,) else b""))
        self._heard = []
        self._in_time()
        self._write()

    def _follow(self) -> bytes:
        """The first commands for the next mail: they may go with the end of this one (RFC 2920, 3.1), which saves
        a round trip a mail. Its own end waits for `go_on` like every other."""
        smtp, jobs = self.backend.connection, self.lanes.jobs
        if not jobs or not smtp.has_extn("pipelining") or self.lanes.late(jobs[0].row_id):
            return b""
        try:
            steps = dialogue(smtp, jobs[0].mail.envelope())
            step = next(steps)
        except Exception:  # told when its turn comes; StopIteration too: the relay cannot take it
            return b""
        assert step  # noqa: S101 - a dialogue begins with something to say
        self._following = jobs.popleft(), steps, step
        return step.data

    def _in_time(self) -> None:
        self.deadline = time.monotonic() + self._timeout if self._timeout else 0.0

    def end_mail(self) -> None:
        self.at_end = False
        if self.job and self.lanes.late(self.job.row_id):
            self.drop()  # in the middle of a mail: what came so far is not one
            self._done(Late(self.job))
        elif self._sock is None:
            self._ended(Reply(0, "The relay closed the connection before the end of the mail", Stage.DATA))
        else:
            self._advance()

    def ready(self, what: int) -> None:
        if what & _WRITE:
            self._write()
        if what & _READ and self._sock:
            self._read()

    def _write(self) -> None:
        try:
            while self._out:
                self._out = self._out[self._sock.send(self._out) :]
                self._in_time()
        except _WOULD_BLOCK:
            pass
        except OSError as error:
            self._broken(error)
            return
        interest = _READ | _WRITE if self._out else _READ
        if interest != self._interest:
            self._interest = interest
            self.lanes.selector.modify(self._sock, interest, self)

    def _read(self) -> None:
        try:
            data = self._sock.recv(_AT_ONCE)
            if not data:
                raise ConnectionResetError("it was closed")
        except _WOULD_BLOCK:
            return
        except OSError as error:
            self._broken(error)
            return
        self._replies.feed(data)
        if self._step is None:
            if self.job is None:
                self.drop()  # what an idle relay says is that it goes (RFC 5321, 3.8)
            return  # at the end of a mail it is the reply to that
        self._in_time()
        self._hear()

    def _hear(self) -> None:
        assert self._step  # noqa: S101 - replies are to something
        while len(self._heard) < len(self._step.stages):
            reply = self._replies.next(self._step.stages[len(self._heard)])
            if reply is None:
                return
            self._heard.append(reply)
            if reply.lost or reply.code == 421:
                break
        self._answered(self._heard)

    def _answered(self, replies: list[Reply]) -> None:
        if replies[-1].lost or replies[-1].code == 421:
            self.drop()
        self._advance(replies)

    def _ended(self, reply: Reply) -> None:
        assert self.job  # noqa: S101 - a dialogue is about one
        fresh = self._carried == 0
        self._carried += 1
        if self._sock is None and reply.stage is Stage.MAIL and not fresh:
            # Relays drop a connection after so many mails or seconds; a new one takes the mail.
            self._begin(None)
            self._open()
        else:
            self._done(Outcome(self.job, reply))

    def _done(self, event: Event) -> None:
        self.job, following, self._following = None, self._following, None
        self._begin(None)
        self.lanes.events.append(event)
        if following and self._sock:
            self.job, self._steps, self._step = following
            self._in_time()
            self._hear()
            return
        if following:
            self.lanes.jobs.appendleft(following[0])
        if self.lanes.jobs:
            self.carry(self.lanes.jobs.popleft())

    def _broken(self, error: OSError) -> None:
        if self._step is None:
            self.drop()
        else:
            self._answered([*self._heard, lost(error, self._step.stages[len(self._heard)])])

    def look_at_clock(self) -> None:
        if self.deadline and time.monotonic() > self.deadline:
            self._broken(TimeoutError("the relay did not answer in time"))

    def drop(self) -> None:
        if self._sock:
            self.lanes.selector.unregister(self._sock)
            self._sock = None
            close_smtp(self.backend)

    def close(self, *, politely: bool) -> None:
        if self._sock:
            self._sock.settimeout(self._timeout)
            close_smtp(self.backend, politely=politely and self.job is None)


class BackendLane:
    """In the place of lanes for any other Django mail backend: it carries one mail at a time, at once."""

    capacity = 1

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._events: list[Event] = []

    def __len__(self) -> int:
        return 1

    def open(self, number: int) -> None:
        self._backend.open()

    def add(self, job: Job) -> None:
        self._events.append(Outcome(job, backend_reply(self._backend, job.mail)))

    def withdraw(self) -> list[Job]:
        return []

    def wait(self, seconds: float) -> list[Event]:
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
    except Exception as error:  # backends raise what they like; the row gets the reason and another try
        code = getattr(error, "smtp_code", 451)
        if isinstance(code, int) and 400 <= code < 600:
            return Reply(code, f"{type(error).__name__}: {error}", Stage.END)
        return Reply(451, f"{type(error).__name__}: {error}", Stage.END)
    return Reply(250, "taken by the mail backend", Stage.END)
