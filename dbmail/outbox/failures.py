"""Mails that did not go, grouped by what the relay said."""

import re
from collections import Counter
from dataclasses import dataclass

from django.db.models import QuerySet

from ..models import MessageRequest, TextOfEmail

#: Failed mails of one broadcast that are looked at; more of them have the same reasons.
_MOST = 20_000
_ADDRESS = re.compile(r"<?[^\s<>@]+@[^\s<>@,;:]+>?")
_IP = re.compile(r"\[?\b\d{1,3}(?:\.\d{1,3}){3}\b\]?")
# A queue or session number: letters and digits mixed, or many digits.
_NUMBER = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{7,}\b|\b\d{6,}\b")
ENDED = (TextOfEmail.State.FAILED, TextOfEmail.State.IN_DOUBT, TextOfEmail.State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Group:
    """Mails that ended for one reason; `reason` is without addresses and numbers."""

    state: str
    reason: str
    count: int


def reason_of(reply: str) -> str:
    """What a reply says without what differs from mail to mail: addresses, IPs, queue numbers."""
    text = _NUMBER.sub("…", _IP.sub("…", _ADDRESS.sub("…", reply)))
    return " ".join(text.split())[:300]


def failure_groups(request: MessageRequest) -> list[Group]:
    """The reasons, most frequent first."""
    rows = _ended(request).values_list("state", "last_reply")[:_MOST]
    counted = Counter((state, reason_of(reply)) for state, reply in rows)
    return [Group(state, reason, count) for (state, reason), count in counted.most_common()]


def mails_of(request: MessageRequest, state: str, reason: str) -> list[int]:
    """The keys of the mails in one group."""
    rows = _ended(request).filter(state=state).values_list("pk", "last_reply")[:_MOST]
    return [pk for pk, reply in rows if reason_of(reply) == reason]


def _ended(request: MessageRequest) -> "QuerySet[TextOfEmail]":
    return TextOfEmail.objects.filter(messagerequest=request, state__in=ENDED).order_by()
