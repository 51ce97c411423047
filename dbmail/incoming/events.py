"""What becomes of a report: events, and suppression where the address is no good."""

from dataclasses import replace

from ..events import NewEvent, record_events
from ..models import IncomingMessage, MailEvent, TextOfEmail
from .bounces import Kind, Outcome, Report


def record(report: Report, mail: TextOfEmail, incoming: IncomingMessage | None = None) -> list[MailEvent]:
    """Note what a report says about `mail`, which the caller has proved it to be about.

    The mail had one recipient: an outcome for another address (where that one forwards to) counts for it too,
    but never as hard. The same report again changes nothing.
    """
    outcomes = [outcome for outcome in report.outcomes if outcome.address in (mail.address, "")]
    if not outcomes:
        outcomes = [replace(outcome, is_hard=False) for outcome in report.outcomes[:1]]
    return record_events(_event(outcome, report, mail, incoming) for outcome in outcomes)


def _event(outcome: Outcome, report: Report, mail: TextOfEmail, incoming: IncomingMessage | None) -> NewEvent:
    return NewEvent(
        address=mail.address,
        event_type=outcome.kind.value,
        source=report.source,
        mail_id=mail.pk,
        reject_reason=_reject_reason(outcome),
        is_hard=outcome.is_hard,
        status=outcome.status,
        description=outcome.text,
        incoming_id=incoming.pk if incoming else None,
    )


def _reject_reason(outcome: Outcome) -> str:
    """anymail's word for why, from the enhanced status code (RFC 3463)."""
    if outcome.kind == Kind.COMPLAINED:
        return MailEvent.Reject.SPAM
    if outcome.kind == Kind.UNSUBSCRIBED:
        return MailEvent.Reject.UNSUBSCRIBED
    if outcome.kind != Kind.BOUNCED:
        return ""
    if outcome.is_hard:
        return MailEvent.Reject.INVALID
    subject = outcome.status.partition(".")[2]
    if outcome.status.startswith("4") or subject.startswith("4.7"):
        return MailEvent.Reject.TIMED_OUT
    return MailEvent.Reject.BLOCKED if subject.startswith("7.") else MailEvent.Reject.BOUNCED
