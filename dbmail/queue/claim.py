"""Taking mails out of the queue: in turns from each broadcast, each mail by one worker only."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..broadcasts import mails
from ..broadcasts.leases import ended, lease
from ..conf import config
from ..database import after_deadlock, database_now, uptime
from ..models import MessageRequest, TextOfEmail
from ..suppression.entries import not_sent, stopped
from .meter import Meter
from .watch import canaries, not_flown
from .worker import provably_alive, provably_dead

log = logging.getLogger(__name__)
State = TextOfEmail.State
#: Upper bound on the text in one batch, in characters.
_CHARACTERS = 16_000_000
#: How many mails to claim first from a broadcast whose mail size is not known yet.
_FIRST = 2
#: A worker that can be seen to run keeps its mails for so long after its lease: what ended that was a clock that was
#: set, or a machine that slept, and it is about to notice.
_RESPITE = timedelta(hours=3)
ACTIVE = (MessageRequest.State.PROCESSING, MessageRequest.State.SENDING)


class Claims:
    """The claims of one worker. Broadcasts take turns, so that a small one is not behind a big one;
    in a turn those of higher priority come first and get more."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.held = False
        self._broken_off = False
        self.lost: set[int] = set()
        self._renew_at = self._ends = uptime()
        self._clock: tuple[float, datetime] | None = None  # our uptime and the database's time, read together
        self._meter = Meter()
        self._room = 0  # characters that this batch may still have
        self._sizes: dict[int | None, int] = {}  # about as big as the biggest of late, by broadcast

    def take(self, limit: int, alone: bool = True) -> list[TextOfEmail]:
        """At most about `limit` due mails, now in state sending and ours until the lease ends; [] if none is due.

        Mails whose address was suppressed since they were made leave the queue here. Those that are over a rate limit
        go back and are due again when they may go; `held` says that there were some: others may be due behind them.
        `alone`: this worker holds no other claims, so the lease timer may start anew; else the earlier end holds.
        """
        since = uptime()
        held = self._lease()
        self._broken_off = True  # until we return
        self._room = _CHARACTERS
        # Mail of no broadcast is what a person waits for; half of the places are kept for the others all the same.
        taken = self._take_fitting(None, (limit + 1) // 2, held)
        turns = _turns()
        while turns and len(taken) < limit and self._room > 0:
            weights = sum(turn.weight for turn in turns)
            left = limit - len(taken)
            again = []
            for turn in turns:
                share = max(1, left * turn.weight // weights)
                allowed = canaries(turn.request, share, turn.canary_left)
                rows = self._take_fitting(turn.request, allowed, held) if allowed else []
                if turn.canary_left != 0 and config().breaker.canary:
                    not_flown(turn.request, allowed - len(rows))
                taken += rows
                if len(rows) == share:
                    again.append(turn)
            turns = again
        return self._held_since(since, taken, alone)

    def take_copies(self, forward: int, limit: int, alone: bool = True) -> list[TextOfEmail]:
        """As `take`, but only copies of this incoming message."""
        since = uptime()
        self._broken_off = True  # until we return
        taken = mails.claim(self._lease(), limit, forward=forward)
        return self._held_since(since, taken, alone)

    def _held_since(self, since: float, taken: list[TextOfEmail], alone: bool) -> list[TextOfEmail]:
        self.lost.difference_update(row.pk for row in taken)
        if alone:
            self._hold_from(since)
        rows = self._within_rates(self._without_suppressed(taken))
        self._broken_off = False
        return rows

    def _take_fitting(self, request: int | None, wanted: int, held: dict[str, Any]) -> list[TextOfEmail]:
        """At most `wanted`, fewer where they are big: first a few, to see how big they are."""
        taken: list[TextOfEmail] = []
        while len(taken) < wanted and self._room > 0:
            size = self._sizes.get(request)
            step = min(wanted - len(taken), _FIRST if size is None else max(1, self._room // size))
            rows = mails.claim(held, step, messagerequest=request)
            taken += rows
            if rows:
                sizes = [1 + len(row.msgtext) + len(row.plaintext) for row in rows]
                self._room -= sum(sizes)
                self._sizes[request] = max(*sizes, (size or 0) // 2, 1)
            if len(rows) < step:
                break
        return taken

    @after_deadlock
    def take_one(self, mail_id: int) -> TextOfEmail | None:
        """Claim one waiting mail, due or not; None if it does not wait, or its address was suppressed."""
        if not mails.claim_one(mail_id, self._lease()):
            return None
        rows = self._without_suppressed(list(TextOfEmail.objects.filter(pk=mail_id)))
        return rows[0] if rows else None

    def _now(self) -> datetime:
        """The database's time, from when it was last asked."""
        if self._clock is None:
            self._clock = uptime(), database_now()
        then, its_time = self._clock
        return its_time + timedelta(seconds=uptime() - then)

    def _lease(self) -> dict[str, Any]:
        return lease(self.worker, self._now())

    @after_deadlock
    def _without_suppressed(self, rows: list[TextOfEmail]) -> list[TextOfEmail]:
        left_out = stopped(rows)
        for reason in set(left_out.values()):
            mails.suppress([pk for pk, why in left_out.items() if why == reason], not_sent(reason))
        return [row for row in rows if row.pk not in left_out] if left_out else rows

    def _within_rates(self, rows: list[TextOfEmail]) -> list[TextOfEmail]:
        later = self._meter.admit(rows)
        self.held = bool(later)
        mails.postpone(self.worker, later)
        return [row for row in rows if row.pk not in later] if later else rows

    def late(self, mail_id: int | None = None) -> bool:
        """Whether the leases (of this mail) may have ended: we slept, or the database was away for longer. `renew`
        says what is still ours. Any thread may ask."""
        return uptime() > self._ends or mail_id in self.lost

    def renew(self, ids: Callable[[], Iterable[int]]) -> set[int]:
        """Prolong the leases when a third has passed; those of `ids` that turn out not to be ours any more."""
        since = uptime()
        if since < self._renew_at:
            return set()
        held = set(ids())
        ours = mails.held_by(self.worker, held)
        lost = set()
        self._clock = None
        if ours.update(**self._lease()) < len(held):
            lost = held - set(ours.values_list("pk", flat=True))
        self.lost |= lost  # before others can read that there is time again
        self._hold_from(since)
        return lost

    def _hold_from(self, since: float) -> None:
        length = config().lease.total_seconds()
        self._renew_at, self._ends = since + length / 3, since + length

    def put_off(self, ids: Iterable[int], due_at: datetime, reason: str) -> None:
        """Return mails that were claimed and not begun, to be due at `due_at`; no try is spent."""
        later = dict.fromkeys(ids, due_at)
        mails.postpone(self.worker, later, last_reply=reason)
        self._meter.take_back(later)

    def give_back(self, ids: Iterable[int]) -> None:
        """Return mails that were claimed and not begun."""
        ids = list(ids)
        if ids:
            mails.release(self.worker, ids)
            self._meter.take_back(ids)

    def free_strays(self, known: Iterable[int]) -> None:
        """If the database broke the last `take` off: return what it had claimed, which nobody but the table knows."""
        if self._broken_off:
            claimed = TextOfEmail.objects.filter(state=State.SENDING, claimed_by=self.worker)
            self.give_back({*claimed.values_list("pk", flat=True)} - {*known})
            self._broken_off = False


class Turn(NamedTuple):
    """A broadcast whose turn it is, with a weight of 1 to 10."""

    request: int
    weight: int
    canary_left: int | None


def _turns() -> list[Turn]:
    """The broadcasts whose turn it is, by priority and age."""
    priority = Coalesce(F("priority_level"), Value(0))
    now = timezone.now()
    in_time = Q(not_after__isnull=True) | Q(not_after__gt=now)
    requests = MessageRequest.objects.filter(in_time, state__in=ACTIVE).order_by(-priority, "created_at", "pk")
    if config().breaker.canary:
        requests = requests.exclude(canary_until__gt=now)
    return [
        Turn(pk, 1 + min(max(level, 0), 9), canary_left)
        for pk, level, canary_left in requests.values_list("pk", priority, "canary_left")
    ]


def recover() -> int:
    """Take over the mails of dead workers: back into the queue or, where one was begun and DBMAIL["IN_DOUBT"] is
    "hold", in doubt. A worker is dead when its lease has ended, or its process is gone from this machine."""
    recovered, now = 0, database_now()
    claimed = TextOfEmail.objects.filter(state=State.SENDING)
    for name in claimed.order_by().values_list("claimed_by", flat=True).distinct():
        mine = Q(claimed_by=name)
        if not provably_dead(name):
            mine &= ended(now - _RESPITE if provably_alive(name) else now)
        recovered += mails.take_from_dead(mine, hold_begun=config().in_doubt == "hold")
    if recovered:
        log.warning("%d mails of a worker that ended in the middle are in the queue again", recovered)
    return recovered
