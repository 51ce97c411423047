"""Store what providers and other servers tell about our mail, and suppress the addresses that it shows to be bad."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from ..addresses import normalise
from ..conf import config
from ..models import IncomingMessage, MailEvent, Suppression, TextOfEmail
from ..suppression.entries import NewSuppression, ends_at, suppress_all
from .reports import Kind, Outcome, Report

# Short names for words that this file uses on nearly every line.
Type, Reject, Reason = MailEvent.Type, MailEvent.Reject, Suppression.Reason
#: Events that are stored in one transaction.
CHUNK = 1000
#: Levels of a provider's own JSON that are kept as such; what lies deeper is kept as text.
_DEEPEST = 6
#: Reject reasons that are about the sender or one mail, not about the address.
_NOT_ITS_FAULT = (Reject.BLOCKED, Reject.SPAM, Reject.UNSUBSCRIBED)
#: The suppression's reason for a reject reason; for any other it is BOUNCED.
_REASONS: dict[str, str] = {Reject.SPAM: Reason.COMPLAINED, Reject.UNSUBSCRIBED: Reason.UNSUBSCRIBED}


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event as it came in, in anymail's vocabulary (MailEvent.Type, MailEvent.Reject).

    `event_id`: the source's own unique name for it, so that a replay adds nothing; "" where it has none.
    `mail_id`, or else `message_id` with `address`, tells which mail it is about.
    `one_scope`: an unsubscribe from the mail's category or list only, where the mail is known.
    """

    address: str
    event_type: str
    source: str
    at: datetime | None = None
    event_id: str = ""
    mail_id: int | None = None
    message_id: str = ""
    reject_reason: str = ""
    is_hard: bool = False
    status: str = ""
    description: str = ""
    raw: dict[str, Any] | None = None
    incoming_id: int | None = None
    one_scope: bool = False


def record_events(events: Iterable[NewEvent]) -> list[MailEvent]:
    """Store the events that are not known yet, suppress addresses as they demand, and return the new rows.

    Takes any number of events; only the returned list grows with them. Every `CHUNK` of them is one transaction.
    """
    made: list[MailEvent] = []
    for chunk in _chunks(events):
        made += _record(chunk)
    return made


def count_events(events: Iterable[NewEvent]) -> int:
    """Like `record_events`, but returns only how many events were new, so that memory does not grow."""
    return sum(len(_record(chunk)) for chunk in _chunks(events))


def _chunks(events: Iterable[NewEvent]) -> Iterator[list[NewEvent]]:
    remaining = iter(events)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _record(events: list[NewEvent]) -> list[MailEvent]:
    with transaction.atomic():
        fresh = _without_replays(events)
        mails = _mails(fresh)
        rows = [_row(event, mail.pk) for event, mail in zip(fresh, mails, strict=True)]
        MailEvent.objects.bulk_create(rows, ignore_conflicts=True)
        crowded = _addresses_with_many_soft_bounces(rows)
        found = (
            consequence(event, mail.scope, row.address in crowded)
            for event, mail, row in zip(fresh, mails, rows, strict=True)
        )
        suppress_all(filter(None, found))
    return rows


def consequence(event: NewEvent, scope: str = "", crowded: bool = False) -> NewSuppression | None:
    """What an event means for its address: an entry for the suppression table, or None.

    `scope` is that of the mail, "" if it is not known; `crowded`: whether the address's soft bounces
    have reached the limit of DBMAIL["BOUNCE_REST"].

    | event | entry |
    |-|-|
    | complained | for all mail, at once, until somebody lifts it |
    | unsubscribed | for all mail, or for the mail's category where that is what was left |
    | bounced, the address is no good | for all mail, for DBMAIL["BOUNCE_REST"]["HARD"] |
    | rejected, the provider sends nothing to the address | for all mail, for the provider's reason |
    | bounced otherwise, too often for DBMAIL["BOUNCE_REST"] | for all mail, for its "SOFT" |
    """
    if not event.address:
        return None
    source = " ".join(filter(None, (event.source, event.event_type, event.status, event.description)))
    if event.event_type == Type.COMPLAINED:
        return NewSuppression(event.address, Reason.COMPLAINED, source=source)
    if event.event_type == Type.UNSUBSCRIBED:
        where = scope if event.one_scope and scope else Suppression.ALL
        return NewSuppression(event.address, Reason.UNSUBSCRIBED, where, source)
    if event.event_type in (Type.BOUNCED, Type.REJECTED) and event.is_hard:
        reason = _REASONS.get(event.reject_reason, Reason.BOUNCED)
        return NewSuppression(event.address, reason, source=source, expires_at=ends_at(reason))
    if event.event_type == Type.BOUNCED and crowded and event.reject_reason not in _NOT_ITS_FAULT:
        rest = timezone.now() + config().bounce_rest.soft
        return NewSuppression(event.address, Reason.BOUNCED, source=source, expires_at=rest)
    return None


def _without_replays(events: list[NewEvent]) -> list[NewEvent]:
    named = {event.event_id: event for event in reversed(events) if event.event_id}
    known = set(MailEvent.objects.filter(event_id__in=named).values_list("event_id", flat=True)) if named else set()
    reported = [event.incoming_id for event in events if event.incoming_id]
    told = _reports(reported) if reported else set()
    return [
        event
        for event in events
        if (not event.event_id or (event.event_id not in known and named[event.event_id] is event))
        and (not event.incoming_id or (event.incoming_id, normalise(event.address), event.event_type) not in told)
    ]


def _reports(incoming: list[int]) -> set[tuple[int | None, str, str]]:
    rows = MailEvent.objects.filter(incoming__in=incoming)
    return set(rows.values_list("incoming_id", "address", "event_type"))


class _MailOf(NamedTuple):
    """The mail that an event is about, as far as it is known."""

    pk: int | None = None
    scope: str = ""


def _mails(events: list[NewEvent]) -> list[_MailOf]:
    """For each event, its mail. Two queries at most."""
    by_id: dict[int, _MailOf] = {}
    by_name: dict[tuple[str, str], _MailOf] = {}
    ids = {event.mail_id for event in events if event.mail_id}
    if ids:
        rows = TextOfEmail.objects.filter(pk__in=ids)
        by_id = {pk: _MailOf(pk, scope) for pk, scope in rows.values_list("pk", "scope")}
    named = [event for event in events if event.message_id]
    if named:
        # There is an index on the address; the Message-ID alone would have the whole table read.
        rows = TextOfEmail.objects.filter(
            address__in={normalise(event.address) for event in named},
            message_id__in={event.message_id for event in named},
        )
        for pk, address, name, scope in rows.values_list("pk", "address", "message_id", "scope"):
            by_name[address, name] = _MailOf(pk, scope)
    return [
        by_id.get(event.mail_id or 0) or by_name.get((normalise(event.address), event.message_id), _MailOf())
        for event in events
    ]


def _row(event: NewEvent, mail_id: int | None) -> MailEvent:
    return MailEvent(
        textofemail_id=mail_id,
        address=normalise(event.address)[:320] if event.address else "",
        event_type=event.event_type,
        reject_reason=event.reject_reason,
        is_hard=event.is_hard,
        at=event.at or timezone.now(),
        status=event.status[:16],
        description=_storable(event.description[:2000]),
        source=event.source[:16],
        incoming_id=event.incoming_id,
        event_id=event.event_id[:255] or None,
        raw=_storable(event.raw),
    )


def _storable(value: Any, depth: int = 0) -> Any:
    """`value` as JSON that every database takes: without NUL, lone surrogates, infinity, NaN or deep nesting."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict) and depth < _DEEPEST:
        return {_storable(str(key)): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [_storable(item, depth + 1) for item in value]
    return _storable(str(value)[:200])


def _addresses_with_many_soft_bounces(rows: list[MailEvent]) -> set[str]:
    """Those addresses in `rows` whose soft bounces, these rows included, have reached the limit."""
    bounced = {row.address for row in rows if row.event_type == Type.BOUNCED and not row.is_hard}
    if not bounced:
        return set()
    recent = MailEvent.objects.filter(
        address__in=bounced,
        event_type=Type.BOUNCED,
        is_hard=False,
        at__gte=timezone.now() - config().bounce_rest.soft_within,
    ).exclude(reject_reason__in=_NOT_ITS_FAULT)
    limit = config().bounce_rest.soft_bounces
    counted = recent.values("address").annotate(number=Count("pk")).filter(number__gte=limit)
    return set(counted.values_list("address", flat=True))


def record(report: Report, mail: TextOfEmail, incoming: IncomingMessage | None = None) -> list[MailEvent]:
    """Store what `report` says about `mail`. The caller has proved that the report is about this mail.

    A mail has one recipient. If the report only has outcomes for other addresses, the recipient forwards there:
    the first of them counts for the recipient too, but never as hard. The same report again changes nothing.
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
