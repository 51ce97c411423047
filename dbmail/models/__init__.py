"""What callers import. Tables live in the files beside this one, verbs in the rooms beside this folder."""

from .broadcast import MessageRequest, MessageVars
from .email import Attempt, EmailRequest, TextOfEmail
from .filters import PersistentQueryFilter
from .routing import EmailList, PlainRedirect
from .suppression import Suppression

__all__ = [
    "Attempt",
    "EmailList",
    "EmailRequest",
    "MessageRequest",
    "MessageVars",
    "PersistentQueryFilter",
    "PlainRedirect",
    "Suppression",
    "TextOfEmail",
]
