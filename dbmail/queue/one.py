"""Sending one mail now, whatever its turn."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django.db import Error
from django.utils.translation import gettext as _

from ..blame import in_words
from ..conf import config
from ..delivery.connection import close_smtp, configured_backend, open_smtp, relay_name, speaks_smtp
from ..delivery.message import Mail, RawMail
from ..delivery.smtp import Reply, Stage, transmit
from ..exceptions import DbmailError, MailRefused, RelayUnavailable
from ..models import TextOfEmail
from .claim import Claims
from .compose import CannotBeMade, Composer
from .decide import Fate, RetryDecision
from .lane import Job
from .lanes import backend_reply
from .record import attempt, decided, log_attempts, settle, suppress_refused, write_down
from .worker import identity


def send_one(row: TextOfEmail) -> Exception | None:
    """Send one waiting mail now, whatever its turn; None, or why it did not go. The row is brought up to date."""
    claimed = Claims(identity()).take_one(row.pk)
    error = _send_claimed(claimed) if claimed else None
    with suppress(TextOfEmail.DoesNotExist):  # somebody has deleted it meanwhile
        row.refresh_from_db()
    if not claimed:
        said = _("Mail %(number)s does not wait to be sent: it is %(state)s.")
        return DbmailError(said % {"number": row.pk, "state": row.get_state_display()})
    return error


def _send_claimed(row: TextOfEmail) -> Exception | None:
    backend, worker = configured_backend(), row.claimed_by
    begun = [Stage.DATA]

    def begin(job: Job) -> None:
        """From now on it may arrive."""
        begun.append(Stage.END)
        if config().in_doubt == "hold":
            write_down([], [job], worker)

    try:
        job = Job(row, Composer().mail(row))
        reply = _reply_to(backend, job.mail, partial(begin, job))
    except CannotBeMade as error:
        settle(row.pk, error.decision, worker)
        if error.defect:
            raise error.defect from error.defect.__cause__
        return error.__cause__ if isinstance(error.__cause__, DbmailError) else error
    except RelayUnavailable as error:
        settle(row.pk, RetryDecision(Fate.STOP, str(error)), worker)
        return error
    except DbmailError as error:  # it cannot be signed
        settle(row.pk, RetryDecision(Fate.FAIL, str(error)), worker)
        return error
    except BaseException as error:  # project code, the database, Ctrl-C: what stays claimed waits for hours
        with suppress(Error):
            settle(row.pk, decided(row, Reply(0, in_words(error), begun[-1])), worker)
        raise
    decision = decided(row, reply)
    write_down([(job, decision)], [], worker)
    log_attempts([attempt(job, decision, reply, relay_name(backend))])
    suppress_refused(job, decision)
    return None if decision.fate is Fate.SENT else MailRefused(decision.reason, reply)


def _reply_to(backend: Any, mail: Mail | RawMail, begin: Callable[[], None]) -> Reply:
    if not speaks_smtp(backend):
        begin()
        return backend_reply(backend, mail)
    envelope = mail.for_smtp()
    reply = None
    try:
        reply = transmit(open_smtp(backend), envelope, begin)
        return reply
    finally:
        close_smtp(backend, politely=reply is not None)  # in the middle of a mail a QUIT would be of its text
