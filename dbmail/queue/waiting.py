"""Mails that are claimed and wait for a connection: none goes to a recipient domain that holds up too many already."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from ..delivery.smtp import Reply, Stage
from ..models import TextOfEmail

#: A dialogue that takes longer, in seconds, is slow.
SLOW = 5.0
#: Dialogues in a row that break off once the relay knows the recipient: the domain is left alone for a while.
STRIKES = 2


@dataclass(slots=True)
class _Domain:
    inside: int = 0  # rows handed out
    quick: bool = False  # whether its last dialogue was; no is also said of one that was not asked yet
    strikes: int = 0
    parked: deque[TextOfEmail] = field(default_factory=deque)


def domain_of(row: TextOfEmail) -> str:
    return row.address.rpartition("@")[2]


class Waiting:
    """Claimed rows in their order. A domain that is slow, or has not answered yet, is given at most half of the
    connections (at least one); one that breaks off twice in a row gets nothing for a while: `shut_out` says what
    waits for it."""

    def __init__(self, connections: int, shut_for: timedelta) -> None:
        self._connections, self._shut_for = connections, shut_for.total_seconds()
        self._rows: deque[TextOfEmail] = deque()
        self._domains: dict[str, _Domain] = {}
        self._ready: deque[str] = deque()  # domains with parked rows that may go
        self._shut: dict[str, float] = {}  # until when, by domain
        self._handed_at: dict[int, float] = {}
        self._parked = 0

    def __len__(self) -> int:
        return len(self._rows) + self._parked

    def __iter__(self) -> Iterator[TextOfEmail]:
        yield from self._rows
        for domain in self._domains.values():
            yield from domain.parked

    def clear(self) -> None:
        self._rows.clear()
        self._ready.clear()
        self._parked = 0
        self._domains = {name: domain for name, domain in self._domains.items() if domain.inside or domain.strikes}
        for domain in self._domains.values():
            domain.parked.clear()

    def extend(self, rows: Iterable[TextOfEmail]) -> None:
        self._rows.extend(rows)

    def next(self) -> TextOfEmail | None:
        """The next row that may be handed to a connection; None if there is none."""
        while self._ready:
            domain = self._domains.get(self._ready.popleft())
            if domain and domain.parked and self._has_room(domain):
                self._parked -= 1
                return self._hand_out(domain.parked.popleft(), domain)
        while self._rows:
            row = self._rows.popleft()
            name = domain_of(row)
            domain = self._domains.get(name)
            if domain is None:
                domain = self._domains[name] = _Domain()
            if not domain.parked and self._has_room(domain):
                return self._hand_out(row, domain)
            domain.parked.append(row)
            self._parked += 1
        return None

    def ended(self, row: TextOfEmail, reply: Reply) -> None:
        """A row that was handed out had this reply."""
        name = domain_of(row)
        domain = self._domains[name]
        domain.inside -= 1
        domain.quick = time.monotonic() - self._handed_at.pop(row.pk) < SLOW
        broke_off = (reply.lost or reply.code == 421) and reply.stage in (Stage.RCPT, Stage.DATA, Stage.END)
        domain.strikes = domain.strikes + 1 if broke_off else 0
        if domain.strikes >= STRIKES:
            self._shut[name] = time.monotonic() + self._shut_for
        elif self._shut and not domain.strikes:
            self._shut.pop(name, None)
        self._free(name, domain)

    def back(self, row: TextOfEmail) -> None:
        """A row that was handed out was not begun: it is first again."""
        self._rows.appendleft(row)
        self.dropped(row)

    def dropped(self, row: TextOfEmail) -> None:
        """A row that was handed out never got as far as the relay."""
        domain = self._domains[domain_of(row)]
        domain.inside -= 1
        del self._handed_at[row.pk]
        self._free(domain_of(row), domain)

    def shut_out(self) -> list[TextOfEmail]:
        """Take out the rows for domains that broke off again and again."""
        now = time.monotonic()
        for name in [name for name, until in self._shut.items() if until < now]:
            del self._shut[name]
            self._domains[name].strikes = STRIKES - 1  # it is tried again, and shut at once if it is as before
        return self.take_out(lambda row: domain_of(row) in self._shut) if self._shut else []

    def take_out(self, unwanted: Callable[[TextOfEmail], bool]) -> list[TextOfEmail]:
        """Take out what nobody wants to send any more."""
        out = [row for row in self if unwanted(row)]
        if out:
            self._rows = deque(row for row in self._rows if not unwanted(row))
            for domain in self._domains.values():
                before = len(domain.parked)
                domain.parked = deque(row for row in domain.parked if not unwanted(row))
                self._parked -= before - len(domain.parked)
        return out

    def _has_room(self, domain: _Domain) -> bool:
        if domain.quick and not domain.strikes:
            return True
        return domain.inside < max(1, self._connections // 2)

    def _hand_out(self, row: TextOfEmail, domain: _Domain) -> TextOfEmail:
        domain.inside += 1
        self._handed_at[row.pk] = time.monotonic()
        if domain.parked and self._has_room(domain):
            self._ready.append(domain_of(row))
        return row

    def _free(self, name: str, domain: _Domain) -> None:
        if domain.parked:
            self._ready.append(name)
        elif not domain.inside and not domain.strikes:
            del self._domains[name]  # else a broadcast to a hundred thousand domains would fill the memory
