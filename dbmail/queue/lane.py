"""One connection to the relay, and the dialogue on it, as far as it can go without waiting."""

import logging
import selectors
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from ..blame import in_words
from ..delivery.connection import close_smtp, open_smtp
from ..delivery.message import Mail, RawMail
from ..delivery.smtp import Dialogue, Reply, Say, Stage, dialogue, is_end, lost, seconds_for
from ..delivery.wire import AT_ONCE, WOULD_BLOCK
from ..exceptions import CannotSign, RelayUnavailable
from ..models import TextOfEmail

if TYPE_CHECKING:
    from .lanes import Lanes

log = logging.getLogger(__name__)

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


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
class Answered:
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


LaneEvent = Begun | Answered | LaneEnded | Late


class Lane:
    """One connection, reopened when the relay drops it, and the dialogue on it."""

    def __init__(self, backend: Any, lanes: "Lanes") -> None:
        self.backend, self.lanes = backend, lanes
        self.job: Job | None = None
        self.at_end = False
        self.deadline = 0.0  # when the relay's time is up; 0 where nothing is expected of it
        self._sock: Any = None
        self._carried = 0  # mails over this connection
        self._following: tuple[Job, Dialogue, Say] | None = None  # its first commands are sent already
        self._out = memoryview(b"")
        self._after = 0  # bytes of what goes out, at its end, that are the next mail's
        self._latest = 0.0  # when the relay must have taken it all
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
            trouble = in_words(error)
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
        self._replies = self.backend.connection.replies
        self._interest = _READ
        self.lanes.selector.register(self._sock, _READ, self)
        if self.lanes.late(job.row_id):
            self._done(Late(job))
        else:
            self._talk(job)

    def _talk(self, job: Job) -> None:
        try:
            envelope = job.mail.for_smtp()
        except CannotSign as error:
            self.lanes.ended(self, str(error))
            return
        except Exception as error:  # whatever is in a row, it must not keep the others from going out
            log.exception("Mail %s cannot be sent", job.row_id)
            said = _("It cannot be made into a mail: %(error)s") % {"error": in_words(error)}
            self._done(Answered(job, Reply(554, f"5.6.0 {said}", Stage.DATA)))
            return
        self._begin(dialogue(self.backend.connection, envelope))
        self._advance()

    def _advance(self, replies: list[Reply] | None = None) -> None:
        """Tell the dialogue what was replied, and do its next step."""
        assert self._steps  # noqa: S101 - called in a dialogue only
        while True:
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
            unheard = self._unheard(self._step.stages[0].unfinished)
            if unheard is None:
                break
            self.drop()
            replies = [unheard]
        follow = self._follow() if self._step.stages == (Stage.END,) else b""
        self._out, self._after = memoryview(self._step.data + follow), len(follow)
        self._heard = []
        self._latest = time.monotonic() + seconds_for(len(self._out), self._timeout)
        self._in_time()
        self._write()

    def _unheard(self, stage: Stage) -> Reply | None:
        """What stands for the reply to what the relay will not hear, or should not; None if it may be said."""
        if self._replies.unread or self._out:  # what has been answered is not even sent
            return self._replies.ahead(stage)
        if self._sock is None:
            return Reply(0, _("The relay closed the connection before the end of the mail"), stage)
        return None

    def _follow(self) -> bytes:
        """The first commands for the next mail: they may go with the end of this one (RFC 2920, 3.1), which saves
        a round trip a mail. Its own end waits for `go_on` like every other."""
        smtp, jobs = self.backend.connection, self.lanes.jobs
        if not jobs or not smtp.has_extn("pipelining") or self.lanes.late(jobs[0].row_id):
            return b""
        try:
            steps = dialogue(smtp, jobs[0].mail.for_smtp())
            step = next(steps)
        except Exception:  # told when its turn comes; StopIteration too: the relay cannot take it
            return b""
        assert step  # noqa: S101 - a dialogue begins with something to say
        self._following = jobs.popleft(), steps, step
        return step.data

    def _in_time(self) -> None:
        self.deadline = time.monotonic() + self._timeout

    def end_mail(self) -> None:
        self.at_end = False
        if self.job and self.lanes.late(self.job.row_id):
            self.drop()  # in the middle of a mail: what came so far is not one
            self._done(Late(self.job))
        else:
            if self._sock:
                self._read()  # what came before the end of the mail is not the reply to it
            self._advance()

    def ready(self, what: int) -> None:
        if what & _READ:  # first: it may be that nothing more should be said
            self._read()
        if what & _WRITE and self._sock and self._out:
            self._write()

    def _write(self) -> None:
        try:
            while self._out:
                self._out = self._out[self._sock.send(self._out) :]
                self.deadline = min(time.monotonic() + self._timeout, self._latest)
        except WOULD_BLOCK:
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
            data = self._sock.recv(AT_ONCE)
            if not data:
                raise ConnectionResetError(_("it was closed"))
        except WOULD_BLOCK:
            return
        except OSError as error:
            self._broken(error)
            return
        self._replies.feed(data)
        if self._step is None:
            self.drop()  # nothing is owed: what a relay says then is that it goes (RFC 5321, 3.8)
        elif self._unfinished:
            self.drop()
            self._advance([self._replies.ahead(Stage.END)])
        else:
            self._hear()

    @property
    def _unfinished(self) -> bool:
        """Whether the end of the mail is not sent yet, though it is on its way."""
        return len(self._out) > self._after and self._step is not None and self._step.stages == (Stage.END,)

    def _hear(self) -> None:
        assert self._step  # noqa: S101 - replies are to something
        while len(self._heard) < len(self._step.stages):
            reply = self._replies.next(self._step.stages[len(self._heard)])
            if reply is None:
                return
            self._heard.append(reply)
            if is_end(reply):
                break
            self._in_time()
        self._answered(self._replies.alone(self._heard))

    def _answered(self, replies: list[Reply]) -> None:
        if is_end(replies[-1]):
            self.drop()
        self._advance(replies)

    def _ended(self, reply: Reply) -> None:
        assert self.job  # noqa: S101 - a dialogue is about one
        if is_end(reply):
            self.drop()
        fresh = self._carried == 0
        self._carried += 1
        if self._sock is None and reply.stage is Stage.MAIL and not fresh:
            # Relays drop a connection after so many mails or seconds; a new one takes the mail.
            self._begin(None)
            self._open()
        else:
            self._done(Answered(self.job, reply))

    def _done(self, event: LaneEvent) -> None:
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
            stage = self._step.stages[len(self._heard)]
            self._answered([*self._heard, lost(error, stage.unfinished if self._unfinished else stage)])

    def look_at_clock(self) -> None:
        if self.deadline and time.monotonic() > self.deadline:
            self._broken(TimeoutError(_("the relay did not answer in time")))

    def drop(self) -> None:
        if self._sock:
            self.lanes.selector.unregister(self._sock)
            self._sock = None
            self._out = memoryview(b"")
            close_smtp(self.backend)

    def close(self, *, politely: bool) -> None:
        if self._sock:
            self._sock.settimeout(self._timeout)
            close_smtp(self.backend, politely=politely and self.job is None)
