"""When something becomes due by itself: a broadcast's time, a mail's next try."""

from datetime import datetime

from django.db.models import Min, OuterRef, Subquery

from ..models import MessageRequest, TextOfEmail
from .claim import ACTIVE

State = MessageRequest.State


def next_due(after: datetime) -> datetime | None:
    """The first moment later than `after` at which a request or a mail becomes due; None if there is none."""
    requests = MessageRequest.objects.filter(
        processed=False, state__in=[State.SCHEDULED, State.PROCESSING], processed_by__gt=after
    )
    waiting = TextOfEmail.objects.filter(state=TextOfEmail.State.QUEUED, due_at__gt=after)
    # One look into the index for each broadcast under way: its rows may be millions.
    of_request = waiting.filter(messagerequest=OuterRef("pk")).order_by("due_at").values("due_at")[:1]
    under_way = MessageRequest.objects.filter(state__in=ACTIVE).annotate(next=Subquery(of_request))
    moments = [
        requests.aggregate(first=Min("processed_by"))["first"],
        waiting.filter(messagerequest=None).aggregate(first=Min("due_at"))["first"],
        under_way.aggregate(first=Min("next"))["first"],
    ]
    return min((moment for moment in moments if moment is not None), default=None)
