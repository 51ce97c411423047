"""What is too old to be of use is not sent any more; what was cleared away can be rendered again."""

import logging
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import config
from ..exceptions import DbmailError
from ..models.broadcast import MessageRequest
from ..models.email import TextOfEmail
from .again import after_deadlock

log = logging.getLogger(__name__)


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
    over = {"processed": True, "state": state.CANCELLED}
    late = waiting.exclude(state=state.FAILED).filter(not_after__lte=timezone.now())  # that one has its reason
    expired = late.update(**over, state_reason=_("Expired: its last moment came before everybody had a mail."))
    expired += old.update(**over, state_reason=_("Expired: it was not processed before it was too old."))
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
    return _expire(old, _("Expired: it could not be sent in time."))


@after_deadlock
def _expire_late_mails() -> int:
    """Mails whose broadcast is not to be sent any more, whatever their age."""
    waiting = TextOfEmail.objects.filter(messagerequest=OuterRef("pk"), state=TextOfEmail.State.QUEUED)
    late = MessageRequest.objects.filter(Exists(waiting), not_after__lte=timezone.now())
    late = late.exclude(state=MessageRequest.State.DRAFT)  # somebody is just typing that moment
    return sum(
        _expire(
            TextOfEmail.objects.filter(messagerequest=pk, state=TextOfEmail.State.QUEUED),
            _("Expired: the last moment of its broadcast came first."),
        )
        for pk in list(late.values_list("pk", flat=True))
    )


def _expire(mails: "QuerySet[TextOfEmail]", why: str) -> int:
    return mails.update(state=TextOfEmail.State.EXPIRED, sent=timezone.now(), last_reply=why)


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
