"""Sending what is due, over several connections: round by round, what the relay said is written down before more
of it is asked."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from django.db import Error
from django.utils import timezone
from django.utils.translation import gettext as _

from ..blame import is_a_bug
from ..broadcasts.notices import SendReport
from ..conf import config
from ..database import persistently, uptime
from ..delivery.connection import configured_backend, relay_name, speaks_smtp
from ..exceptions import RelayUnavailable
from ..models import TextOfEmail
from .apart import apart
from .claim import Claims
from .compose import CannotBeMade, Composer
from .decide import Fate, RetryDecision
from .lane import Answered, Begun, Job, LaneEnded, LaneEvent, Late
from .lanes import BackendLane, Lanes
from .record import AttemptLine, attempt, decided, log_attempts, settle, suppress_refused, write_down
from .waiting import Waiting, domain_of
from .watch import BroadcastWatch, RelayWatch
from .worker import ended, identity

log = logging.getLogger(__name__)

#: Mails that are claimed at once: enough that claiming costs little, few enough that those of a machine that dies are
#: soon sent by the others, once their lease is over, and that their texts fit into memory.
BATCH_SIZE = 200
#: Batches that may wait at a time, for the sake of mails behind those for slow domains.
_PARKED = 3
#: Seconds between two looks into a queue that had nothing, while the last mails are under way.
_PAUSE = 1.0
#: Attempts that are logged together.
_ATTEMPTS = 200


class Sender:
    """Sends the mails that are due, over connections that stay open as long as it does.

        with Sender() as sender:
            sender.drain()

    `stop` is asked between mails: once it says yes, what is under way is finished and the rest given back.
    `connect_within`: seconds that a connection may take to open, where that is less than the backend allows.
    """

    def __init__(
        self,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[], None] = lambda: None,
        connect_within: float | None = None,
    ) -> None:
        self.report = SendReport()
        self._stop, self._progress, self._connect_within = stop, progress, connect_within
        self._forward: int | None = None
        self._claims = Claims(identity())
        self._composer = Composer()
        self._watch = BroadcastWatch()
        self._lanes: Lanes | BackendLane | None = None
        self._waiting = Waiting(config().connections, config().retry.wait)
        self._under_way: dict[int, Job] = {}
        self._attempts: list[AttemptLine] = []
        self._repeated: set[int] = set()  # mails that were due again at once
        self._host = ""
        self._relay: RelayWatch | None = None
        self._search_at = 0.0  # not before this uptime, as long as anything is under way
        self._trouble: str | None = None
        self._broken_off: BaseException | None = None

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *exc: object) -> None:
        apart("Closing the connections", partial(self._close, politely=True), None)
        if any(exc) or self._broken_off:
            ended(self._claims.worker)  # what is still claimed, since it could not be given back, is free

    def drain(self, forward: int | None = None) -> None:
        """Send until nothing is due, of the copies of `forward` alone if one is given.

        Raises RelayUnavailable when no connection can be had any more, and whatever else went wrong that is not one
        mail's fault, above all the database's error when that is away. What was under way then is finished and
        written down before, if the database comes back in time.
        """
        self._forward = forward
        try:
            while True:
                self._unless_broken_off(self._hand_out)
                if not self._under_way:
                    break
                self._record(self._events())
                self._unless_broken_off(self._keep_up)
        except BaseException:
            self._close(politely=False)
            raise
        finally:
            with suppress(Error):  # their leases end anyway
                apart("Logging tries", self._log_attempts, None)
                apart("Pausing what is refused", partial(self._stop_refused, at_once=True), None)
                apart("Giving back mails", self._give_back, None)
            self._waiting.clear()
        if self._broken_off:
            raise self._broken_off
        if self._trouble:
            if self._relay:
                self._relay.trouble(self._trouble)
            raise RelayUnavailable(self._trouble)

    def _unless_broken_off(self, do: Callable[[], object]) -> None:
        """Do what can be left undone. Where it fails nothing more is handed out; what is under way is written down
        all the same, or it would be sent again."""
        try:
            if not self._broken_off:
                do()
        except BaseException as error:
            if not is_a_bug(error):
                raise
            self._broken_off = error

    def _give_back(self) -> None:
        self._claims.free_strays([*self._under_way, *(row.pk for row in self._waiting)])
        self._claims.give_back(row.pk for row in self._waiting)

    def _renew(self) -> None:
        lost = persistently(lambda: self._claims.renew(lambda: [*self._under_way, *(row.pk for row in self._waiting)]))
        if lost:
            log.warning("The leases of %d mails had ended: others have taken them over", len(lost))
            self._waiting.take_out(lambda row: row.pk in lost)

    def _keep_up(self) -> None:
        self._renew()
        self._put_off_shut()
        if len(self._attempts) >= _ATTEMPTS:
            self._log_attempts()
        self._stop_refused()
        self._progress()

    def _hand_out(self) -> None:
        """Give the lanes work: claimed mails, newly claimed ones when those run out."""
        searched = False
        while len(self._under_way) < self._capacity() and not self._stop():
            if self._waiting and self._claims.late():
                self._renew()
            row = self._waiting.next()
            if row is not None:
                searched = False
                self._hand(row)
            elif searched and self._under_way:
                return  # what is under way is marked before the queue is searched further
            elif not self._claim():
                return
            else:
                searched = True

    def _hand(self, row: TextOfEmail) -> None:
        job = self._compose(row)
        if job is None:
            self._waiting.dropped(row)
            return
        self._under_way[job.row_id] = job
        assert self._lanes  # noqa: S101 - they were opened for the first that was claimed
        self._lanes.add(job)

    def _capacity(self) -> int:
        if self._trouble:
            return 0
        if not self._relay or self._relay.probing or not self._lanes:
            return 1  # nothing is open yet: it will be when there is a mail
        return self._lanes.capacity

    def _claim(self) -> bool:
        """Claim a batch; False if there is no more, or enough of it waits."""
        if self._relay is None:
            self._host = relay_name(configured_backend())
            self._relay = RelayWatch(self._host)
        size = 1 if self._relay.probing else BATCH_SIZE
        if len(self._waiting) >= _PARKED * size or (self._under_way and uptime() < self._search_at):
            return False
        alone = not self._under_way and not self._waiting
        rows = persistently(lambda: self._take(size, alone))
        self._waiting.extend(rows)
        if not rows and not self._claims.held:
            self._search_at = uptime() + _PAUSE
        self._put_off_shut()
        if rows and not self._lanes:
            self._open_lanes(1 if self._relay.probing else config().connections)
        return bool(rows) or self._claims.held

    def _take(self, size: int, alone: bool) -> list[TextOfEmail]:
        self._claims.free_strays([*self._under_way, *(row.pk for row in self._waiting)])
        if self._forward is None:
            return self._claims.take(size, alone)
        return self._claims.take_copies(self._forward, size, alone)

    def _put_off_shut(self) -> None:
        rows = self._waiting.shut_out()
        if rows:
            due_at = timezone.now() + config().retry.wait
            self._claims.put_off((row.pk for row in rows), due_at, _("Its domain broke off other mails; not tried."))
            self.report.deferred += len(rows)

    def _compose(self, row: TextOfEmail) -> Job | None:
        """Just before it is handed out, while the lanes are busy with others. A row that cannot be made into a mail
        fails by itself; the others go on."""
        try:
            if self._composer.is_over(row):
                self._claims.give_back([row.pk])  # there it expires
                return None
            return Job(row, self._composer.mail(row))
        except CannotBeMade as error:
            decision = error.decision
        if settle(row.pk, decision, self._claims.worker):  # else it was deleted
            if decision.fate is Fate.FAIL:
                self.report.failed(row.messagerequest_id, row.send_to, decision.reason)
            else:
                self.report.deferred += 1
        return None

    def _open_lanes(self, number: int) -> None:
        if self._lanes is None:
            backend = configured_backend()
            self._lanes = (
                Lanes(configured_backend, self._claims.late, self._connect_within)
                if speaks_smtp(backend)
                else BackendLane(backend)
            )
        self._lanes.open(number)

    def _close(self, *, politely: bool) -> None:
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            lanes.close(politely=politely)

    def _events(self) -> list[LaneEvent]:
        """What has happened; nothing where there are but slow dialogues: time to renew their leases."""
        return self._lanes.wait(config().lease.total_seconds() / 4) if self._lanes is not None else []

    def _record(self, events: list[LaneEvent]) -> None:
        outcomes = [event for event in events if isinstance(event, Answered)]
        hold = config().in_doubt == "hold"
        begun = [event.job for event in events if hold and isinstance(event, Begun)]
        decisions = [(outcome, self._decide(outcome)) for outcome in outcomes]
        write_down([(outcome.job, decision) for outcome, decision in decisions], begun, self._claims.worker)
        if self._lanes is not None:
            self._lanes.go_on()
        for outcome, decision in decisions:
            del self._under_way[outcome.job.row_id]
            self._waiting.ended(outcome.job.row, outcome.reply)
            self._count(outcome, decision)
            self._unless_broken_off(partial(self._hear, outcome))
        for event in events:
            if isinstance(event, LaneEnded):
                self._lane_ended(event)
            elif isinstance(event, Late):
                self._late(event)

    def _stop_refused(self, at_once: bool = False) -> None:
        """Give back what waits of broadcasts of which too many mails were refused: they are paused."""
        paused = persistently(lambda: self._watch.look(at_once))
        if paused:
            self.report.paused += paused
            self._claims.give_back(
                row.pk for row in self._waiting.take_out(lambda row: row.messagerequest_id in paused)
            )

    def _hear(self, outcome: Answered) -> None:
        assert self._relay  # noqa: S101 - there is one since the first claim
        probed = self._relay.probing
        reason = self._relay.hear(outcome.reply, domain_of(outcome.job.row))
        if reason:
            self._end(reason)
        elif probed and not self._relay.probing and self._lanes:
            self._open_lanes(config().connections)

    def _end(self, reason: str) -> None:
        """Nothing more is sent: take back the jobs that no lane has taken up yet."""
        self._trouble = self._trouble or reason
        for job in self._lanes.withdraw() if self._lanes is not None else ():
            self._waiting.back(self._under_way.pop(job.row_id).row)

    def _decide(self, outcome: Answered) -> RetryDecision:
        row = outcome.job.row
        others_first = row.pk in self._repeated or bool(self._relay and self._relay.probing)
        decision = decided(row, outcome.reply, others_first=others_first)
        if decision.fate is Fate.POSTPONE and not decision.wait:
            self._repeated.add(row.pk)
        return decision

    def _count(self, outcome: Answered, decision: RetryDecision) -> None:
        job, reply = outcome.job, outcome.reply
        self._attempts.append(attempt(job, decision, reply, self._host))
        if decision.fate is Fate.SENT:
            self.report.sent += 1
            self._watch.count(job.row.messagerequest_id, accepted=True)
        elif decision.fate is Fate.FAIL:
            self.report.failed(job.row.messagerequest_id, str(job.mail.to[0]), decision.reason)
            self._watch.count(job.row.messagerequest_id, accepted=False)
        elif decision.fate is Fate.IN_DOUBT:
            self.report.in_doubt += 1
        else:
            self.report.deferred += 1
        if decision.suppress:
            self._unless_broken_off(partial(suppress_refused, job, decision))
        if decision.fate is Fate.STOP:
            self._end(decision.reason)

    def _lane_ended(self, event: LaneEnded) -> None:
        log.error("A connection ended: %s", event.reason)
        if not self._lanes:
            self._end(event.reason)
        self._waiting.back(self._under_way.pop(event.job.row_id).row)

    def _late(self, event: Late) -> None:
        row = self._under_way.pop(event.job.row_id).row
        if row.pk in self._claims.lost:
            self._waiting.dropped(row)
        else:
            self._waiting.back(row)

    def _log_attempts(self) -> None:
        attempts, self._attempts = self._attempts, []
        persistently(lambda: log_attempts(attempts))
