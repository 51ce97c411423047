"""A message is on disk before anything is done with it, and only once for each of our addresses."""

from datetime import timedelta

from django.utils import timezone

from ..addresses import format_mailbox, one_line
from ..delivery.header_block import HeaderBlock
from ..models import IncomingMessage
from .facts import Envelope, Facts, content_hash

#: Bytes that are kept of a message over the size limit: enough for its header.
KEPT_OF_TOO_LARGE = 65_536
#: How long a list remembers a Message-ID.
REMEMBERED = timedelta(days=14)


def store(
    envelope: Envelope, facts: Facts, header: HeaderBlock, body: bytes, raw: bytes
) -> tuple[IncomingMessage, bool]:
    """The row of this message for this address, and whether it is new (the MTA may deliver a message twice)."""
    return IncomingMessage.objects.get_or_create(
        recipient=envelope.recipient,
        content_hash=content_hash(header, body, envelope.queue_id),
        defaults={
            "raw": raw,
            "sender": _storable(envelope.sender)[:320],
            "local_part": envelope.local_part,
            "domain": envelope.domain,
            "queue_id": _storable(envelope.queue_id)[:64],
            "message_id": facts.message_id[:255],
            "author": format_mailbox(*facts.author)[:320] if facts.author else _claimed(header),
            "subject": facts.subject[:255],
        },
    )


def _storable(text: str) -> str:
    """`text` without NUL and lone surrogates, which some databases refuse."""
    return one_line(text.encode("utf-8", "replace").decode("utf-8"))


def _claimed(header: HeaderBlock) -> str:
    return " | ".join(field.text for field in header.all("from")[:3])[:320]


def seen_before(
    envelope: Envelope, facts: Facts, header: HeaderBlock, body: bytes, queue_id: str, but: int | None = None
) -> str:
    """Whether this address has sent on a message with this Message-ID within REMEMBERED.

    "same": with equal content, "changed": with other content only, "": it has not. `envelope` is the one that
    matched; the row with the key `but` does not count.
    """
    if not facts.message_id:
        return ""
    found = IncomingMessage.objects.filter(
        matched=envelope.recipient,
        message_id=facts.message_id[:255],
        state=IncomingMessage.State.HANDLED,
        received_at__gte=timezone.now() - REMEMBERED,
    )
    if but:
        found = found.exclude(pk=but)
    hashes = set(found.values_list("content_hash", flat=True))
    if not hashes:
        return ""
    return "same" if content_hash(header, body, queue_id) in hashes else "changed"
