"""The count of what went under each rate limit, shared by all workers of one database."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from ..addresses import parse_mailbox
from ..conf import config
from ..database import after_deadlock
from ..exceptions import AddressError
from ..models import RateCount, TextOfEmail
from ..rates import Rate
from .throttle import SLICES, Admission, Ask, admit, slice_of

log = logging.getLogger(__name__)

_PURGE = timedelta(hours=1)
#: Keys asked for in one query.
_KEYS = 500


class Meter:
    """Admits mails as DBMAIL["RATES"] allows. Three queries a batch, none where there are no limits."""

    def __init__(self) -> None:
        self._booked: dict[tuple[str, int | None], datetime] = {}
        self._purge_at = timezone.now()

    def admit(self, rows: Iterable[TextOfEmail]) -> dict[int, datetime]:
        """Count those of `rows` that may go now. The others come back by id, each with the time to ask again."""
        asks = [Ask(row.pk, row.messagerequest_id, _limits(row.send_from, row.address)) for row in rows]
        rates = {key: rate for ask in asks for key, rate in ask.limits}
        if not rates:
            return {}
        decision = self._admitted(asks, rates)
        self._booked = decision.booked
        if decision.held:
            log.info("%d mails wait for a rate limit", len(decision.held))
        return decision.held

    @after_deadlock
    def _admitted(self, asks: list[Ask], rates: dict[str, Rate]) -> Admission:
        with _locked():
            now = timezone.now()  # after the wait for the lock
            self._purge(now)
            counts = _counts(rates, now)
            decision = admit(asks, counts, now, self._booked)
            _add(decision.counted, rates, counts, now)
        return decision

    @after_deadlock
    def take_back(self, mail_ids: Iterable[int]) -> None:
        """Of mails that were admitted and have not gone: they count no more."""
        if not config().rates:
            return
        rows = TextOfEmail.objects.filter(pk__in=list(mail_ids)).values_list("send_from", "address")
        rates: dict[str, Rate] = {}
        fewer: dict[str, int] = {}
        for limits in (_limits(*row) for row in rows):
            for key, rate in limits:
                rates[key] = rate
                fewer[key] = fewer.get(key, 0) - 1
        if fewer:
            with _locked():
                now = timezone.now()
                _add(fewer, rates, _counts(rates, now), now)

    def _purge(self, now: datetime) -> None:
        if now >= self._purge_at:
            self._purge_at = now + _PURGE
            RateCount.objects.exclude(key="").filter(at__lt=now - 2 * config().rates.longest).delete()


def _limits(send_from: str, address: str) -> tuple[tuple[str, Rate], ...]:
    return config().rates.of(_bare(send_from), address) if config().rates else ()


@lru_cache(maxsize=1000)
def _bare(send_from: str) -> str:
    try:
        return parse_mailbox(send_from).address
    except AddressError:
        return ""  # no mail can be made of the row: it fails later, by itself


@contextmanager
def _locked() -> Iterator[None]:
    """One worker at a time, until its transaction ends. The row of the empty key is the lock: every database makes
    the second who changes a row wait, SQLite too where the change is the first thing that a transaction does."""
    the_lock = {"key": "", "at": datetime(2000, 1, 1, tzinfo=UTC if settings.USE_TZ else None)}
    while True:
        with transaction.atomic():
            if RateCount.objects.filter(**the_lock).update(count=1):
                yield
                return
        RateCount.objects.bulk_create([RateCount(**the_lock)], ignore_conflicts=True)


def _counts(rates: Mapping[str, Rate], now: datetime) -> dict[str, dict[datetime, int]]:
    reach = max(rate.window for rate in rates.values())
    counts: dict[str, dict[datetime, int]] = {key: {} for key in rates}
    keys = list(rates)
    for first in range(0, len(keys), _KEYS):
        rows = RateCount.objects.filter(
            key__in=keys[first : first + _KEYS], at__gt=now - reach - reach / SLICES, at__lt=now + reach
        )
        for key, at, count in rows.values_list("key", "at", "count"):
            counts[key][at] = count
    return counts


def _add(
    numbers: Mapping[str, int], rates: Mapping[str, Rate], counts: dict[str, dict[datetime, int]], now: datetime
) -> None:
    """Add to the slice of now; negative numbers are taken from the newest slices."""
    changed = []
    for key, number in numbers.items():
        if number > 0:
            at = slice_of(now, rates[key])
            changed.append(RateCount(key=key, at=at, count=counts[key].get(at, 0) + number))
        for at in sorted(counts[key], reverse=True) if number < 0 else ():
            taken = min(-number, counts[key][at])
            number += taken
            changed.append(RateCount(key=key, at=at, count=counts[key][at] - taken))
            if not number:
                break
    by_name = connection.features.supports_update_conflicts_with_target
    RateCount.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["key", "at"] if by_name else None,
        update_fields=["count"],
    )
