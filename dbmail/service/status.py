"""How the outbox is, for a monitor: facts from the database, and a judgement apart from them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from django.db.models import Min, Q
from django.utils import timezone

from ..models import Heartbeat, MessageRequest, TextOfEmail
from ..queue.claim import ACTIVE


class Health(IntEnum):
    """Exit codes of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Status:
    """`oldest`: how long the oldest mail has been due; None if none is. Mails of paused broadcasts do not count.

    `last_pass`: how long ago a pass last showed a sign of life; None if there never was one.
    """

    waiting: int
    due: int
    oldest: timedelta | None
    sending: int
    in_doubt: int
    requests_due: int
    requests_failed: int
    last_pass: timedelta | None
    trouble: str = ""


def status() -> Status:
    """The outbox as it is now, in a few queries over its indexes."""
    now, state = timezone.now(), TextOfEmail.State
    mails = TextOfEmail.objects.order_by()
    queued = mails.filter(Q(messagerequest=None) | Q(messagerequest__state__in=ACTIVE), state=state.QUEUED)
    due = queued.filter(due_at__lte=now)
    oldest = due.aggregate(oldest=Min("due_at"))["oldest"]
    beat = Heartbeat.objects.order_by("-at").first()
    return Status(
        waiting=queued.count(),
        due=due.count(),
        oldest=now - oldest if oldest else None,
        sending=mails.filter(state=state.SENDING).count(),
        in_doubt=mails.filter(state=state.IN_DOUBT).count(),
        requests_due=MessageRequest.objects.due().count(),
        requests_failed=MessageRequest.objects.filter(state=MessageRequest.State.FAILED).count(),
        last_pass=now - beat.at if beat else None,
        trouble=beat.trouble if beat else "",
    )


def judge(status: Status, warning: timedelta, critical: timedelta) -> tuple[Health, list[str]]:
    """How bad it is, and why: mail that has been due, or no pass for, longer than `warning` or `critical`."""
    found: list[tuple[Health, str]] = []
    if status.oldest and status.oldest > warning:
        found.append((_level(status.oldest, critical), f"a mail has been due for {words(status.oldest)}"))
    if status.last_pass is None:
        has_work = status.due or status.requests_due
        found.append((Health.CRITICAL if has_work else Health.WARNING, "there has been no pass yet: is cron set up?"))
    elif status.last_pass > warning:
        found.append((_level(status.last_pass, critical), f"the last pass was {words(status.last_pass)} ago"))
    if status.trouble:
        found.append((Health.WARNING, f"the last pass ended early: {status.trouble}"))
    if status.requests_failed:
        found.append((Health.WARNING, f"{status.requests_failed} broadcasts failed"))
    if status.in_doubt:
        found.append((Health.WARNING, f"{status.in_doubt} mails are in doubt"))
    return max((level for level, _ in found), default=Health.OK), [reason for _, reason in found]


def _level(age: timedelta, critical: timedelta) -> Health:
    return Health.CRITICAL if age > critical else Health.WARNING


def words(age: timedelta) -> str:
    """`3 min`, `2 h`, `5 d`."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"
