"""The look over everyone in a draft's audience: piece by piece, by whoever comes along.

The page takes it further while it is open; a pass of the outbox goes on when nobody does. What two look at is kept
once.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.utils import timezone, translation

from ..blame import Blame, blame, is_a_bug
from ..database import after_deadlock
from ..models import MessageRequest, MessageVars, Preflight, PreflightPiece
from .reach import Keys, Seen, reach_of
from .survey import Piece, look_at, survey

log = logging.getLogger(__name__)

#: After so long it is looked at anew: people come and go, and unsubscribe.
FRESH = timedelta(minutes=15)
#: The same where the text fails for somebody: their data may have been mended meanwhile.
FAILURES_FRESH = timedelta(seconds=30)
#: A page that is open asks every few seconds. When it has been silent for so long, passes go on.
LEFT_ALONE = timedelta(seconds=30)
#: Seconds between two commits of a pass.
_PIECE = 2.0


def take_further(draft: MessageRequest, seconds: float, *, by_page: bool = True) -> Preflight:
    """Look at more of the audience of `draft`, for about `seconds`; how far it is now.

    What it says of failures is in the project's own language, whoever looks. Raises DbmailError where the audience
    is such that nobody could get it; Preflight.DoesNotExist or IntegrityError where the draft has just been deleted.
    """
    mark = fingerprint(draft)
    row = _current(draft, mark)
    if by_page:
        Preflight.objects.filter(pk=row.pk).update(asked_at=timezone.now())
    if row.finished_at is None and row.fingerprint == mark:
        with translation.override(settings.LANGUAGE_CODE):
            piece = survey(draft, json.loads(row.after) if row.after else None, seconds)
        _keep(row, piece)
        row.refresh_from_db()
    return row


def ask_for(draft: MessageRequest) -> None:
    """Have passes look at everyone, for a page that may not see what is found and must not wait for it."""
    row = _current(draft, fingerprint(draft))
    if row.finished_at is None:
        Preflight.objects.filter(pk=row.pk).update(asked_at=timezone.now() - LEFT_ALONE)


def still_failing(draft: MessageRequest) -> int:
    """For how many people the text of `draft` is known to fail; 0 if it does not fail any more for those who are
    known by name, whose data may have been mended: then everyone is looked at anew."""
    row = Preflight.objects.filter(messagerequest=draft, fingerprint=fingerprint(draft)).first()
    seen = Seen.read(row.seen if row else {})
    keys = {key for tally in seen.failures.values() for key in tally.people}
    if row is None or not keys:
        return 0
    people = draft.recipients.getList(get_user_model()).filter(pk__in=keys)
    if look_at(draft, people).failed:
        return seen.failed
    _begin_anew(row, row.fingerprint)
    return 0


def fingerprint(draft: MessageRequest) -> str:
    """Equal for two drafts whose preflight sees the same."""
    variables = MessageVars.objects.filter(messagerequest=draft.pk).order_by("provider_name")
    parts = [
        *(draft.subject, draft.msgtext, draft.layout, draft.category, draft.sendto_fn_name),
        draft.recipients.q_filter,
        list(variables.values_list("provider_name", "provider")),
    ]
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "replace")).hexdigest()


def _current(draft: MessageRequest, mark: str) -> Preflight:
    """The preflight of `draft`, begun anew where that changed or was looked at too long ago; still another's where
    somebody else begins it at this moment."""
    row, _made = Preflight.objects.get_or_create(messagerequest=draft, defaults={"fingerprint": mark})
    fresh = FAILURES_FRESH if row.seen and Seen.read(row.seen).failed else FRESH
    stale = row.finished_at is not None and row.finished_at < timezone.now() - fresh
    if stale or row.fingerprint != mark:
        _begin_anew(row, mark)
        row.refresh_from_db()
    return row


@after_deadlock
def _begin_anew(row: Preflight, mark: str) -> None:
    with transaction.atomic():
        as_read = Preflight.objects.filter(pk=row.pk, fingerprint=row.fingerprint, after=row.after)
        if as_read.update(fingerprint=mark, seen={}, after="", finished_at=None):
            PreflightPiece.objects.filter(preflight=row.pk).delete()


def _keep(row: Preflight, piece: Piece) -> None:
    """Add what `piece` saw, unless somebody else has looked at the same people or the draft is another."""
    seen = Seen.read(row.seen)
    seen.add(piece.seen)
    if piece.after is None:
        if row.after:  # the different ones among all pieces
            for earlier in PreflightPiece.objects.filter(preflight=row.pk).iterator(chunk_size=20):
                piece.keys.add(Keys.of(earlier))
            seen.reach = reach_of(piece.keys)
        _store(row, None, seen_json=seen.as_json(), after=row.after, finished_at=timezone.now())
    else:
        after = json.dumps(piece.after, cls=DjangoJSONEncoder)
        _store(row, piece.keys, seen_json=seen.as_json(), after=after, finished_at=None)


@after_deadlock
def _store(
    row: Preflight, keys: Keys | None, *, seen_json: dict[str, object], after: str, finished_at: datetime | None
) -> None:
    with transaction.atomic():
        as_read = Preflight.objects.filter(
            pk=row.pk, fingerprint=row.fingerprint, after=row.after, finished_at__isnull=True
        )
        if not as_read.update(seen=seen_json, after=after, finished_at=finished_at):
            return
        if keys is not None:
            PreflightPiece.objects.create(preflight_id=row.pk, **keys.as_columns())
        else:
            PreflightPiece.objects.filter(preflight=row.pk).delete()


def go_on(stop: Callable[[], bool], seconds: float) -> bool:
    """Take further what no page does, for about `seconds`; True if some of it is left."""
    end = time.monotonic() + seconds
    _forget_sent()
    waiting = Preflight.objects.filter(
        finished_at__isnull=True,
        asked_at__lt=timezone.now() - LEFT_ALONE,
        messagerequest__state=MessageRequest.State.DRAFT,
    )
    for pk, request_id, as_read in waiting.order_by("asked_at").values_list("pk", "messagerequest", "asked_at"):
        ours = _ours(pk, as_read)
        while ours is not None:
            if stop() or time.monotonic() > end:
                # Whoever comes next may go on at once.
                Preflight.objects.filter(pk=pk, asked_at=ours).update(asked_at=ours - LEFT_ALONE)
                return True
            ours = _ours(pk, ours) if _look_once(pk, request_id) else None
    return False


def _ours(pk: int, asked_at: datetime) -> datetime | None:
    """Say that it is being taken further, so that no other pass does the same; the time by which we know that nobody
    else has said so since. None if somebody has, a page above all, or if it is finished."""
    now = timezone.now()
    mine = Preflight.objects.filter(pk=pk, asked_at=asked_at, finished_at__isnull=True).update(asked_at=now)
    return Preflight.objects.filter(pk=pk).values_list("asked_at", flat=True).first() if mine else None


@after_deadlock
def _forget_sent() -> None:
    """What was looked at before a broadcast was sent off is of no use after it."""
    with suppress(IntegrityError):  # a page has just added to one: the next pass finds it
        Preflight.objects.exclude(messagerequest__state=MessageRequest.State.DRAFT).delete()


def _look_once(pk: int, request_id: int) -> bool:
    """False if others were in the way: a later pass goes on with it."""
    try:
        draft = MessageRequest.objects.select_related("recipients", "creator").get(pk=request_id)
        take_further(draft, _PIECE, by_page=False)
    except BaseException as error:
        # The project's own code runs here; what it raises stops this look only, and the page says what is wrong.
        whose = blame(error) if is_a_bug(error) else Blame.DATABASE
        if whose is Blame.DATABASE:
            raise  # no fault of the draft: the next pass goes on with it
        log.warning("Preflight of request %s ended: %s", request_id, type(error).__name__)
        if whose is Blame.CONTENTION:
            return False
        Preflight.objects.filter(pk=pk).delete()
    return True
