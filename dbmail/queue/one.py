"""Sending one mail now, whatever its turn."""

from contextlib import suppress
from typing import Any

from django.utils.translation import gettext as _

from ..broadcasts import mails
from ..conf import config
from ..database import persistently
from ..delivery.connection import close_smtp, configured_backend, open_smtp, relay_name, speaks_smtp
from ..delivery.message import Mail, RawMail
from ..delivery.smtp import Reply, transmit
from ..exceptions import DbmailError, MailRefused, RelayUnavailable
from ..models import TextOfEmail
from ..models.suppression import Suppression
from ..suppression.entries import suppress as suppress_address
from .claim import Claims
from .compose import Composer
from .decide import RetryDecision, Verdict, decide
from .lane import Job
from .lanes import backend_reply
from .record import attempt, log_attempts, settle
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
    backend = configured_backend()
    try:
        mail = Composer().mail(row)
        reply = _reply_to(backend, mail)
    except RelayUnavailable as error:
        settle(row.pk, RetryDecision(Verdict.STOP, str(error)), row.claimed_by)
        return error
    except DbmailError as error:
        settle(row.pk, RetryDecision(Verdict.FAIL, str(error)), row.claimed_by)
        return error
    job = Job(row, mail)
    decision = decide(reply, row.tries, config())
    sent = decision.verdict is Verdict.SENT
    persistently(lambda: mails.mark_sent([row.pk]) if sent else settle(row.pk, decision, row.claimed_by))
    log_attempts([attempt(job, decision, reply, relay_name(backend))])
    if decision.suppress:
        suppress_address(row.address, Suppression.Reason.BOUNCED, source=decision.reason)
    return None if sent else MailRefused(decision.reason, reply)


def _reply_to(backend: Any, mail: Mail | RawMail) -> Reply:
    if not speaks_smtp(backend):
        return backend_reply(backend, mail)
    try:
        return transmit(open_smtp(backend), mail.envelope())
    finally:
        close_smtp(backend, politely=True)
