"""Writing down what became of a mail; the two statements that run for every mail are written by hand."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from ..broadcasts import mails
from ..delivery.smtp import Reply
from ..models import Attempt, TextOfEmail
from .decide import RetryDecision, Verdict
from .lane import Job

# Kinds of fields whose values every database driver takes as they are.
_AS_THEY_ARE = (models.CharField, models.TextField, models.IntegerField, models.BooleanField)


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert `rows`, each the values of the fields `names` in this order. Every other field must have a value
    of its own in the database, as a primary key has."""
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    prepare = [(index, _preparation(field)) for index, field in enumerate(fields)]
    needed = [(index, function) for index, function in prepare if function]
    values = [list(row) for row in rows]
    for row in values:
        for index, function in needed:
            row[index] = function(row[index])
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places})",  # noqa: S608 - names only
                values,
            )


def _preparation(field: Any) -> Callable[[Any], Any] | None:
    """What makes a value of `field` into one for the database; None if it is one already."""
    if isinstance(field, models.ForeignKey):
        return _preparation(field.target_field)
    if isinstance(field, _AS_THEY_ARE):
        return None
    return lambda value: None if value is None else field.get_db_prep_save(value, connection=connection)


log = logging.getLogger(__name__)
_OUTCOMES = {
    Verdict.SENT: Attempt.Outcome.SENT,
    Verdict.RETRY: Attempt.Outcome.DEFERRED,
    Verdict.POSTPONE: Attempt.Outcome.DEFERRED,
    Verdict.FAIL: Attempt.Outcome.REFUSED,
    Verdict.STOP: Attempt.Outcome.DEFERRED,
    Verdict.REPEAT: Attempt.Outcome.BROKEN,
    Verdict.IN_DOUBT: Attempt.Outcome.BROKEN,
}


def settle(mail_id: int, decision: RetryDecision, worker: str) -> bool:
    """Obey a decision on a mail that was not sent, if `worker` still holds it; whether it does."""
    if decision.verdict is Verdict.FAIL:
        return mails.fail(worker, mail_id, decision.reason)
    if decision.verdict is Verdict.IN_DOUBT:
        return mails.leave_in_doubt(worker, mail_id, decision.reason)
    due_at = timezone.now() + decision.wait
    return mails.try_again(worker, mail_id, decision.reason, due_at, spent=decision.verdict is Verdict.RETRY)


#: A line of the log of attempts, in the order of its fields: mail, time, outcome, host, code, text, Message-ID.
AttemptLine = tuple[int, Any, str, str, int | None, str, str]
_ATTEMPT_FIELDS = ("textofemail", "at", "outcome", "host", "code", "text", "message_id")


def attempt(job: Job, decision: RetryDecision, reply: Reply, host: str) -> AttemptLine:
    """The line of the log for one try, not yet saved."""
    text = reply.text if reply.accepted else f"{reply.stage}: {reply.text}"
    outcome = _OUTCOMES[decision.verdict].value
    return job.row_id, timezone.now(), outcome, host[:255], reply.code or None, text, job.mail.message_id


def log_attempts(lines: list[AttemptLine]) -> None:
    """Save lines of the log, without those whose mail was deleted meanwhile."""
    if not lines:
        return
    there = set(TextOfEmail.objects.filter(pk__in=[line[0] for line in lines]).values_list("pk", flat=True))
    try:
        with transaction.atomic():  # one for all of them: SQLite would make one of each line
            insert_rows(Attempt, _ATTEMPT_FIELDS, [line for line in lines if line[0] in there])
    except IntegrityError:
        log.warning("Attempts are not in the log: their mails were deleted at this very moment")
