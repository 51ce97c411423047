"""A draft's preflight: the survey of everyone in its audience, taken further piece by piece.

The page takes it further while it is open; when no page does, passes go on with it. If two survey the same people at
the same time, only one of the pieces is added.
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
from .survey import Piece, survey_people, survey_piece

log = logging.getLogger(__name__)

#: A finished preflight that is older than this begins anew: people come and go, and unsubscribe.
FRESH = timedelta(minutes=15)
#: The same if the text fails for somebody: their data may have been corrected meanwhile.
FAILURES_FRESH = timedelta(seconds=30)
#: An open page takes it further every few seconds. If none has for this long, passes go on.
LEFT_ALONE = timedelta(seconds=30)
#: Seconds that one piece of a pass takes; each piece is committed.
_PIECE = 2.0


def take_further(draft: MessageRequest, seconds: float, *, by_page: bool = True) -> Preflight:
    """Survey more of the audience of `draft` for about `seconds`. Returns the preflight as it is then.

    Reasons of failures are kept in the project's language, whoever asks. Raises DbmailError if the audience cannot be
    read; Preflight.DoesNotExist or IntegrityError if the draft has just been deleted.
    """
    mark = fingerprint(draft)
    row = _current(draft, mark)
    if by_page:
        Preflight.objects.filter(pk=row.pk).update(asked_at=timezone.now())
    if row.finished_at is None and row.fingerprint == mark:
        with translation.override(settings.LANGUAGE_CODE):
            piece = survey_piece(draft, json.loads(row.after) if row.after else None, seconds)
        _add_piece(row, piece)
        row.refresh_from_db()
    return row


def leave_to_passes(draft: MessageRequest) -> None:
    """Have passes take the preflight further at once.

    For a page whose reader may not see what is found, and who must not learn anything from how long it takes.
    """
    row = _current(draft, fingerprint(draft))
    if row.finished_at is None:
        Preflight.objects.filter(pk=row.pk).update(asked_at=timezone.now() - LEFT_ALONE)


def still_failing(draft: MessageRequest) -> int:
    """For how many people the text of `draft` fails, as far as its preflight knows.

    The data of those it names may have been corrected, so they are surveyed again: if the text fails for none of them
    any more, the preflight begins anew and the answer is 0.
    """
    row = Preflight.objects.filter(messagerequest=draft, fingerprint=fingerprint(draft)).first()
    seen = Seen.read(row.seen if row else {})
    keys = {key for tally in seen.failures.values() for key in tally.people}
    if row is None or not keys:
        return 0
    people = draft.recipients.getList(get_user_model()).filter(pk__in=keys)
    if survey_people(draft, people).failed:
        return seen.failed
    _begin_anew(row, row.fingerprint)
    return 0


def fingerprint(draft: MessageRequest) -> str:
    """A hash of the text and the audience of `draft`: a preflight made for another one does not count."""
    variables = MessageVars.objects.filter(messagerequest=draft.pk).order_by("provider_name")
    parts = [
        *(draft.subject, draft.msgtext, draft.layout, draft.category, draft.sendto_fn_name),
        draft.recipients.q_filter,
        list(variables.values_list("provider_name", "provider")),
    ]
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "replace")).hexdigest()


def _current(draft: MessageRequest, mark: str) -> Preflight:
    """The preflight of `draft`, begun anew if the draft has changed or the preflight is too old.

    If somebody else begins it anew at this moment, for another version of the draft, it has that one's fingerprint.
    """
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


def _add_piece(row: Preflight, piece: Piece) -> None:
    """Add what `piece` saw, unless somebody else has surveyed the same people or the draft has changed."""
    seen = Seen.read(row.seen)
    seen.add(piece.seen)
    if piece.after is None:
        if row.after:  # the exact numbers of mails need the keys of all pieces
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
    """Take further, for about `seconds`, the preflights that no page takes further. Returns whether any is left."""
    end = time.monotonic() + seconds
    _forget_sent()
    waiting = Preflight.objects.filter(
        finished_at__isnull=True,
        asked_at__lt=timezone.now() - LEFT_ALONE,
        messagerequest__state=MessageRequest.State.DRAFT,
    )
    for pk, request_id, as_read in waiting.order_by("asked_at").values_list("pk", "messagerequest", "asked_at"):
        lease = _take_lease(pk, as_read)
        while lease is not None:
            if stop() or time.monotonic() > end:
                # Give the lease back, so that whoever comes next goes on at once.
                Preflight.objects.filter(pk=pk, asked_at=lease).update(asked_at=lease - LEFT_ALONE)
                return True
            lease = _take_lease(pk, lease) if _take_further_once(pk, request_id) else None
    return False


def _take_lease(pk: int, asked_at: datetime) -> datetime | None:
    """Try to take the lease on this preflight, whose `asked_at` was read as `asked_at`.

    Returns the new `asked_at`, which is the lease: whoever changes it next has taken over. None if a page or another
    pass has it, or if it is finished.
    """
    now = timezone.now()
    mine = Preflight.objects.filter(pk=pk, asked_at=asked_at, finished_at__isnull=True).update(asked_at=now)
    return Preflight.objects.filter(pk=pk).values_list("asked_at", flat=True).first() if mine else None


@after_deadlock
def _forget_sent() -> None:
    """Delete preflights of broadcasts that are drafts no more."""
    with suppress(IntegrityError):  # a page has just added to one: the next pass finds it
        Preflight.objects.exclude(messagerequest__state=MessageRequest.State.DRAFT).delete()


def _take_further_once(pk: int, request_id: int) -> bool:
    """Take one preflight one piece further. Returns False if others were in the way: a later pass goes on with it."""
    try:
        draft = MessageRequest.objects.select_related("recipients", "creator").get(pk=request_id)
        take_further(draft, _PIECE, by_page=False)
    except BaseException as error:
        # The project's own code runs here. What it raises ends this preflight only; the page says what is wrong.
        whose = blame(error) if is_a_bug(error) else Blame.DATABASE
        if whose is Blame.DATABASE:
            raise  # no fault of the draft: the next pass goes on with it
        log.warning("Preflight of request %s ended: %s", request_id, type(error).__name__)
        if whose is Blame.CONTENTION:
            return False
        Preflight.objects.filter(pk=pk).delete()
    return True
