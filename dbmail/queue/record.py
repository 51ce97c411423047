"""What became of mails that were tried: decided, written down, logged; and rows inserted by hand, which runs for every
mail."""

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from ..broadcasts import mails
from ..conf import config
from ..database import persistently
from ..delivery.smtp import Reply, is_end
from ..models import Attempt, TextOfEmail
from ..models.suppression import Suppression
from ..suppression.entries import suppress as suppress_address
from .apart import apart
from .decide import Fate, RetryDecision, decide
from .lane import Job

log = logging.getLogger(__name__)

#: A line of the log of attempts, in the order of its fields: mail, time, outcome, host, code, text, Message-ID.
AttemptLine = tuple[int, Any, str, str, int | None, str, str]
_ATTEMPT_FIELDS = ("textofemail", "at", "outcome", "host", "code", "text", "message_id")
#: What the log of attempts says of a decision; where the line broke it says so instead.
_OUTCOMES = {
    Fate.SENT: Attempt.Outcome.SENT,
    Fate.RETRY: Attempt.Outcome.DEFERRED,
    Fate.POSTPONE: Attempt.Outcome.DEFERRED,
    Fate.FAIL: Attempt.Outcome.REFUSED,
    Fate.STOP: Attempt.Outcome.DEFERRED,
    Fate.IN_DOUBT: Attempt.Outcome.BROKEN,
}
#: Kinds of fields whose values every database driver takes as they are.
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


def decided(row: TextOfEmail, reply: Reply, *, others_first: bool = False) -> RetryDecision:
    """What follows from `reply` to a mail, with a wait that is its own: a thousand that failed together come back
    one after the other."""
    jitter = random.uniform(0.8, 1.2)  # noqa: S311 - it only spreads the waits
    return decide(reply, row.tries, config(), jitter, others_first=others_first)


def write_down(decisions: Sequence[tuple[Job, RetryDecision]], begun: Sequence[Job], worker: str) -> None:
    """Write down what became of mails that `worker` sent, and which of them may arrive from now on.

    Waits for a database that is away. The end of the next mail is not sent before: one statement if all went well.
    """
    sent = [job.row_id for job, decision in decisions if decision.fate is Fate.SENT]
    others = [(job.row_id, decision) for job, decision in decisions if decision.fate is not Fate.SENT]

    def write() -> None:
        with transaction.atomic() if begun or others else nullcontext():
            if sent and mails.mark_sent(sent) < len(sent):
                log.warning("Of the mails %s, which were sent, some had been deleted meanwhile", sent)
            if begun:
                mails.begin([job.row_id for job in begun])
            for mail_id, decision in others:
                settle(mail_id, decision, worker)

    if decisions or begun:
        persistently(write)


def settle(mail_id: int, decision: RetryDecision, worker: str) -> bool:
    """Obey a decision on a mail that was not sent, if `worker` still holds it; whether it does."""
    if decision.fate is Fate.FAIL:
        return mails.fail(worker, mail_id, decision.reason)
    if decision.fate is Fate.IN_DOUBT:
        return mails.leave_in_doubt(worker, mail_id, decision.reason)
    due_at = timezone.now() + decision.wait
    return mails.try_again(worker, mail_id, decision.reason, due_at, spent=decision.fate is Fate.RETRY)


def attempt(job: Job, decision: RetryDecision, reply: Reply, host: str) -> AttemptLine:
    """The line of the log for one try, not yet saved."""
    text = reply.text if reply.accepted else f"{reply.stage}: {reply.text}"
    outcome = _OUTCOMES[decision.fate]
    if decision.fate is Fate.POSTPONE and is_end(reply):
        outcome = Attempt.Outcome.BROKEN
    return job.row_id, timezone.now(), outcome.value, host[:255], reply.code or None, text, job.mail.message_id


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


def suppress_refused(job: Job, decision: RetryDecision) -> None:
    """Let nothing more go to an address that `decision` says is no good. What goes wrong here is logged."""
    if decision.suppress:
        enter = partial(suppress_address, job.mail.to[0].address, Suppression.Reason.BOUNCED, source=decision.reason)
        apart("Suppressing an address", partial(persistently, enter), None)
