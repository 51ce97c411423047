"""A broadcast's states: the only place that changes the state of a broadcast once it is there, and says why.

Whoever works on it notices within one batch. What gives workers something to do wakes those that sleep.
"""

import logging
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from ..blame import showable
from ..database import after_deadlock, wake_workers
from ..models import MessageRequest, TextOfEmail
from . import mails
from .leases import lease

log = logging.getLogger(__name__)
State = MessageRequest.State
MailState = TextOfEmail.State
_UNDER_WAY = (State.SCHEDULED, State.PROCESSING, State.SENDING)
_WAITING = (MailState.QUEUED, MailState.SENDING)


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
    return _wake(request, _move(request, (State.DRAFT,), State.SCHEDULED, **now))


def reopen(request: MessageRequest) -> bool:
    """Make a broadcast whose recipients are not all mails yet a draft again, to be corrected; False if it is too late.

    What has become mail stays so: scheduled again, it goes on behind those recipients.
    """
    if request.processed:
        return False
    return _move(
        request,
        (State.SCHEDULED, State.PAUSED, State.FAILED),
        State.DRAFT,
        approved_version="",
    )


def pause(request: MessageRequest, reason: str = "") -> bool:
    """Stop processing and sending. `reason`: why it was paused by itself, in words that anyone may read."""
    paused = _move(request, _UNDER_WAY, State.PAUSED, state_reason=reason, reason_is_open=True)
    if paused and reason:
        log.error("Request %s: %s", request.pk, reason)
    return paused


def resume(request: MessageRequest) -> bool:
    """Also takes up a failed request again, after what was wrong with it has been corrected."""
    to = State.SENDING if request.processed else State.SCHEDULED
    # The breaker counts anew, and so does whoever sets aside what breaks off again and again.
    return _wake(request, _move(request, (State.PAUSED, State.FAILED), to, accepted=0, refused=0, taken_up=0))


def cancel(request: MessageRequest) -> bool:
    if not _move(
        request,
        (State.DRAFT, *_UNDER_WAY, State.PAUSED, State.FAILED),
        State.CANCELLED,
    ):
        return False
    drop_cancelled()
    return True


@after_deadlock
def requeue(rows: "QuerySet[TextOfEmail]") -> int:
    """Put mails that failed, expired or are in doubt into the queue again, with all their tries; how many.

    Their age counts from now. Mails of a broadcast that was cancelled, or whose last moment is over, stay where they
    are, and an address that was suppressed meanwhile is left out when its turn comes.
    """
    again = rows.filter(state__in=mails.ENDED_UNSENT).exclude(messagerequest__state=State.CANCELLED)
    again = again.exclude(messagerequest__not_after__lte=timezone.now())
    requests = list(again.order_by().values_list("messagerequest", flat=True).distinct())
    count = mails.put_back(list(again.order_by().values_list("pk", flat=True)))
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


def _wake(request: MessageRequest, moved: bool) -> bool:
    if moved:
        wake_workers(request._state.db)
    return moved


def take_up(request: MessageRequest, worker: str, free: Q) -> bool:
    """Make `worker` the only one who processes a broadcast, until its lease ends; False where it is not `free`."""
    ready = MessageRequest.objects.filter(
        free, pk=request.pk, processed=False, state__in=[State.SCHEDULED, State.PROCESSING]
    )
    taken = ready.update(state=State.PROCESSING, state_reason="", taken_up=F("taken_up") + 1, **lease(worker))
    return bool(taken) and refresh(request)


def all_made(request: MessageRequest, worker: str, why_none: str = "") -> None:
    """Every recipient has been seen: what is left is sending or, where `why_none` says why there are no mails,
    nothing."""
    ours = MessageRequest.objects.filter(pk=request.pk, claimed_by=worker, state=State.PROCESSING)
    ours.update(
        processed=True,
        state=State.DONE if why_none else State.SENDING,
        state_reason=why_none,
        reason_is_open=False,
        taken_up=0,
    )


def fail(request: MessageRequest, reason: str, *, is_open: bool, defect: BaseException | None = None) -> bool:
    """Mark a broadcast that is being processed as failed; False if it is not any more.

    `is_open`: the reason quotes nobody's data. `defect`: the error whose traceback belongs into the log.
    """
    reason = showable(reason)
    processing = MessageRequest.objects.filter(pk=request.pk, state=State.PROCESSING)
    if not processing.update(state=State.FAILED, state_reason=reason, reason_is_open=is_open):
        log.warning("Request %s was paused, cancelled or deleted when it failed: %s", request.pk, reason)
        return False
    log.error("Request %s: failed: %s", request.pk, reason, exc_info=defect)
    return True


def expire(waiting: "QuerySet[MessageRequest]", why: str) -> int:
    """End broadcasts that were not processed and are of no use any more; how many."""
    return waiting.update(processed=True, state=State.CANCELLED, reason_is_open=True, state_reason=why)


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
    waiting = TextOfEmail.objects.filter(messagerequest=OuterRef("pk"), state=MailState.QUEUED)
    requests = list(MessageRequest.objects.filter(Exists(waiting), state=State.CANCELLED).values_list("pk", flat=True))
    return mails.cancel(requests)


@after_deadlock
def finish_requests() -> int:
    """Requests of which no mail waits any more are done; those that got one back into the queue are not."""
    waiting = TextOfEmail.objects.filter(messagerequest=OuterRef("pk"), state__in=_WAITING)
    MessageRequest.objects.filter(Exists(waiting), state=State.DONE).update(state=State.SENDING)
    return MessageRequest.objects.filter(~Exists(waiting), state=State.SENDING).update(state=State.DONE)
