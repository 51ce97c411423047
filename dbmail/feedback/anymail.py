"""django-anymail's tracking signal: every provider that it knows tells us through it."""

import re
from typing import Any

from django.utils import timezone

from ..addresses import check_address, one_line
from ..exceptions import AddressError
from ..times import project_time
from .events import NewEvent, Reject, Type, record_events

#: Enhanced status codes (RFC 3463) which do not show that the address is bad: the mailbox exists, but is full, busy
#: or refuses this one mail.
_NOT_THE_ADDRESS = re.compile(r"\b(4\.\d{1,3}\.\d{1,3}|5\.2\.[2-9]|5\.[3-7]\.\d{1,3})\b")


def connect() -> None:
    """Connect `on_tracking` to anymail's signal. Safe to call more than once."""
    from anymail.signals import tracking

    tracking.connect(on_tracking, dispatch_uid="dbmail.feedback.anymail")


def on_tracking(sender: Any, event: Any, esp_name: str = "", **_: Any) -> None:
    found = new_event(event, esp_name)
    if found:
        record_events([found])


def new_event(event: Any, esp_name: str) -> NewEvent | None:
    """anymail's event in our words; None for those that we do not keep (sent, opened, clicked, ...)."""
    if event.event_type not in Type.values:
        return None
    try:
        address = check_address(event.recipient or "")
    except AddressError:
        return None
    reject = event.reject_reason if event.reject_reason in Reject.values else ""
    reply = one_line(event.mta_response or "")
    provider = esp_name.lower().replace(" ", "")[:16]
    metadata = event.metadata if isinstance(event.metadata, dict) else {}
    return NewEvent(
        address=address,
        event_type=event.event_type,
        source=provider,
        at=project_time(event.timestamp) if event.timestamp else timezone.now(),
        event_id=f"{provider}:{event.event_id}"[:255] if event.event_id else "",
        message_id=str(metadata.get("dbmail") or event.message_id or "").strip("<> ")[:255],
        reject_reason=reject,
        is_hard=_is_hard(event.event_type, reject, reply),
        description=reply or one_line(event.description or ""),
        raw=event.esp_event if isinstance(event.esp_event, dict) and event.event_type != Type.DELIVERED else None,
    )


def _is_hard(event_type: str, reject: str, reply: str) -> bool:
    """Whether the event shows that the address is bad. (Mail that is only delayed is "deferred" for anymail.)"""
    if event_type != Type.BOUNCED:
        return False
    return reject == Reject.INVALID or (reject == Reject.BOUNCED and not _NOT_THE_ADDRESS.search(reply))
