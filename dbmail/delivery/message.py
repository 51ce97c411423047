"""One mail, before it is MIME: as bytes for SMTP, and as a Django message for every other backend."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import format_datetime, make_msgid
from functools import lru_cache
from typing import Any

from django.core.mail import EmailMessage, EmailMultiAlternatives

from ..addresses import Mailbox, format_mailbox, wire_address
from ..rendering.text import is_html, text_from_html
from . import dkim, mime


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


@dataclass(frozen=True, slots=True)
class WireMail:
    """What the relay is told (RFC 5321): who gets the bounce, who gets the mail, and the bytes with CRLF."""

    return_path: str
    recipients: tuple[str, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `plaintext` is the text part beside an HTML body, made from it where it is empty."""

    subject: str
    body: str
    sender: Mailbox
    to: tuple[Mailbox, ...]
    return_path: str
    message_id: str = ""
    plaintext: str = ""
    bcc: tuple[Mailbox, ...] = ()
    #: What other mails carry too, and what is this mail's alone.
    headers: Mapping[str, str] = field(default_factory=dict)
    own_headers: Mapping[str, str] = field(default_factory=dict)

    def _own_fields(self) -> dict[str, str]:
        return {
            "Date": _date(int(time.time())),
            "Message-ID": f"<{self.message_id}>" if self.message_id else make_msgid(domain=self.sender.domain),
            **self.own_headers,
        }

    def for_smtp(self) -> WireMail:
        """The mail for SMTP: header fields that others share are encoded once, the rest by hand."""
        to = ",\r\n ".join(map(mime.encode_mailbox, self.to)) or "undisclosed-recipients:;"
        own = [f"To: {to}\r\n", f"Subject: {mime.encode_text(self.subject, 9)}\r\n"]
        own += [mime.encode_field(name, value) for name, value in self._own_fields().items()]
        shared = mime.encode_fields((("From", str(self.sender)), *self.headers.items(), ("MIME-Version", "1.0")))
        if is_html(self.body):
            # The Message-ID is a random number that nobody who wrote the body knew.
            boundary = f"=_{self.message_id.partition('@')[0][:40] or secrets.token_hex(16)}"
            text = self.plaintext or text_from_html(self.body)
            entity = mime.alternatives(boundary, text, self.body)
        else:
            entity = mime.text_entity("plain", self.body)
        return WireMail(
            wire_address(self.return_path),
            tuple(wire_address(box.address) for box in (*self.to, *self.bcc)),
            dkim.signed("".join((*own, shared)).encode("utf-8", "replace") + entity, self.sender.domain),
        )

    def email_message(self) -> EmailMultiAlternatives:
        """The mail for any Django backend: `from_email` is the envelope sender, the From header the author."""
        html = is_html(self.body)
        message = EmailMultiAlternatives(
            self.subject,
            (self.plaintext or text_from_html(self.body)) if html else self.body,
            from_email=self.return_path,
            to=[format_mailbox(*box) for box in self.to],
            bcc=[format_mailbox(*box) for box in self.bcc],
            headers={"From": str(self.sender), **self._own_fields(), **self.headers},
        )
        # What anymail's backends hand to the provider, and get back with each event; others do not look at it.
        if self.message_id:
            message.metadata = {"dbmail": self.message_id}  # type: ignore[attr-defined]
        if html:
            message.attach_alternative(self.body, "text/html")
        return message


@dataclass(frozen=True, slots=True)
class RawMail:
    """A mail that is bytes already, with CRLF: passed on as it is, so that its signatures stay good.

    `data` is shared by the copies of a message and may be big; `own_headers` are this copy's alone, and stand
    after its other fields. The two are only put together when the copy leaves.
    """

    data: bytes
    to: tuple[Mailbox, ...]
    return_path: str  # "" is the null sender
    message_id: str
    own_headers: Mapping[str, str] = field(default_factory=dict)
    #: The domain of its From where that is ours to sign for (RFC 6376); "" for another's mail.
    author_domain: str = ""

    def for_smtp(self) -> WireMail:
        data = self._data()
        return WireMail(
            wire_address(self.return_path) if self.return_path else "",
            tuple(wire_address(box.address) for box in self.to),
            dkim.signed(data, self.author_domain) if self.author_domain else data,
        )

    def _data(self) -> bytes:
        if not self.own_headers:
            return self.data
        own = "".join(mime.encode_field(name, value) for name, value in self.own_headers.items())
        end = self.data.index(b"\r\n\r\n") + 2
        whole = memoryview(self.data)
        return b"".join((whole[:end], own.encode("ascii"), whole[end:]))

    def email_message(self) -> EmailMessage:
        """For a backend that wants a class; only SMTP passes the bytes on unchanged."""
        message = _RawEmailMessage(from_email=self.return_path or "<>", to=[box.address for box in self.to])
        message.data = self._data()
        return message


class _RawEmailMessage(EmailMessage):
    data: bytes

    def message(self, **options: Any) -> Any:
        return message_from_bytes(self.data, policy=policy.SMTP)
