"""The SMTP backend with a return path of its own."""

import copy
from collections.abc import Sequence
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from .wire import Connection, TLSConnection

#: Seconds to wait for a reply where neither EMAIL_TIMEOUT nor MAILERS says: without one a silent relay holds a
#: worker for ever. RFC 5321, 4.5.3.2 would have it wait up to ten minutes at the end of data.
TIMEOUT = 120


class CustomSMTPBackend(EmailBackend):
    """Django's SMTP backend, with an envelope sender (return path) apart from From.

    `return_path`: bare address that bounces go to; without it the message's own `from_email` is used, as in Django.
    The other arguments are those of Django's backend.
    """

    def __init__(self, return_path: str | None = None, **kwargs: Any) -> None:
        # Django 6.1 takes an SMTP backend without `alias` for one that was made by hand, and warns.
        kwargs.setdefault("alias", None)
        super().__init__(**kwargs)
        self.return_path = return_path
        if self.timeout is None:
            self.timeout = TIMEOUT

    @property
    def connection_class(self) -> type[Connection]:
        return TLSConnection if self.use_ssl else Connection

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        return super().send_messages([self._with_return_path(message) for message in email_messages])

    def _with_return_path(self, message: EmailMessage) -> EmailMessage:
        # Django takes the envelope sender from `from_email` and lets a From header stand apart from it.
        if not self.return_path:
            return message
        message = copy.copy(message)
        message.extra_headers = {"From": message.from_email, **message.extra_headers}
        message.from_email = self.return_path
        return message
