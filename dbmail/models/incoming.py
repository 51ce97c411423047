"""Mail that came in, whole, and the copies of it that go out again."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .routing import EmailList


class IncomingMessage(models.Model):
    """One message for one of our addresses: stored before anything is done with it."""

    class State(models.TextChoices):
        RECEIVED = "received", _("received: stored, nothing decided yet; the MTA tries again")
        HANDLED = "handled", _("handled: copies were queued, or it was a report that was taken in")
        HELD = "held", _("held: waits for a moderator")
        REJECTED = "rejected", _("rejected: the MTA was told no")
        DROPPED = "dropped", _("dropped: taken and not passed on (a loop, an automatic reply)")
        FAILED = "failed", _("failed: an error on our side; the MTA tries again")

    #: States in which the message is acted on when it comes again.
    OPEN = (State.RECEIVED, State.FAILED)

    raw = models.BinaryField(help_text=_("The message as it came, byte for byte; emptied by a purge."))
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    sender = models.CharField(
        _("envelope sender"),
        max_length=320,
        blank=True,
        default="",
        help_text=_("Empty for the null sender of a bounce."),
    )
    local_part = models.CharField(_("local part"), max_length=64)
    domain = models.CharField(_("domain"), max_length=255)
    recipient = models.CharField(
        _("recipient"), max_length=320, help_text=_("local@domain from the envelope, normalised.")
    )
    matched = models.CharField(
        _("matched"),
        max_length=320,
        blank=True,
        default="",
        help_text=_("The address that a row took it for: the recipient, without its +tag where only that was known."),
    )
    queue_id = models.CharField(
        _("queue id"), max_length=64, blank=True, default="", help_text=_("The MTA's own name for it.")
    )
    message_id = models.CharField(_("Message-ID"), max_length=255, blank=True, default="")
    content_hash = models.CharField(
        max_length=64, editable=False, help_text=_("SHA-256 of what stays the same when a message comes twice.")
    )
    author = models.CharField(_("From"), max_length=320, blank=True, default="", help_text=_("As it claims to be."))
    subject = models.CharField(_("subject"), max_length=255, blank=True, default="")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RECEIVED)
    decision = models.CharField(
        _("decision"), max_length=32, blank=True, default="", help_text=_("The rule that decided.")
    )
    reason = models.TextField(_("reason"), blank=True, default="", help_text=_("Why, in words."))
    exit_code = models.PositiveSmallIntegerField(
        _("exit code"),
        default=75,
        help_text=_("What the MTA was told (sysexits); told again if the message comes again."),
    )
    emaillist = models.ForeignKey(
        EmailList,
        verbose_name=_("rule"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        help_text=_("The row that took it."),
    )
    moderated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("decided by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="dbmail_moderated",
    )
    moderated_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    if TYPE_CHECKING:
        forward_set: models.Manager["Forward"]
        emaillist_id: int | None

    class Meta:
        verbose_name = _("incoming message")
        verbose_name_plural = _("incoming messages")
        constraints = [
            models.UniqueConstraint(fields=["recipient", "content_hash"], name="dbmail_incoming_once"),
        ]
        indexes = [
            models.Index(fields=["state", "received_at"], name="dbmail_incoming_state"),
            models.Index(fields=["matched", "message_id"], name="dbmail_incoming_message_id"),
        ]
        permissions = [("moderate_incomingmessage", "Can approve and reject held mail")]

    def __str__(self) -> str:
        return gettext("%(subject)s for %(recipient)s") % {"subject": self.subject, "recipient": self.recipient}


class Forward(models.Model):
    """A message as it leaves: this header block, then the stored body. One for a message and a row."""

    SIGNED = ""
    NULL_SENDER = "<>"

    incoming = models.ForeignKey(IncomingMessage, on_delete=models.CASCADE)
    emaillist = models.ForeignKey(EmailList, on_delete=models.SET_NULL, null=True, blank=True)
    headers = models.BinaryField(help_text=_("Every header field and the empty line, with CRLF."))
    sender = models.CharField(
        _("envelope sender"),
        max_length=320,
        blank=True,
        default=SIGNED,
        help_text=_("Empty: each copy gets a signed return path of its own. <>: the null sender."),
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incoming", "emaillist"], name="dbmail_forward_once"),
        ]

    def __str__(self) -> str:
        said = gettext("Forward %(number)s of message %(message)s")
        return said % {"number": self.pk, "message": self.incoming_id}
