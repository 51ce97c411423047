"""Lanes: each carries mails over one connection, and tells what became of them. No lane touches the database."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..delivery.connection import close_smtp, open_smtp, relay_name
from ..delivery.message import Mail, RawMail
from ..delivery.smtp import Reply, Stage, transmit
from ..exceptions import RelayUnavailable
from ..models import TextOfEmail


def _taken_lock() -> threading.Lock:
    # A lock is what one thread takes and another frees here: an Event would cost ten times as much.
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False, slots=True)
class Job:
    """One mail on its way. `may_end` is free when its last part may be sent (only waited for where
    DBMAIL["IN_DOUBT"] is "hold")."""

    row: TextOfEmail
    mail: Mail | RawMail
    may_end: threading.Lock = field(default_factory=_taken_lock)

    @property
    def row_id(self) -> int:
        return self.row.pk


@dataclass(frozen=True, slots=True)
class Begun:
    """A lane says: all but the message itself is sent, from now on it may arrive."""

    job: Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """A lane says: this is what the relay said of a job. `awaited` is to be freed when the database knows it too."""

    job: Job
    reply: Reply
    awaited: "threading.Lock | None" = None


@dataclass(frozen=True, slots=True)
class LaneEnded:
    """A lane says: I carry nothing more. `job` is what it had taken on and not begun."""

    lane: "SmtpLane"
    reason: str
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """A lane says: the lease of this job had ended before I could send it. `awaited` as with an outcome."""

    job: Job
    awaited: "threading.Lock | None"


Event = Begun | Outcome | LaneEnded | Late


class LeaseEnded(Exception):
    """Another worker may have taken the mail over."""


class Aborted(Exception):
    """The database cannot say what was sent: no further mail may leave."""


class SmtpLane(threading.Thread):
    """Takes jobs and sends them over one SMTP connection, reopened when the relay drops it.

    The next mail is begun while the last one is being marked in the database, but its end is only sent
    after that: so a crash can repeat one mail a connection, never two.
    """

    def __init__(
        self,
        backend: Any,
        jobs: "queue.SimpleQueue[Job | None]",
        events: "queue.SimpleQueue[Event]",
        hold: bool,
        late: Callable[[int], bool] = lambda row_id: False,
        connect_within: float | None = None,
    ) -> None:
        super().__init__(daemon=True, name="dbmail lane")
        self.late, self.connect_within = late, connect_within
        self.backend, self.jobs, self.events, self.hold = backend, jobs, events, hold
        self.host = relay_name(backend)
        self.aborted = False
        #: Taken from the end of a mail until the database knows what became of it.
        self._unmarked = threading.Lock()
        self._took = False
        self._carried = 0  # mails over this connection

    def run(self) -> None:
        job: Job | None = None
        try:
            while (job := self.jobs.get()) is not None:
                try:
                    reply = self._carry(job)
                except LeaseEnded:
                    if self._took:
                        close_smtp(self.backend)  # in the middle of a mail: what came so far is not one
                    self.events.put(Late(job, self._unmarked if self._took else None))
                else:
                    self.events.put(Outcome(job, reply, self._unmarked if self._took else None))
                job = None
        except Aborted:
            pass
        except RelayUnavailable as error:
            self.events.put(LaneEnded(self, str(error), job))
        except BaseException as error:
            # Nothing may leave the main thread waiting for a lane that is gone.
            self.events.put(LaneEnded(self, f"{type(error).__name__}: {error}", job))
            raise
        finally:
            close_smtp(self.backend, politely=not self.aborted)

    def _carry(self, job: Job) -> Reply:
        while True:
            self._took = False
            if self.late(job.row_id):
                raise LeaseEnded
            if self.backend.connection is None:
                open_smtp(self.backend, within=self.connect_within)
                self._carried = 0
            reply = transmit(self.backend.connection, job.mail.envelope(), lambda: self._wait_for_marks(job))
            fresh = self._carried == 0
            self._carried += 1
            if reply.lost or reply.code == 421:
                close_smtp(self.backend)
                # Relays drop a connection after so many mails or seconds; a new one takes the mail.
                if reply.stage is Stage.MAIL and not fresh:
                    continue
            return reply

    def _wait_for_marks(self, job: Job) -> None:
        self._unmarked.acquire()
        self._took = True
        if self.hold and not self.aborted:
            self.events.put(Begun(job))
            job.may_end.acquire()
        if self.aborted:
            raise Aborted
        if self.late(job.row_id):
            raise LeaseEnded

    def abort(self, jobs: "list[Job]") -> None:
        self.aborted = True
        for lock in (self._unmarked, *(job.may_end for job in jobs)):
            with suppress(RuntimeError):  # nobody holds it
                lock.release()


class BackendLane:
    """Sends jobs through any other Django mail backend, one at a time and in the caller's thread."""

    def __init__(self, backend: Any, events: "queue.SimpleQueue[Event]") -> None:
        self.backend, self.events = backend, events
        self.host = relay_name(backend)
        backend.open()

    def carry(self, job: Job) -> None:
        self.events.put(Outcome(job, backend_reply(self.backend, job.mail)))

    def close(self) -> None:
        self.backend.close()


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
