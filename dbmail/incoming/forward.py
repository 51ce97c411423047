"""Copies of an incoming message as rows of the outbox, one for each recipient."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from ..addresses import Mailbox, format_mailbox, normalise
from ..conf import config
from ..delivery.header_block import HeaderBlock, split
from ..models import Forward, IncomingMessage, Suppression, TextOfEmail
from ..suppression.entries import not_sent, suppressed
from .rewrite import ListStyle, for_alias, for_list
from .route import Plan
from .rules import list_id

#: Copies that are inserted in one query.
_CHUNK = 500


def outgoing_header(plan: Plan) -> HeaderBlock:
    """The header that every copy of the planned message has."""
    handler, row = plan.handler, plan.row
    if handler is None or row is None:
        raise ValueError("Nobody takes this message, so there is nothing to forward.")
    if handler.preserve_headers:
        return for_alias(plan.header, plan.envelope)
    shown = plan.recipients if row.cc_all and not handler.hide_recipients else ()
    style = ListStyle(
        tags=tuple(filter(None, (row.subject_prefix, handler.emailcode))),
        from_email=row.from_email,
        to=shown,
        support=config().support,
    )
    return for_list(plan.header, plan.envelope, plan.facts, style)


def forward(incoming: IncomingMessage, plan: Plan) -> Forward:
    """Queue the message for everyone in the plan; doing it again queues nothing new."""
    header = outgoing_header(plan)
    # A bounce that an alias passes on must not itself bounce to anybody.
    sender = Forward.SIGNED if incoming.sender else Forward.NULL_SENDER
    with transaction.atomic():
        row, _created = Forward.objects.get_or_create(
            incoming=incoming, emaillist=plan.row, defaults={"headers": header.as_bytes(), "sender": sender}
        )
        is_list = plan.handler is not None and not plan.handler.preserve_headers
        # Decided on anew, it may come to another row: nobody gets it again for that.
        copies = TextOfEmail.objects.filter(forward__incoming=incoming).exclude(forward=row)
        served = set(copies.values_list("address", flat=True))
        others = [box for box in plan.recipients if normalise(box.address) not in served]
        enqueue(row, others, scope=list_id(plan.envelope)[:64] if is_list else "")
    return row


def enqueue(forward: Forward, recipients: Sequence[Mailbox], *, scope: str = "") -> int:
    """Rows of the outbox for `recipients`, each address once; how many the forward now has.

    `scope` is the list's name, for suppression; an alias has none: who unsubscribed from broadcasts still gets
    the mail of their own alias.
    """
    header, _body = split(bytes(forward.headers), is_ours=True)
    now = timezone.now()
    shown_from, subject, message_id = (
        (field.text if field else "") for field in map(header.first, ("from", "subject", "message-id"))
    )
    for start in range(0, len(recipients), _CHUNK):
        chunk = {normalise(box.address): box for box in recipients[start : start + _CHUNK]}
        suppressed = _suppressed(list(chunk), scope)
        TextOfEmail.objects.bulk_create(
            [
                TextOfEmail(
                    forward=forward,
                    address=address,
                    copy_key="",
                    scope=scope,
                    send_to=format_mailbox(*box)[:1024],
                    send_from=shown_from[:1024],
                    subject=subject,
                    message_id=message_id.strip("<>")[:255],
                    created_at=now,
                    due_at=now,
                    state=TextOfEmail.State.SUPPRESSED if address in suppressed else TextOfEmail.State.QUEUED,
                    sent=now if address in suppressed else None,
                    last_reply=suppressed.get(address, ""),
                )
                for address, box in chunk.items()
            ],
            ignore_conflicts=True,
        )
    return forward.textofemail_set.count()


def _suppressed(addresses: list[str], scope: str) -> dict[str, str]:
    """By address, why it gets no copy."""
    found = suppressed(addresses, scope or Suppression.ALL, is_personal=not scope)
    return {address: not_sent(reason) for address, reason in found.items()}
