"""A mail's states: the only place that changes the state of a mail once it is there.

| from | to | by |
|-|-|-|
| queued | sending | `claim`, `claim_one` |
| sending | queued | `release`, `postpone`, `try_again`, `take_from_dead` |
| sending | sent, failed, suppressed, in doubt | `mark_sent`, `fail`, `suppress`, `leave_in_doubt`, `take_from_dead` |
| queued | expired, cancelled | `expire`, `cancel` |
| failed, expired, in doubt | queued | `put_back` |

Each is one statement for many mails, or few. What runs often is written for its indexes: a change of a statement is
measured with scripts/benchmark.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from ..blame import showable
from ..database import after_deadlock, wake_workers
from ..models import TextOfEmail
from .leases import FREE

State = TextOfEmail.State
#: States that a person may take a mail out of again.
ENDED_UNSENT = (State.FAILED, State.EXPIRED, State.IN_DOUBT)
#: Mails that one statement puts back.
_STEP = 500


@after_deadlock
def claim(held: dict[str, Any], limit: int, **whose: int | None) -> list[TextOfEmail]:
    """At most `limit` of the mails that are due and match the fields `whose`, now sending and `held` (a lease)."""
    due = TextOfEmail.objects.filter(**whose, state=State.QUEUED, due_at__lte=timezone.now())
    due = due.order_by("due_at")[:limit]
    if connection.features.has_select_for_update_skip_locked:
        with transaction.atomic():
            rows = list(due.select_for_update(skip_locked=True))
            TextOfEmail.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.SENDING, **held)
    else:
        # Compare and set: of two workers that saw the same rows, each gets those that it changed first.
        ids = list(due.values_list("pk", flat=True))
        TextOfEmail.objects.filter(pk__in=ids, state=State.QUEUED).update(state=State.SENDING, **held)
        rows = list(TextOfEmail.objects.filter(pk__in=ids, claimed_by=held["claimed_by"], state=State.SENDING))
    return rows


def claim_one(mail_id: int, held: dict[str, Any]) -> bool:
    """Claim one waiting mail, due or not; False if it does not wait."""
    return bool(TextOfEmail.objects.filter(pk=mail_id, state=State.QUEUED).update(state=State.SENDING, **held))


def held_by(worker: str, ids: Iterable[int]) -> "QuerySet[TextOfEmail]":
    """Those of `ids` that `worker` still holds.

    Do not add `state=SENDING` here although it is always true: MariaDB would then go by the index on the state
    instead of the keys, and wait for the rows of other workers.
    """
    return TextOfEmail.objects.filter(pk__in=list(ids), claimed_by=worker)


@after_deadlock
def release(worker: str, ids: Iterable[int]) -> None:
    """Put mails that were claimed and not begun back into the queue, as due as they were."""
    held_by(worker, ids).update(state=State.QUEUED, begun=False, **FREE)


@after_deadlock
def postpone(worker: str, later: dict[int, datetime], **fields: Any) -> None:
    """Put mails that were claimed and not begun back into the queue, each to be due at its time in `later`."""
    by_time: dict[datetime, list[int]] = {}
    for pk, due_at in later.items():
        by_time.setdefault(due_at, []).append(pk)
    if later:
        when = Case(*(When(pk__in=ids, then=Value(due_at)) for due_at, ids in by_time.items()))
        held_by(worker, later).update(state=State.QUEUED, due_at=when, begun=False, **FREE, **fields)


def suppress(ids: Iterable[int], why: str) -> None:
    """End mails whose address wants no such mail."""
    TextOfEmail.objects.filter(pk__in=list(ids)).update(
        state=State.SUPPRESSED, sent=timezone.now(), last_reply=why, **FREE
    )


def begin(ids: Iterable[int]) -> None:
    """Note that these mails may arrive from now on, though nobody has heard yet that they did."""
    TextOfEmail.objects.filter(pk__in=list(ids)).update(begun=True)


def mark_sent(ids: Sequence[int]) -> int:
    """Without a look at who holds the claim: that a mail was sent is a fact, also after a lease ran out.

    Written by hand, since it runs for every mail. Returns how many of them there are still.
    """
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {connection.ops.quote_name(TextOfEmail._meta.db_table)} "  # noqa: S608 - names only
            "SET state = %s, sent = %s, last_reply = '', claimed_by = '', claimed_until = NULL "
            f"WHERE id IN ({', '.join(['%s'] * len(ids))})",
            [State.SENT.value, now, *ids],
        )
        return int(cursor.rowcount)


def fail(worker: str, mail_id: int, why: str) -> bool:
    """End a mail for good. False, as in the next two, if `worker` does not hold it any more."""
    return _settle(worker, mail_id, why, state=State.FAILED, sent=timezone.now(), tries=F("tries") + 1)


def leave_in_doubt(worker: str, mail_id: int, why: str) -> bool:
    """Leave it to a person whether a mail that may have arrived is sent again."""
    return _settle(worker, mail_id, why, state=State.IN_DOUBT, sent=timezone.now())


def try_again(worker: str, mail_id: int, why: str, due_at: datetime, *, spent: bool) -> bool:
    """Put a mail that was tried back into the queue; `spent` tells if that counts as one of its tries."""
    tries = F("tries") + (1 if spent else 0)
    return _settle(worker, mail_id, why, state=State.QUEUED, tries=tries, due_at=due_at, begun=False)


def _settle(worker: str, mail_id: int, why: str, **fields: Any) -> bool:
    row = TextOfEmail.objects.filter(pk=mail_id, state=State.SENDING, claimed_by=worker)
    return bool(row.update(**fields, last_reply=showable(why), **FREE))


@after_deadlock
def take_from_dead(dead: Q, *, hold_begun: bool) -> int:
    """Put the mails that workers held who are `dead` back into the queue, or in doubt those that were begun where
    `hold_begun`; how many."""
    # Found without a lock, changed by their keys: the rows of workers that live are not waited for.
    ids = list(TextOfEmail.objects.filter(dead, state=State.SENDING).values_list("pk", flat=True))
    if not ids:
        return 0
    rows = TextOfEmail.objects.filter(dead, pk__in=ids)
    held = 0
    if hold_begun:
        held = rows.filter(begun=True).update(
            state=State.IN_DOUBT,
            sent=timezone.now(),
            last_reply=_("Its worker ended while it was being sent."),
            **FREE,
        )
    return held + rows.update(state=State.QUEUED, begun=False, **FREE)


def expire(waiting: "QuerySet[TextOfEmail]", why: str) -> int:
    """End mails that wait and are of no use any more; how many."""
    return waiting.update(state=State.EXPIRED, sent=timezone.now(), last_reply=why)


def cancel(broadcasts: Iterable[int]) -> int:
    """End the mails of these broadcasts that wait; how many."""
    return TextOfEmail.objects.filter(messagerequest__in=broadcasts, state=State.QUEUED).update(
        state=State.CANCELLED, sent=timezone.now(), last_reply=_("Its broadcast was cancelled.")
    )


def put_back(ids: Sequence[int]) -> int:
    """Put those of `ids` that ended unsent into the queue with all their tries, and wake workers; how many."""
    now = timezone.now()
    fresh = {"sent": None, "tries": 0, "begun": False, "last_reply": "", "due_at": now, "created_at": now, **FREE}
    count = 0
    for start in range(0, len(ids), _STEP):
        ended = TextOfEmail.objects.filter(pk__in=ids[start : start + _STEP], state__in=ENDED_UNSENT)
        count += ended.update(state=State.QUEUED, **fresh)
    if count:
        wake_workers()
    return count
