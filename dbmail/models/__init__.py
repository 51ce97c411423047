"""What callers import. Tables live in the files beside this one, verbs in the rooms beside this folder."""

from ..delivery.backends import CustomSMTPBackend
from ..delivery.send import send_mail
from ..outbox.expire import expire_unsent_emails
from ..rendering.context import ActionHandler
from .broadcast import MessageRequest, MessageVars
from .email import Attempt, EmailRequest, TextOfEmail
from .filters import PersistentQueryFilter
from .routing import EmailList, PlainRedirect
from .suppression import Suppression

__all__ = [
    "ActionHandler",
    "Attempt",
    "CustomSMTPBackend",
    "EmailList",
    "EmailRequest",
    "MessageRequest",
    "MessageVars",
    "PersistentQueryFilter",
    "PlainRedirect",
    "Suppression",
    "TextOfEmail",
    "expire_unsent_emails",
    "send_mail",
]
