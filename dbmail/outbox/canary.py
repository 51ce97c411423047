"""A few mails of each broadcast go first, and the rest waits for what becomes of them (DBMAIL["CANARY"])."""

from django.db.models import Case, F, Value, When
from django.utils import timezone

from ..conf import config
from ..models import MessageRequest


def canaries(request: int, wanted: int, left: int | None) -> int:
    """How many of `wanted` mails of a broadcast may be claimed now: all, or as many as may still go first.

    `left` is the broadcast's `canary_left` as it was read. With the last of them its wait begins.
    """
    canary = config().canary
    if not canary or left == 0:
        return wanted
    row = MessageRequest.objects.filter(pk=request)
    if left is None:
        row.filter(canary_left__isnull=True).update(canary_left=canary)
        left = canary
    number = min(wanted, left)
    until = timezone.now() + config().canary_wait
    # One statement, so that no other worker sees that none is left and no wait. The order counts: MySQL
    # looks at columns that it has just changed.
    taken = row.filter(canary_left__gte=number).update(
        canary_until=Case(When(canary_left=number, then=Value(until)), default=F("canary_until")),
        canary_left=F("canary_left") - number,
    )
    return number if taken else 0


def not_flown(request: int, number: int) -> None:
    """Of mails that `canaries` allowed, so many were not there to be claimed."""
    if number:
        MessageRequest.objects.filter(pk=request).update(canary_left=F("canary_left") + number, canary_until=None)
