"""The way in: one message for one address, stored, decided on, acted on; a sysexits code comes out.

| what happened | what the MTA is told | what it does |
|-|-|-|
| sent on, held, dropped, seen before | 0 | forgets the message: we have it |
| too large, empty | 65 | bounces it |
| no such address | 67 | bounces it |
| no such address, and we told the author, a user | 0 | forgets the message |
| the author may not post, and the row says to refuse | 77 | bounces it |
| anything else: database down, a bug in a handler, a row that cannot be asked | 75 | tries again |

With a null envelope sender there is nobody to bounce to: 0 instead, and the message is kept as dropped.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from ..blame import in_words
from ..conf import config
from ..delivery.header_block import split
from ..models import Forward, IncomingMessage
from .facts import Envelope, read
from .forward import forward
from .own_addresses import carry_out
from .route import Plan, make_plan
from .rules import EX_NOUSER, EX_OK, EX_TEMPFAIL, Decision, Verdict
from .store import KEPT_OF_TOO_LARGE, store

log = logging.getLogger(__name__)

_MAX_LOCAL_PART = 64  # octets, RFC 5321, 4.5.3.1.1
_MAX_ADDRESS = 320
_STATES = {
    Verdict.SEND: IncomingMessage.State.HANDLED,
    Verdict.TAKE: IncomingMessage.State.HANDLED,
    Verdict.HOLD: IncomingMessage.State.HELD,
    Verdict.DROP: IncomingMessage.State.DROPPED,
    Verdict.REJECT: IncomingMessage.State.REJECTED,
}


def receive(
    envelope: Envelope, raw: bytes, send: Callable[[int], object] | None = None, *, size: int | None = None
) -> Decision:
    """Take in one message; the decision's exit code is for the MTA. Raises nothing.

    What cannot even be stored gives 75, so that the MTA keeps it. `send` is called with the key of the Forward
    once its copies are in the queue for good: it may send them, and nothing that it does changes the decision.
    `size` is that of the whole message, in bytes, where `raw` is only the beginning of one that is too large.
    """
    decision, message = _receive(envelope, raw, len(raw) if size is None else size)
    if decision.rule == "unknown" and message and config().incoming.notices:
        # Loaded for the few messages that come to an unknown address.
        from .notices import tell_author

        decision = tell_author(message, decision)
    if send and message and decision.verdict == Verdict.SEND:
        try:
            for forward_id in Forward.objects.filter(incoming=message).values_list("pk", flat=True):
                send(forward_id)
        except Exception:  # the copies are in the queue: whatever went wrong, the next pass sends them
            log.exception("The copies of message %s could not be sent at once.", message.pk)
    return decision


def _receive(envelope: Envelope, raw: bytes, size: int) -> tuple[Decision, IncomingMessage | None]:
    try:
        unknown = _no_address(envelope)
        if unknown:
            return _never_bounce_a_bounce(unknown, envelope), None
        header, body = split(raw)
        kept = raw if len(raw) <= config().incoming.max_size else raw[:KEPT_OF_TOO_LARGE]
        message, created = store(envelope, read(header, size), header, body, kept)
        del body  # it may be big, and is in `raw` as well
        if not created and message.state not in IncomingMessage.OPEN:
            said = _("It is message %(number)s again.") % {"number": message.pk}
            return Decision(Verdict.DROP, "duplicate", said, message.exit_code), message
        return act(message, size=size), message
    except Exception as error:  # the boundary: whatever it is, the MTA keeps the message and tries again
        log.exception("A message for %s could not be taken in.", envelope.recipient)
        return Decision(Verdict.REJECT, "error", in_words(error), EX_TEMPFAIL), None


def preview(envelope: Envelope, raw: bytes, but: int | None = None) -> Plan:
    """What `receive` would decide on a message that is not stored. Changes nothing; raises as `make_plan`.

    `but`: the key of the stored message that it is, which then is no earlier one.
    """
    impossible = _no_address(envelope)
    plan = (
        Plan(impossible, split(raw)[0], read(split(raw)[0], len(raw)), envelope)
        if impossible
        else make_plan(envelope, raw, but=but)
    )
    return replace(plan, decision=_never_bounce_a_bounce(plan.decision, envelope))


def act(message: IncomingMessage, *, approved: bool = False, size: int | None = None) -> Decision:
    """Decide on a stored message and do it, once: whoever comes second finds it done.

    `size` is that of the message as it came, in bytes, where less of it was stored. Raises what a handler or the
    database raises, after noting it in the row.
    """
    envelope = Envelope(message.local_part, message.domain, message.sender, message.queue_id)
    try:
        plan = make_plan(envelope, bytes(message.raw), approved=approved, size=size)
        decision = _never_bounce_a_bounce(plan.decision, envelope)
        claimed = _carry_out(message, plan, decision, approved=approved)
    except Exception as error:
        _note_failure(message, error)
        raise
    if not claimed:
        message.refresh_from_db()
        said = _("Message %(number)s is done already.") % {"number": message.pk}
        return Decision(Verdict.DROP, "duplicate", said, message.exit_code)
    copies = len(plan.recipients) if decision.verdict == Verdict.SEND else 0
    log.info("Message %s: %s by %s, %d copies", message.pk, decision.verdict, decision.rule, copies)
    return decision


def _carry_out(message: IncomingMessage, plan: Plan, decision: Decision, *, approved: bool) -> bool:
    """All of it or nothing; False where another process was first."""
    with transaction.atomic():
        if not _claim(message, plan, decision, approved=approved):
            return False
        if decision.verdict == Verdict.SEND:
            forward(message, plan)
        if plan.purpose and decision.verdict == Verdict.TAKE:
            carry_out(plan.purpose, message)
    return True


def _claim(message: IncomingMessage, plan: Plan, decision: Decision, *, approved: bool) -> bool:
    """Write the decision into the row, unless another process has done so since it was read."""
    waiting = (IncomingMessage.State.HELD,) if approved else IncomingMessage.OPEN
    values: dict[str, Any] = {
        "state": _STATES[decision.verdict],
        "decision": decision.rule,
        "reason": decision.reason,
        "exit_code": decision.exit_code,
        "emaillist": plan.row,
        "matched": plan.envelope.recipient if plan.row else "",
    }
    claimed = IncomingMessage.objects.filter(pk=message.pk, state__in=waiting).update(**values)
    if claimed:
        for name, value in values.items():
            setattr(message, name, value)
    return bool(claimed)


def _note_failure(message: IncomingMessage, error: Exception) -> None:
    """The row says why it waits; where even that cannot be written, the MTA has the message still."""
    IncomingMessage.objects.filter(pk=message.pk, state__in=IncomingMessage.OPEN).update(
        state=IncomingMessage.State.FAILED,
        decision="error",
        reason=in_words(error),
        exit_code=EX_TEMPFAIL,
    )


def _no_address(envelope: Envelope) -> Decision | None:
    """Why this can be no address of ours, whatever the rows say; no database takes such text."""
    text = f"{envelope.local_part}@{envelope.domain}"
    try:
        octets = len(envelope.local_part.encode("utf-8"))
        text.encode("utf-8")
        fits = len(envelope.recipient) <= _MAX_ADDRESS
    except UnicodeEncodeError:
        return Decision(Verdict.REJECT, "address", _("The address is not UTF-8."), EX_NOUSER)
    if not 0 < octets <= _MAX_LOCAL_PART or not 0 < len(envelope.domain) <= 255 or not fits or not text.isprintable():
        said = _("The address is empty, too long, or holds odd characters.")
        return Decision(Verdict.REJECT, "address", said, EX_NOUSER)
    return None


def _never_bounce_a_bounce(decision: Decision, envelope: Envelope) -> Decision:
    if decision.verdict == Verdict.REJECT and not envelope.sender and decision.exit_code != EX_TEMPFAIL:
        said = _("%(reason)s There is nobody to tell.") % {"reason": decision.reason}
        return Decision(Verdict.DROP, decision.rule, said, EX_OK)
    return decision
