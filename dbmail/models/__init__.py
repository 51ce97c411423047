"""What callers import. Tables live in the files beside this one, verbs in the rooms beside this folder."""

from ..delivery.backends import CustomSMTPBackend
from ..delivery.send import send_mail
from ..outbox.expire import expire_unsent_emails
from ..rendering.context import ActionHandler
from .broadcast import MessageRequest, MessageVars
from .doctor import DoctorReport
from .email import Attempt, EmailRequest, TextOfEmail
from .events import MailEvent
from .filters import PersistentQueryFilter
from .heartbeat import Heartbeat
from .incoming import Forward, IncomingMessage
from .preflight import Preflight, PreflightPiece
from .routing import EmailList, PlainRedirect
from .suppression import Suppression
from .throttle import RateCount, RelayTrouble

__all__ = [
    "ActionHandler",
    "Attempt",
    "CustomSMTPBackend",
    "DoctorReport",
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
