"""One mail to one address: the queue, and the audit trail after it."""

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

from .broadcast import MessageRequest


def new_message_id() -> str:
    """A Message-ID (RFC 5322, 3.6.4) without its angle brackets, in the domain that bounces go to."""
    from ..addresses import domain_of, parse_mailbox
    from ..conf import config

    return f"{uuid.uuid4().hex}@{domain_of(parse_mailbox(config().bounces).address)}"


class TextOfEmail(models.Model):
    """A mail with all variables resolved, to one address.

    `sent` is null until the row has left the queue, whether by delivery, failure or expiry: `state` says which.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "queued: waits for its turn, or for its next try"
        SENDING = "sending", "sending: claimed by a worker until its lease ends"
        SENT = "sent", "sent: the relay has taken it"
        FAILED = "failed", "failed: refused for good, or out of tries"
        EXPIRED = "expired", "expired: too old to be of use, never sent"
        SUPPRESSED = "suppressed", "suppressed: the address wants no such mail, never sent"
        CANCELLED = "cancelled", "cancelled: its request was cancelled, never sent"
        IN_DOUBT = "in_doubt", "in doubt: its worker died while sending; it may have arrived"

    messagerequest = models.ForeignKey(MessageRequest, on_delete=models.CASCADE, null=True, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="dbmail_mails",
        help_text="The recipient; the account whose contact this is where it goes to a guardian.",
    )
    send_to = models.CharField(max_length=1024, help_text='"Name" <address>')
    send_from = models.CharField(max_length=1024, help_text='"Name" <address>')
    address = models.CharField(
        max_length=320, editable=False, help_text="The recipient's address, normalised: what suppression looks up."
    )
    copy_key = models.CharField(
        max_length=40,
        editable=False,
        help_text="Tells several mails of one request to one address apart; see the unique constraint.",
    )
    subject = models.TextField(blank=True)
    msgtext = models.TextField("body", blank=True, help_text="Plain text or HTML; cleared by a purge.")
    plaintext = models.TextField("text part", blank=True, default="", help_text="The text beside an HTML body.")
    message_id = models.CharField(
        "Message-ID", max_length=255, default=new_message_id, editable=False, help_text="The same on every try."
    )
    created_at = models.DateTimeField(help_text="When its request was created: expiry counts from here.")
    sent = models.DateTimeField(null=True, blank=True, help_text="When it left the queue.")
    sent_by = models.DateTimeField("not before", null=True, blank=True)
    tries = models.IntegerField(default=0, help_text="Tries that failed.")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    due_at = models.DateTimeField(help_text="When the next try may be made; rows leave in this order.")
    claimed_by = models.CharField(max_length=64, blank=True, default="", help_text="The worker that sends it now.")
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="End of that worker's lease.")
    begun = models.BooleanField(
        default=False, help_text="The claiming worker has started to transmit; after its death the mail is in doubt."
    )
    last_reply = models.TextField(
        blank=True, default="", help_text="The relay's last words, or why there was no mail."
    )

    if TYPE_CHECKING:
        attempt_set: models.Manager["Attempt"]
        messagerequest_id: int | None
        user_id: Any

    class Meta:
        verbose_name = "mail"
        constraints = [
            models.UniqueConstraint(fields=["messagerequest", "address", "copy_key"], name="dbmail_one_copy"),
        ]
        indexes = [
            # The queue: one request's rows in their order. Also counts by state for one request.
            models.Index(fields=["messagerequest", "state", "due_at"], name="dbmail_mail_queue"),
            # Leases that ran out, expiry, purge; a state first, since most rows are in an end state.
            models.Index(fields=["state", "created_at"], name="dbmail_mail_state"),
            # "Why did this address (not) get it?"
            models.Index(fields=["address"], name="dbmail_mail_address"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} <{self.send_to}>"


class EmailRequest(models.Model):
    """Links a broadcast to a recipient and to the mail made for them.

    Several recipients share one mail where accounts of one family share the address and the text is equal.
    """

    target = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="dbmail_emailrequests")
    msgreq = models.ForeignKey(MessageRequest, on_delete=models.CASCADE)
    textofemail = models.ForeignKey(TextOfEmail, on_delete=models.CASCADE, null=True, blank=True)

    class Meta:
        verbose_name = "recipient"
        constraints = [
            models.UniqueConstraint(fields=["msgreq", "target", "textofemail"], name="dbmail_recipient_unique"),
        ]

    def __str__(self) -> str:
        return f"Request {self.msgreq_id} to user {self.target_id}"


class Attempt(models.Model):
    """One try to send a mail, and what the relay said."""

    class Outcome(models.TextChoices):
        SENT = "sent", "taken by the relay"
        DEFERRED = "deferred", "refused for now (4xx)"
        REFUSED = "refused", "refused for good (5xx)"
        BROKEN = "broken", "the connection broke; the try is repeated"

    textofemail = models.ForeignKey(TextOfEmail, on_delete=models.CASCADE)
    at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    host = models.CharField(max_length=255, help_text="The relay, or the mail backend.")
    code = models.PositiveSmallIntegerField(null=True, blank=True, help_text="SMTP reply code (RFC 5321, 4.2).")
    text = models.TextField(blank=True)
    message_id = models.CharField("Message-ID", max_length=255)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.outcome} {self.code or ''}"
