"""Rate limits as a decision: of mails that want to go, which may go now, and when the others ask again.

Time is cut into slices, twenty to a window; what went is counted by slice. A slice that overlaps the window counts
whole: so in no stretch of time as long as the window do more mails go than allowed, and at most a twentieth fewer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate

from ..rates import Rate

SLICES = 20
#: Mails that are held are put at most this far off (or two windows, if that is longer): limits that are raised, or
#: mails that are cancelled, let the others go earlier than was foreseen.
HORIZON = timedelta(hours=1)

Counts = Mapping[datetime, int]  # by the beginning of the slice


@dataclass(frozen=True, slots=True)
class Room:
    """Under one limit, `free` mails may go now; more of them from `next_free` on."""

    free: int
    next_free: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """A mail that wants to go: its limits by the keys that they are counted under, and the queue that it waits in."""

    mail_id: int
    queue: int | None
    limits: tuple[tuple[str, Rate], ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """Which mails may go, when each of the others asks again, how many count under each key, and up to when
    each queue's mails have been put off under each key."""

    go: frozenset[int]
    held: dict[int, datetime] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    booked: dict[tuple[str, int | None], datetime] = field(default_factory=dict)


def slice_of(moment: datetime, rate: Rate) -> datetime:
    """The beginning of the slice that `moment` is in."""
    length = rate.window / SLICES
    epoch = datetime(1970, 1, 1, tzinfo=moment.tzinfo)
    return epoch + (moment - epoch) // length * length


def room(rate: Rate, counts: Counts, now: datetime) -> Room:
    """`counts` may hold slices of any age; one a window or more ahead of `now` was counted by a wrong clock."""
    reach = rate.window + rate.window / SLICES
    used = sorted((at, n) for at, n in counts.items() if now - reach < at < now + rate.window)
    over = sum(n for _, n in used) - rate.count
    free = max(0, -over)
    # Once the free ones are gone too, one more may go when more than those over the limit have left the window.
    oldest = [*used, (slice_of(now, rate), free)]
    left = accumulate(n for _, n in oldest)
    at = next(at for (at, _), n in zip(oldest, left, strict=True) if n > max(0, over))
    return Room(free, at + reach)


def admit(
    asks: Iterable[Ask],
    counts: Mapping[str, Counts],
    now: datetime,
    booked: Mapping[tuple[str, int | None], datetime] | None = None,
) -> Admission:
    """Let mails go while every limit of theirs has room: queues take turns, mail of no queue comes first.

    Those that are held come back one after the other, as fast as the limit lets them, each queue by itself: so a
    long queue does not come back as a whole each time. `booked` is what the last admission said.
    """
    rooms: dict[str, Room] = {}
    free: dict[str, int] = {}
    ends = {key: until for key, until in (booked or {}).items() if until > now}
    places: dict[tuple[str, int | None], int] = {}
    go: set[int] = set()
    held: dict[int, datetime] = {}
    counted: dict[str, int] = {}
    starts = dict(ends)
    for ask in _in_turns(asks):
        for key, rate in ask.limits:
            if key not in rooms:
                rooms[key] = room(rate, counts.get(key, {}), now)
                free[key] = rooms[key].free
        full = [(key, rate) for key, rate in ask.limits if not free[key]]
        if not full:
            go.add(ask.mail_id)
            for key, _ in ask.limits:
                free[key] -= 1
                counted[key] = counted.get(key, 0) + 1
            continue
        due = now
        for key, rate in full:
            place = places[key, ask.queue] = places.get((key, ask.queue), -1) + 1
            start = max(rooms[key].next_free, starts.get((key, ask.queue), now))
            horizon = now + max(HORIZON, 2 * rate.window)
            ends[key, ask.queue] = min(start + (place + 1) * rate.window / rate.count, horizon)
            due = max(due, min(start + _step(place, rate), horizon))
        held[ask.mail_id] = due
    for key, queue in list(ends):
        if free.get(key, 0) > 0:
            del ends[key, queue]  # nothing of it waits any more
    return Admission(frozenset(go), held, counted, ends)


def _in_turns(asks: Iterable[Ask]) -> list[Ask]:
    seen: dict[int, int] = {}
    ranked = []
    for ask in asks:
        rank = 0
        if ask.queue is not None:
            rank = seen[ask.queue] = seen.get(ask.queue, 0) + 1
        ranked.append((rank, ask))
    return [ask for _, ask in sorted(ranked, key=lambda pair: pair[0])]


def _step(place: int, rate: Rate) -> timedelta:
    """How long after the first the mail at this place (from 0) comes back, in tenths of what the limit allows."""
    together = max(1, rate.count // 10)
    return place // together * together * rate.window / rate.count
