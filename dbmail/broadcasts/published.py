"""Which public broadcasts the whole world may read: those that are being sent, or of which some mail has left."""

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from ..models import MessageRequest, TextOfEmail

_State, _Mail = MessageRequest.State, TextOfEmail.State

# | state | read by anybody |
# |-|-|
# | draft | never, also where some mails have left: it is being corrected |
# | scheduled | only where it goes on after a pause: mails have left, and it is due |
# | processing, sending, done | yes |
# | paused, failed, cancelled | where mails have left |
_OPEN = (_State.PROCESSING, _State.SENDING, _State.DONE)
_WHERE_SENT = (_State.PAUSED, _State.FAILED, _State.CANCELLED)


def published() -> "QuerySet[MessageRequest]":
    left = TextOfEmail.objects.filter(messagerequest=OuterRef("pk"), state__in=[_Mail.SENT, _Mail.IN_DOUBT])
    is_due = Q(processed_by__isnull=True) | Q(processed_by__lte=timezone.now())
    goes_on = Q(state__in=_WHERE_SENT) | (Q(state=_State.SCHEDULED) & is_due)
    return MessageRequest.objects.filter(Q(state__in=_OPEN) | (goes_on & Exists(left)), public=True)


def is_published(request: MessageRequest) -> bool:
    return published().filter(pk=request.pk).exists()
