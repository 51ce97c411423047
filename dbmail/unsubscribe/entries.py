"""Entering addresses into the suppression table, one or thousands, where some may stand there already."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from ..addresses import normalise
from ..models.suppression import LIFTED, Suppression

log = logging.getLogger(__name__)

_CHUNK = 500
#: Times that a chunk is tried again after another process entered one of its addresses in between.
_TRIES = 5
_FIELDS = ("reason", "source", "created_at", "expires_at", "created_by")


@dataclass(frozen=True, slots=True)
class Entry:
    """One address to leave out of one scope of mail. `expires_at` None: until somebody lifts it."""

    address: str
    reason: str
    scope: str = Suppression.ALL
    source: str = ""
    expires_at: datetime | None = None
    created_at: datetime | None = None
    created_by: Any = None

    @property
    def key(self) -> tuple[str, str]:
        return normalise(self.address), self.scope

    def values(self) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "source": self.source[:2000],
            "created_at": self.created_at or timezone.now(),
            "expires_at": self.expires_at,
            "created_by": self.created_by,
        }


def replaces(new: Entry, old: "Entry | Suppression", now: datetime) -> bool:
    """Whether `new` takes the place of an entry that is there.

    What a person decided (unsubscribed, complained, an administrator) outlasts what a server said, or lifting a
    bounce would bring mail to somebody who has left. Otherwise the first entry stays, unless the new one ends later.
    """
    if old.expires_at is not None and old.expires_at <= now:
        return True
    decided, was_decided = (row.reason != Suppression.Reason.BOUNCED for row in (new, old))
    if decided != was_decided:
        return decided
    if old.expires_at is None:
        return False
    return new.expires_at is None or new.expires_at > old.expires_at


def suppress_many(entries: Iterable[Entry]) -> list[Suppression]:
    """Enter them all; the rows that are new or changed. A few queries for every 500 entries."""
    changed: list[Suppression] = []
    remaining = iter(entries)
    while chunk := list(islice(remaining, _CHUNK)):
        changed += _enter(list(_strongest(chunk)))
    return changed


def _strongest(entries: Iterable[Entry]) -> Iterator[Entry]:
    """One entry for each address and scope."""
    now = timezone.now()
    kept: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.key not in kept or replaces(entry, kept[entry.key], now):
            kept[entry.key] = entry
    yield from kept.values()


def _enter(entries: list[Entry]) -> list[Suppression]:
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                return _write(entries)
        except IntegrityError:
            log.info("Another process entered a suppression at the same time; looking again")
    with transaction.atomic():
        return _write(entries)


def _write(entries: list[Entry]) -> list[Suppression]:
    there = _rows(entries)
    new, changed = [], []
    for entry in entries:
        row = there.get(entry.key)
        if row is None:
            address, scope = entry.key
            new.append(Suppression(address=address, scope=scope, **entry.values()))
        elif replaces(entry, row, timezone.now()):
            lifted = "".join(f"\n{line}" for line in row.source.splitlines() if line.startswith(LIFTED))
            for name, value in entry.values().items():
                setattr(row, name, value)
            row.source = f"{row.source}{lifted[-1000:]}".strip()
            changed.append(row)
    Suppression.objects.bulk_create(new)
    Suppression.objects.bulk_update(changed, _FIELDS)
    if any(row.pk is None for row in new):  # MySQL does not tell the keys of what it inserted
        keys = _rows(entries)
        for row in new:
            row.pk = keys[row.address, row.scope].pk
    return new + changed


def _rows(entries: list[Entry]) -> dict[tuple[str, str], Suppression]:
    rows = Suppression.objects.select_for_update().filter(
        address__in={entry.key[0] for entry in entries}, scope__in={entry.scope for entry in entries}
    )
    return {(row.address, row.scope): row for row in rows}
