"""Taking mails out of the queue: in turns from each broadcast, each mail by one worker only."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import config
from ..database import after_deadlock, database_now, uptime
from ..models import MessageRequest, TextOfEmail
from ..suppression.entries import not_sent, stopped
from .meter import Meter
from .watch import canaries, not_flown
from .worker import provably_alive, provably_dead

log = logging.getLogger(__name__)
State = TextOfEmail.State
#: Characters of mail that a batch holds, and how many mails it takes of which it does not know how big they are.
_CHARACTERS, _FIRST = 16_000_000, 2
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
        `alone`: we hold no others, whose leases end earlier.
        """
        since = uptime()
        claim = self._a_lease()
        self._broken_off = True  # until we return
        self._room = _CHARACTERS
        # Mail of no broadcast is what a person waits for; half of the places are kept for the others all the same.
        taken = self._take_fitting(None, (limit + 1) // 2, claim)
        turns = _turns()
        while turns and len(taken) < limit and self._room > 0:
            weights = sum(turn.weight for turn in turns)
            left = limit - len(taken)
            again = []
            for turn in turns:
                share = max(1, left * turn.weight // weights)
                allowed = canaries(turn.request, share, turn.canary_left)
                rows = self._take_fitting(turn.request, allowed, claim) if allowed else []
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
        taken = self._take_from(limit, self._a_lease(), forward=forward)
        return self._held_since(since, taken, alone)

    def _held_since(self, since: float, taken: list[TextOfEmail], alone: bool) -> list[TextOfEmail]:
        self.lost.difference_update(row.pk for row in taken)
        if alone:
            lease = config().lease.total_seconds()
            self._renew_at, self._ends = since + lease / 3, since + lease
        rows = self._within_rates(self._without_suppressed(taken))
        self._broken_off = False
        return rows

    def _take_fitting(self, request: int | None, wanted: int, claim: dict[str, Any]) -> list[TextOfEmail]:
        """At most `wanted`, fewer where they are big: first a few, to see how big they are."""
        taken: list[TextOfEmail] = []
        while len(taken) < wanted and self._room > 0:
            size = self._sizes.get(request)
            step = min(wanted - len(taken), _FIRST if size is None else max(1, self._room // size))
            rows = self._take_from(step, claim, messagerequest=request)
            taken += rows
            if rows:
                sizes = [1 + len(row.msgtext) + len(row.plaintext) for row in rows]
                self._room -= sum(sizes)
                self._sizes[request] = max(*sizes, (size or 0) // 2, 1)
            if len(rows) < step:
                break
        return taken

    @after_deadlock
    def _take_from(self, limit: int, claim: dict[str, Any], **whose: int | None) -> list[TextOfEmail]:
        due = TextOfEmail.objects.filter(**whose, state=State.QUEUED, due_at__lte=timezone.now())
        due = due.order_by("due_at")[:limit]
        if connection.features.has_select_for_update_skip_locked:
            with transaction.atomic():
                rows = list(due.select_for_update(skip_locked=True))
                TextOfEmail.objects.filter(pk__in=[row.pk for row in rows]).update(**claim)
        else:
            # Compare and set: of two workers that saw the same rows, each gets those that it changed first.
            ids = list(due.values_list("pk", flat=True))
            TextOfEmail.objects.filter(pk__in=ids, state=State.QUEUED).update(**claim)
            rows = list(TextOfEmail.objects.filter(pk__in=ids, claimed_by=self.worker, state=State.SENDING))
        return rows

    @after_deadlock
    def take_one(self, mail_id: int) -> TextOfEmail | None:
        """Claim one waiting mail, due or not; None if it does not wait, or its address was suppressed."""
        if not TextOfEmail.objects.filter(pk=mail_id, state=State.QUEUED).update(**self._a_lease()):
            return None
        rows = self._without_suppressed(list(TextOfEmail.objects.filter(pk=mail_id)))
        return rows[0] if rows else None

    def _now(self) -> datetime:
        """The database's time, from when it was last asked."""
        if self._clock is None:
            self._clock = uptime(), database_now()
        then, its_time = self._clock
        return its_time + timedelta(seconds=uptime() - then)

    def _a_lease(self) -> dict[str, Any]:
        until = self._now() + config().lease
        return {"state": State.SENDING, "claimed_by": self.worker, "claimed_until": until}

    @after_deadlock
    def _without_suppressed(self, rows: list[TextOfEmail]) -> list[TextOfEmail]:
        left_out = stopped(rows)
        for reason in set(left_out.values()):
            ids = [pk for pk, why in left_out.items() if why == reason]
            TextOfEmail.objects.filter(pk__in=ids).update(
                state=State.SUPPRESSED,
                sent=timezone.now(),
                last_reply=not_sent(reason),
                claimed_by="",
                claimed_until=None,
            )
        return [row for row in rows if row.pk not in left_out] if left_out else rows

    def _within_rates(self, rows: list[TextOfEmail]) -> list[TextOfEmail]:
        later = self._meter.admit(rows)
        self.held = bool(later)
        self._put_off(later)
        return [row for row in rows if row.pk not in later] if later else rows

    @after_deadlock
    def _put_off(self, later: dict[int, datetime], **fields: Any) -> None:
        by_time: dict[datetime, list[int]] = {}
        for pk, due_at in later.items():
            by_time.setdefault(due_at, []).append(pk)
        if later:
            when = Case(*(When(pk__in=ids, then=Value(due_at)) for due_at, ids in by_time.items()))
            self._ours(later).update(
                state=State.QUEUED, due_at=when, claimed_by="", claimed_until=None, begun=False, **fields
            )

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
        ours = self._ours(held)
        lost = set()
        self._clock = None
        if ours.update(claimed_until=self._now() + config().lease) < len(held):
            lost = held - set(ours.values_list("pk", flat=True))
        self.lost |= lost  # before others can read that there is time again
        lease = config().lease.total_seconds()
        self._renew_at, self._ends = since + lease / 3, since + lease
        return lost

    def put_off(self, ids: Iterable[int], due_at: datetime, reason: str) -> None:
        """Return mails that were claimed and not begun, to be due at `due_at`; no try is spent."""
        later = dict.fromkeys(ids, due_at)
        self._put_off(later, last_reply=reason)
        self._meter.take_back(later)

    def give_back(self, ids: Iterable[int]) -> None:
        """Return mails that were claimed and not begun."""
        ids = list(ids)
        if ids:
            self._give_back(ids)
            self._meter.take_back(ids)

    @after_deadlock
    def _give_back(self, ids: list[int]) -> None:
        self._ours(ids).update(state=State.QUEUED, claimed_by="", claimed_until=None, begun=False)

    def free_strays(self, known: Iterable[int]) -> None:
        """If the database broke the last `take` off: return what it had claimed, which nobody but the table knows."""
        if self._broken_off:
            claimed = TextOfEmail.objects.filter(state=State.SENDING, claimed_by=self.worker)
            self.give_back({*claimed.values_list("pk", flat=True)} - {*known})
            self._broken_off = False

    def _ours(self, ids: Iterable[int]) -> "QuerySet[TextOfEmail]":
        """Those of `ids` that are still claimed by us. That they are in state sending goes without saying, and must:
        MariaDB would go by an index on the state instead of the keys, and wait for the rows of other workers."""
        return TextOfEmail.objects.filter(pk__in=list(ids), claimed_by=self.worker)


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
            mine &= _lease_ended(now - _RESPITE if provably_alive(name) else now)
        recovered += _recover(mine)
    if recovered:
        log.warning("%d mails of a worker that ended in the middle are in the queue again", recovered)
    return recovered


def _lease_ended(when: datetime) -> Q:
    return Q(claimed_until__isnull=True) | Q(claimed_until__lt=when)


@after_deadlock
def _recover(dead: Q) -> int:
    # Found without a lock, changed by their keys: the rows of workers that live are not waited for.
    ids = list(TextOfEmail.objects.filter(dead, state=State.SENDING).values_list("pk", flat=True))
    if not ids:
        return 0
    rows = TextOfEmail.objects.filter(dead, pk__in=ids)
    free: dict[str, Any] = {"claimed_by": "", "claimed_until": None}
    held = 0
    if config().in_doubt == "hold":
        held = rows.filter(begun=True).update(
            state=State.IN_DOUBT,
            sent=timezone.now(),
            last_reply=_("Its worker ended while it was being sent."),
            **free,
        )
    return held + rows.update(state=State.QUEUED, begun=False, **free)
