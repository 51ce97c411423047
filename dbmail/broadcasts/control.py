"""Pausing, resuming and cancelling a broadcast, and telling when it is over. Each takes effect within one batch."""

import logging
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..database import after_deadlock, wake_workers
from ..models import MessageRequest, TextOfEmail

log = logging.getLogger(__name__)
State = MessageRequest.State
_UNDER_WAY = (State.SCHEDULED, State.PROCESSING, State.SENDING)
_WAITING = (TextOfEmail.State.QUEUED, TextOfEmail.State.SENDING)


def schedule(request: MessageRequest, canary_first: bool = True, *, version: str = "") -> bool:
    """Let a draft go: the next pass after its time takes it up. False if it is no draft any more.

    Its age counts from now: a draft may have been in the making for longer than mail may wait.
    Without `canary_first`, nothing of it waits for its first mails (DBMAIL["BREAKER"]["CANARY"]). `version`: what a
    person has approved (broadcasts.approval), if one has.
    """
    now: dict[str, Any] = {"created_at": timezone.now(), "approved_version": version, "taken_up": 0}
    if not canary_first:
        now |= {"canary_left": 0, "canary_until": None}
    elif request.canary_until is None:
        now |= {"canary_left": None}  # a draft again, that was sent off without: the choice is made anew
    return _move(request, (State.DRAFT,), State.SCHEDULED, **now)


def reopen(request: MessageRequest) -> bool:
    """Make a broadcast whose recipients are not all mails yet a draft again, to be corrected; False if it is too late.

    What has become mail stays so: scheduled again, it goes on behind those recipients.
    """
    if request.processed:
        return False
    return _move(request, (State.SCHEDULED, State.PAUSED, State.FAILED), State.DRAFT, approved_version="")


def pause(request: MessageRequest, reason: str = "") -> bool:
    return _move(request, _UNDER_WAY, State.PAUSED, state_reason=reason, reason_is_open=True)


def resume(request: MessageRequest) -> bool:
    """Also takes up a failed request again, after what was wrong with it has been corrected."""
    to = State.SENDING if request.processed else State.SCHEDULED
    # The breaker counts anew, and so does whoever sets aside what breaks off again and again.
    resumed = _move(request, (State.PAUSED, State.FAILED), to, accepted=0, refused=0, taken_up=0)
    if resumed:
        wake_workers(request._state.db)
    return resumed


def cancel(request: MessageRequest) -> bool:
    if not _move(request, (State.DRAFT, *_UNDER_WAY, State.PAUSED, State.FAILED), State.CANCELLED):
        return False
    drop_cancelled()
    return True


@after_deadlock
def requeue(rows: "QuerySet[TextOfEmail]") -> int:
    """Put mails that failed, expired or are in doubt into the queue again, with all their tries; how many.

    Their age counts from now. Mails of a broadcast that was cancelled, or whose last moment is over, stay where they
    are, and an address that was suppressed meanwhile is left out when its turn comes.
    """
    now = timezone.now()
    ended = (TextOfEmail.State.FAILED, TextOfEmail.State.EXPIRED, TextOfEmail.State.IN_DOUBT)
    again = rows.filter(state__in=ended).exclude(messagerequest__state=State.CANCELLED)
    again = again.exclude(messagerequest__not_after__lte=now)
    requests = list(again.order_by().values_list("messagerequest", flat=True).distinct())
    fresh: dict[str, Any] = {"sent": None, "tries": 0, "begun": False, "claimed_by": "", "claimed_until": None}
    ids = list(again.order_by().values_list("pk", flat=True))
    count = 0
    for start in range(0, len(ids), 500):
        count += TextOfEmail.objects.filter(pk__in=ids[start : start + 500], state__in=ended).update(
            state=TextOfEmail.State.QUEUED, due_at=now, created_at=now, last_reply="", **fresh
        )
    MessageRequest.objects.filter(pk__in=requests, state=State.DONE).update(state=State.SENDING, state_reason="")
    log.info("%d mails are in the queue again", count)
    return count


def _move(request: MessageRequest, before: tuple[State, ...], after: State, **more: Any) -> bool:
    more = {"state_reason": "", "reason_is_open": False, **more}
    moved = MessageRequest.objects.filter(pk=request.pk, state__in=before).update(state=after, **more)
    refresh(request)
    if moved:
        log.info("Request %s: %s", request.pk, after)
    return bool(moved)


def refresh(request: MessageRequest) -> bool:
    """Bring `request` up to date; False if somebody has deleted it meanwhile."""
    try:
        request.refresh_from_db()
    except MessageRequest.DoesNotExist:
        return False
    return True


@after_deadlock
def drop_cancelled() -> int:
    """Cancel the waiting mails of cancelled requests; also those that came back into the queue after that."""
    waiting = TextOfEmail.objects.filter(messagerequest=OuterRef("pk"), state=TextOfEmail.State.QUEUED)
    requests = list(MessageRequest.objects.filter(Exists(waiting), state=State.CANCELLED).values_list("pk", flat=True))
    return TextOfEmail.objects.filter(messagerequest__in=requests, state=TextOfEmail.State.QUEUED).update(
        state=TextOfEmail.State.CANCELLED, sent=timezone.now(), last_reply=_("Its broadcast was cancelled.")
    )


@after_deadlock
def finish_requests() -> int:
    """Requests of which no mail waits any more are done; those that got one back into the queue are not."""
    waiting = TextOfEmail.objects.filter(messagerequest=OuterRef("pk"), state__in=_WAITING)
    MessageRequest.objects.filter(Exists(waiting), state=State.DONE).update(state=State.SENDING)
    return MessageRequest.objects.filter(~Exists(waiting), state=State.SENDING).update(state=State.DONE)
