"""One pass of the outbox: what cron calls, and the two steps of it that the reference had."""

import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from django.db import Error
from django.utils import timezone

from ..blame import Blame, blame, in_words, is_a_bug, is_contention
from ..broadcasts.control import drop_cancelled, finish_requests
from ..broadcasts.expire import expire_mails, expire_requests
from ..broadcasts.notices import SendReport, report_failures, report_paused
from ..database import after_deadlock
from ..exceptions import DbmailError, RelayUnavailable
from ..models import MessageRequest
from ..models.operations import Heartbeat
from ..preflight.everyone import go_on
from ..queue.apart import apart
from ..queue.claim import recover
from ..queue.deliver import Sender
from ..queue.process import process_in_chunks

log = logging.getLogger(__name__)
#: Seconds between two signs of life within one pass.
INTERVAL = 60.0
#: Seconds after which a pass that is busy sending looks up: at broadcasts that became due, at workers that died.
LOOK_UP = 10


class Pulse:
    """The signs of life of one pass: `beat` as often as you like, it writes once a minute; `end` says what it did."""

    def __init__(self) -> None:
        self._next = 0.0

    def beat(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + INTERVAL
            _write({})

    def end(self, summary: str, trouble: str) -> None:
        _write({"summary": summary, "trouble": trouble})


@after_deadlock  # of two passes that find no row and make one at the same time
def _write(told: dict[str, str]) -> None:
    Heartbeat.objects.update_or_create(host=socket.gethostname()[:255], defaults={"at": timezone.now(), **told})


@dataclass
class PassReport:
    """What one pass did. `trouble` is why it ended before everything that was due was sent; `defects` are what else
    went wrong, without holding up the rest."""

    requests: int = 0
    failed_requests: int = 0
    mails: int = 0
    expired: int = 0
    sending: SendReport = field(default_factory=SendReport)
    trouble: str = ""
    defects: list[str] = field(default_factory=list)

    @property
    def did_anything(self) -> bool:
        sending = self.sending
        moved = sending.sent + sending.deferred + sending.failed_count + sending.in_doubt
        return bool(self.requests + self.failed_requests + self.mails + self.expired + moved or self.went_wrong)

    @property
    def went_wrong(self) -> str:
        """The trouble and the defects, in one line."""
        return "; ".join([*filter(None, [self.trouble]), *self.defects])

    def defect(self, said: str) -> None:
        if said not in self.defects:
            self.defects.append(said)

    def summary(self) -> str:
        text = f"{self.requests} requests processed, {self.failed_requests} failed, {self.mails} mails made, "
        return text + self.sending.summary() + f", {self.expired} expired"


def process_messages() -> list[MessageRequest]:
    """Turn every request that is due into mails in the queue; the requests that were taken up.

    A request that cannot be processed is marked as failed, its creator is told, and the next one goes on.
    """
    expire_requests()
    requests = list(_due())
    for request in requests:
        for _ in _chunks(request, PassReport()):
            pass
    return requests


def send_email_requests(stop: Callable[[], bool] = lambda: False) -> SendReport:
    """Send every mail that is due, until `stop` says so. Raises RelayUnavailable where the relay takes nothing."""
    report = PassReport()
    report.expired += upkeep()
    with Sender(stop=stop) as sender:
        report.sending = sender.report
        try:
            sender.drain()
        finally:
            _after_sending(report)
    return report.sending


def run_pass(
    stop: Callable[[], bool] = lambda: False, progress: Callable[[PassReport], None] = lambda report: None
) -> PassReport:
    """Process and send whatever is due, in turns: the first mails leave while later ones are being made.

    `stop` is asked between mails; `progress` is told after each step. Never raises for trouble with the relay, with
    one request, or with a part of its own that the rest can do without: the report says it. Raises the database's
    error where that takes no work at all.
    """
    report, pulse = PassReport(), Pulse()
    due = _DueRequests(report)
    looked_up = time.monotonic()

    def alive() -> None:
        apart("The sign of life", pulse.beat, None, report.defect)
        apart("Showing the progress", lambda: progress(report), None, report.defect)

    def meanwhile() -> None:
        """Between two mails: a queue that takes hours to send holds up no other broadcast."""
        nonlocal looked_up
        alive()
        if time.monotonic() - looked_up > LOOK_UP:
            report.expired += upkeep(report.defect)
            due.process_a_chunk()
            looked_up = time.monotonic()

    alive()
    report.expired += upkeep(report.defect)
    with Sender(stop=stop, progress=meanwhile) as sender:
        report.sending = sender.report
        try:
            more = True
            while more and not stop():
                more = due.process_a_chunk()
                if not report.trouble:
                    _drain(sender, report)
                alive()
        finally:
            due.leave()
            _after_sending(report)
    apart("The sign of life", lambda: pulse.end(report.summary(), report.went_wrong), None, report.defect)
    return report


def look_over_drafts(stop: Callable[[], bool], seconds: float, tell: Callable[[str], object]) -> bool:
    """Go on with drafts whose audience is still being looked at, for about `seconds`; True if some of it is left."""
    return apart("The look over drafts", lambda: go_on(stop, seconds), False, tell)


def _drain(sender: Sender, report: PassReport) -> None:
    """Where it fails, processing goes on: what it makes waits for the next pass."""
    try:
        sender.drain()
    except RelayUnavailable as error:
        report.trouble = str(error)
        log.error("Nothing more is sent in this pass: %s", error)
    except BaseException as error:
        if not is_a_bug(error) or blame(error) is not Blame.OWN:
            raise
        report.trouble = in_words(error)
        log.exception("Nothing more is sent in this pass")


def _due() -> Iterator[MessageRequest]:
    yield from MessageRequest.objects.due().select_related("recipients", "creator").order_by("created_at", "pk")


class _DueRequests:
    """Processes all requests that are due, in turns, so that a small one is not behind a big one; before each round
    those that became due meanwhile join."""

    def __init__(self, report: PassReport) -> None:
        self.report = report
        self._seen: set[int] = set()
        self._under_way: list[Generator[int, None, None]] = []
        self._round: deque[Generator[int, None, None]] = deque()

    def process_a_chunk(self) -> bool:
        """Make the mails of one chunk of the request whose turn it is; False if no request is due."""
        while self._round or self._new_round():
            chunks = self._round.popleft()
            if next(chunks, None) is not None:
                return True
            self._under_way.remove(chunks)
        return False

    def _new_round(self) -> bool:
        for request in _due():
            if request.pk not in self._seen:
                self._seen.add(request.pk)
                self._under_way.append(_chunks(request, self.report))
        self._round.extend(self._under_way)
        return bool(self._round)

    def leave(self) -> None:
        """Let go of what is not finished."""
        for chunks in self._under_way:
            apart("Letting go of a broadcast", chunks.close, None, self.report.defect)


def _chunks(request: MessageRequest, report: PassReport) -> Generator[int, None, None]:
    try:
        for made in process_in_chunks(request):
            report.mails += made
            yield made
    except DbmailError:
        report.failed_requests += 1  # it is written down and its creator told; the next request goes on
    except Error as error:
        if not is_contention(error):
            raise
        log.warning("Request %s waits for the next pass: others were in the way in the database", request.pk)
        report.defect(f"Broadcast {request.pk} waits for the next pass: {error}".splitlines()[0])
    else:
        report.requests += 1


def upkeep(tell: Callable[[str], object] = lambda said: None) -> int:
    """Take over what dead workers left, drop what was cancelled, expire what is too old; how many expired.

    What goes wrong with one of these keeps nothing else from being done: it is logged, and `tell` is told.
    """
    apart("Taking over from dead workers", recover, 0, tell)
    apart("Dropping what was cancelled", drop_cancelled, 0, tell)
    expired = apart("Expiring broadcasts", expire_requests, 0, tell)
    expired += apart("Expiring mails", expire_mails, 0, tell)
    apart("Finishing broadcasts", finish_requests, 0, tell)
    return expired


def _after_sending(report: PassReport) -> None:
    apart("Finishing broadcasts", finish_requests, 0, report.defect)
    apart("Telling of failures", lambda: report_failures(report.sending), None, report.defect)
    apart("Telling of pauses", lambda: report_paused(report.sending), None, report.defect)
