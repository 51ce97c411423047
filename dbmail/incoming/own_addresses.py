"""Addresses that are dbmail's own and stand before every row: the signed return path, and unsubscribe@."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..addresses import domain_of
from ..delivery import return_path
from ..delivery.caps import Excess
from ..exceptions import InvalidToken
from ..feedback import reports
from ..feedback.events import record
from ..feedback.reports import Outcome, Report, parse
from ..models import IncomingMessage, MailEvent, Suppression, TextOfEmail
from ..models.choices import word_of
from ..suppression import tokens
from ..suppression.preferences import stop
from .facts import Envelope, Facts
from .rules import Decision, Verdict

_UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Returned:
    """A message to the signed return path of one of our mails; `report` is None where it cannot be read as one."""

    mail_id: int
    report: Report | None
    #: Why not, where there is more in it than is read.
    excess: str = ""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """A message whose subject is the token of a List-Unsubscribe field."""

    subscription: tokens.Subscription


def own_purpose(envelope: Envelope, facts: Facts, raw: bytes) -> Returned | Unsubscribe | None:
    """What a message for one of these addresses wants; None for any other address, and where the proof is wrong."""
    try:
        if "+" in envelope.local_part:
            mail_id = return_path.read(envelope.recipient)
            try:
                report = parse(raw) or (None if facts.unreadable else reports.parse_odd(raw))
            except Excess as error:
                return Returned(mail_id, None, str(error))
            return Returned(mail_id, report, "" if report else facts.unreadable)
        own_domain = domain_of(return_path.plain())
        if envelope.local_part.lower() == _UNSUBSCRIBE and domain_of(envelope.recipient) == own_domain:
            return Unsubscribe(tokens.read(facts.subject.rpartition(" ")[2]))
    except InvalidToken:
        return None
    return None


def judge(purpose: Returned | Unsubscribe) -> Decision:
    """What happens to such a message. Who wrote it does not matter: the signature in its address or subject does."""
    if isinstance(purpose, Unsubscribe):
        scope = purpose.subscription.scope
        leaves = _("all mail") if scope == Suppression.ALL else scope
        return Decision(Verdict.TAKE, "unsubscribe", _("Unsubscribes from %(scope)s.") % {"scope": leaves})
    if purpose.excess:
        return Decision(Verdict.HOLD, "unreadable", purpose.excess)
    if purpose.report is None:
        unreadable = _("About mail %(number)s, but no report that can be read.") % {"number": purpose.mail_id}
        return Decision(Verdict.DROP, "return-path", unreadable)
    said = ", ".join(f"{_kind(outcome)} {outcome.status}".strip() for outcome in purpose.report.outcomes)
    about = _("About mail %(number)s: %(said)s.") % {"number": purpose.mail_id, "said": said}
    return Decision(Verdict.TAKE, "report", about)


def _kind(outcome: Outcome) -> str:
    """`bounced` and the like, for a reader."""
    return word_of(MailEvent.Type(outcome.kind.value).label)


def carry_out(purpose: Returned | Unsubscribe, incoming: IncomingMessage) -> None:
    """Do what the message wants; a mail that is no longer in the table cannot be noted on."""
    if isinstance(purpose, Unsubscribe):
        address, scope = purpose.subscription
        stop(address, scope, source=_("mail %(number)s to unsubscribe@") % {"number": incoming.pk})
        return
    mail = TextOfEmail.objects.filter(pk=purpose.mail_id).first()
    if mail and purpose.report:
        record(purpose.report, mail, incoming)
