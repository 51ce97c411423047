"""Writing down what became of a mail."""

import logging
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from ..delivery.smtp import Reply
from ..models import Attempt, TextOfEmail
from .lane import Job
from .retry import RetryDecision, Verdict
from .rows import insert_rows

log = logging.getLogger(__name__)
State = TextOfEmail.State
_FREE: dict[str, Any] = {"claimed_by": "", "claimed_until": None}

_OUTCOMES = {
    Verdict.SENT: Attempt.Outcome.SENT,
    Verdict.RETRY: Attempt.Outcome.DEFERRED,
    Verdict.POSTPONE: Attempt.Outcome.DEFERRED,
    Verdict.FAIL: Attempt.Outcome.REFUSED,
    Verdict.STOP: Attempt.Outcome.DEFERRED,
    Verdict.REPEAT: Attempt.Outcome.BROKEN,
    Verdict.IN_DOUBT: Attempt.Outcome.BROKEN,
}


def settle(mail_id: int, decision: RetryDecision, worker: str) -> None:
    """Obey a decision on a mail that was not sent, if `worker` still holds it."""
    row = TextOfEmail.objects.filter(pk=mail_id, state=State.SENDING, claimed_by=worker)
    now = timezone.now()
    if decision.verdict is Verdict.FAIL:
        row.update(state=State.FAILED, sent=now, tries=F("tries") + 1, last_reply=decision.reason, **_FREE)
    elif decision.verdict is Verdict.IN_DOUBT:
        row.update(state=State.IN_DOUBT, sent=now, last_reply=decision.reason, **_FREE)
    else:
        spent = 1 if decision.verdict is Verdict.RETRY else 0
        row.update(
            state=State.QUEUED,
            tries=F("tries") + spent,
            due_at=now + decision.wait,
            begun=False,
            last_reply=decision.reason,
            **_FREE,
        )


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
