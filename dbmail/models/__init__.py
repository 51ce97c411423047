"""What callers import. Tables live in the files beside this one, verbs in the rooms beside this folder."""

from ..broadcasts.expire import expire_unsent_emails
from ..delivery.backends import CustomSMTPBackend
from ..delivery.send import send_mail
from ..rendering.variables import ActionHandler
from .audience import PersistentQueryFilter
from .broadcast import MessageRequest, MessageVars
from .draft import DraftChange
from .events import MailEvent
from .incoming import EmailList, Forward, IncomingMessage, PlainRedirect
from .mail import Attempt, EmailRequest, TextOfEmail
from .operations import DoctorReport, Heartbeat, Preflight, PreflightPiece, RateCount, RelayTrouble
from .suppression import Suppression

__all__ = [
    "ActionHandler",
    "Attempt",
    "CustomSMTPBackend",
    "DoctorReport",
    "DraftChange",
    "EmailList",
    "EmailRequest",
    "Forward",
    "Heartbeat",
    "IncomingMessage",
    "MailEvent",
    "MessageRequest",
    "MessageVars",
    "PersistentQueryFilter",
    "PlainRedirect",
    "Preflight",
    "PreflightPiece",
    "RateCount",
    "RelayTrouble",
    "Suppression",
    "TextOfEmail",
    "expire_unsent_emails",
    "send_mail",
]
