"""What is too old: mail that is of no use any more is not sent, texts are cleared away, old rows are deleted."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, Max, Min, Model, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import config
from ..database import after_deadlock
from ..exceptions import DbmailError
from ..models import Forward, IncomingMessage, TextOfEmail
from ..models.broadcast import MessageRequest
from . import control, mails

log = logging.getLogger(__name__)
#: Keys that one statement looks at: short enough for others to get in between.
STEP = 5000
_Mail, _Message = TextOfEmail.State, IncomingMessage.State
#: A mail that failed, expired or is in doubt can be sent again, so its body is kept as long as its row.
_OVER = (_Mail.SENT, _Mail.SUPPRESSED, _Mail.CANCELLED)
_GONE = (*_OVER, _Mail.FAILED, _Mail.EXPIRED)
_WAITING = (_Mail.QUEUED, _Mail.SENDING, _Mail.IN_DOUBT, _Mail.FAILED, _Mail.EXPIRED)
_DECIDED = (_Message.HANDLED, _Message.REJECTED, _Message.DROPPED)


def expire_unsent_emails(older_than: timedelta | None = None) -> int:
    """Expire requests that were not processed and mails that were not sent, older than DBMAIL["EXPIRE_AFTER"]
    (or `older_than`); how many of both. They count as processed and as gone from the queue, and are never sent.

    Age counts from `created_at` of the request or, where it was to wait, from its `processed_by`.
    """
    return expire_requests(older_than) + expire_mails(older_than)


@after_deadlock
def expire_requests(older_than: timedelta | None = None) -> int:
    state = MessageRequest.State
    waiting = MessageRequest.objects.filter(
        processed=False, state__in=[state.SCHEDULED, state.PROCESSING, state.PAUSED, state.FAILED]
    )
    before = _before(older_than)
    old = waiting.filter(created_at__lt=before).exclude(processed_by__gte=before)
    late = waiting.exclude(state=state.FAILED).filter(not_after__lte=timezone.now())  # that one has its reason
    expired = control.expire(late, _("Expired: its last moment came before everybody had a mail."))
    expired += control.expire(old, _("Expired: it was not processed before it was too old."))
    if expired:
        log.warning("%d requests expired before they were processed", expired)
    return expired


def expire_mails(older_than: timedelta | None = None, min_tries: int = 0) -> int:
    expired = _expire_old_mails(older_than, min_tries) + _expire_late_mails()
    if expired:
        log.warning("%d mails expired before they were sent", expired)
    return expired


@after_deadlock
def _expire_old_mails(older_than: timedelta | None, min_tries: int) -> int:
    before = _before(older_than)
    old = TextOfEmail.objects.filter(
        state=TextOfEmail.State.QUEUED, created_at__lt=before, sent__isnull=True, tries__gte=min_tries
    ).exclude(messagerequest__processed_by__gte=before)
    return mails.expire(old, _("Expired: it could not be sent in time."))


@after_deadlock
def _expire_late_mails() -> int:
    """Mails whose broadcast is not to be sent any more, whatever their age."""
    waiting = TextOfEmail.objects.filter(messagerequest=OuterRef("pk"), state=TextOfEmail.State.QUEUED)
    late = MessageRequest.objects.filter(Exists(waiting), not_after__lte=timezone.now())
    late = late.exclude(state=MessageRequest.State.DRAFT)  # somebody is just typing that moment
    return sum(
        mails.expire(
            TextOfEmail.objects.filter(messagerequest=pk, state=TextOfEmail.State.QUEUED),
            _("Expired: the last moment of its broadcast came first."),
        )
        for pk in list(late.values_list("pk", flat=True))
    )


def _before(older_than: timedelta | None) -> datetime:
    return timezone.now() - (config().expire_after if older_than is None else older_than)


def fill_msgtext(mail: TextOfEmail) -> None:
    """Raises DbmailError where there is no request or recipient to render it for."""
    from ..rendering.message import MessageRenderer

    if mail.messagerequest is None or mail.user is None:
        gone = _("Mail %(number)s has no request and recipient any more, so its text cannot be made again.")
        raise DbmailError(gone % {"number": mail.pk})
    rendered = MessageRenderer(mail.messagerequest).render(mail.user).to(mail.address, mail.scope or "all")
    mail.msgtext, mail.plaintext = rendered.body, rendered.plaintext
    mail.save(update_fields=["msgtext", "plaintext"])


@dataclass(slots=True)
class Purged:
    """How many were emptied or deleted (or would be)."""

    bodies: int = 0
    messages: int = 0
    mails: int = 0
    rows_of_messages: int = 0

    def __str__(self) -> str:
        return (
            f"{self.bodies} bodies of mails and {self.messages} incoming messages emptied, "
            f"{self.mails} mails and {self.rows_of_messages} incoming messages deleted"
        )

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


def purge(
    bodies: timedelta, messages: timedelta, rows: timedelta | None = None, *, dry_run: bool = False, step: int = STEP
) -> Purged:
    """Empty the bodies of mails that left the queue `bodies` ago, and messages that came in `messages` ago; delete
    what is older than `rows`, with its attempts and events. What waits, is held or can be sent again stays.

    May be stopped at any time, and run again.
    """
    now = timezone.now()
    purged = Purged()
    purged.bodies = _each_step(_bodies(now - bodies), step, dry_run, msgtext="", plaintext="")
    purged.messages = _each_step(_messages(now - messages), step, dry_run, raw=b"")
    if rows is not None:
        purged.mails = _each_step(_old_mails(now - rows), step, dry_run)
        purged.rows_of_messages = _each_step(_old_messages(now - rows), step, dry_run)
    return purged


def _bodies(before: datetime) -> "QuerySet[TextOfEmail]":
    return TextOfEmail.objects.filter(~Q(msgtext="") | ~Q(plaintext=""), state__in=_OVER, sent__lt=before)


def _messages(before: datetime) -> "QuerySet[IncomingMessage]":
    copies = TextOfEmail.objects.filter(forward__incoming=OuterRef("pk"), state__in=_WAITING)
    old = IncomingMessage.objects.filter(~Exists(copies), received_at__lt=before, state__in=_DECIDED)
    return old.exclude(raw=b"")


def _old_mails(before: datetime) -> "QuerySet[TextOfEmail]":
    # A broadcast that is still being made into mails knows by these rows who has one already.
    is_made = Q(messagerequest__isnull=True) | Q(messagerequest__processed=True)
    return TextOfEmail.objects.filter(is_made, state__in=_GONE, sent__lt=before)


def _old_messages(before: datetime) -> "QuerySet[IncomingMessage]":
    copied = Forward.objects.filter(incoming=OuterRef("pk"), textofemail__isnull=False)
    return IncomingMessage.objects.filter(~Exists(copied), received_at__lt=before, state__in=_DECIDED)


def _each_step(rows: "QuerySet[Any]", step: int, dry_run: bool, **emptied: Any) -> int:
    """Update `rows`, or delete them where there is nothing to set; how many there were."""
    done = 0
    for low, high in _steps(rows.model, step):
        few = rows.filter(pk__gte=low, pk__lt=high)
        if dry_run:
            done += few.count()
        elif ids := list(few.values_list("pk", flat=True)):
            # By key: MySQL updates no table that its condition reads.
            chosen = rows.model._default_manager.filter(pk__in=ids)
            done += len(ids)
            chosen.update(**emptied) if emptied else chosen.delete()
    return done


def _steps(model: type[Model], step: int) -> Iterator[tuple[int, int]]:
    """Ranges of keys, from the first row to the last."""
    found = model._default_manager.aggregate(first=Min("pk"), last=Max("pk"))
    if found["first"] is not None:
        for low in range(found["first"], found["last"] + 1, step):
            yield low, low + step
