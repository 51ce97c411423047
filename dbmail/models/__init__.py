"""The names that callers import: the tables in the files beside this one, and some functions from other rooms."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .audience import PersistentQueryFilter
from .broadcast import MessageRequest, MessageVars
from .draft import DraftChange
from .events import MailEvent
from .incoming import EmailList, Forward, IncomingMessage, PlainRedirect
from .mail import Attempt, EmailRequest, TextOfEmail
from .operations import DoctorReport, Heartbeat, Preflight, PreflightPiece, RateCount, RelayTrouble
from .suppression import Suppression

if TYPE_CHECKING:
    from ..broadcasts.expire import expire_unsent_emails
    from ..delivery.backends import CustomSMTPBackend
    from ..delivery.send import send_mail
    from ..rendering.variables import ActionHandler

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

#: Names that callers of the reference import from here, and the modules that hold them. These modules import the
#: tables, so they are imported only when a name is asked for (PEP 562).
_ELSEWHERE = {
    "ActionHandler": "dbmail.rendering.variables",
    "CustomSMTPBackend": "dbmail.delivery.backends",
    "expire_unsent_emails": "dbmail.broadcasts.expire",
    "send_mail": "dbmail.delivery.send",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE[name]), name)
