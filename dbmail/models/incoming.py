"""Mail that came in, the copies of it that go out again, and the rows that say where it goes."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..addresses import check_address
from ..exceptions import AddressError


class EmailList(models.Model):
    """A rule for incoming mail. The first row, by `seq`, whose handler decides to send wins."""

    class WhoMayPost(models.TextChoices):
        BY_HANDLER = "", _("as its handler says: staff for lists with students, anyone for the others")
        ANYONE = "anyone", _("anyone")
        REGISTERED = "registered", _("registered users")
        MEMBERS = "members", _("the list's members, its teachers and staff")
        STAFF = "staff", _("staff, and the teachers of a class list")
        NOBODY = "nobody", _("nobody: each message waits for a moderator")

    regex = models.CharField(
        _("regular expression"),
        max_length=512,
        help_text=_(
            "Compared with the part of the address before the @, or with the whole address if the "
            "expression contains an @. ^(.*)$ matches everything."
        ),
    )
    seq = models.PositiveIntegerField(
        _("sequence"),
        blank=True,
        help_text=_("Rules with smaller numbers are tried first. If empty: after the last rule."),
    )
    handler = models.CharField(
        _("handler"),
        max_length=128,
        help_text=_(
            "What finds the recipients: ClassList, SectionList, PlainList, UserEmail, or the dotted path of "
            "a class of your own."
        ),
    )
    subject_prefix = models.CharField(_("subject prefix"), max_length=64, blank=True, default="")
    admin_hold = models.BooleanField(
        _("hold"), default=False, help_text=_("Hold each message until a moderator approves it.")
    )
    cc_all = models.BooleanField(
        _("one message to all"),
        default=False,
        help_text=_("Send one message that names all recipients, instead of one to each."),
    )
    from_email = models.CharField(
        _("From"),
        max_length=512,
        blank=True,
        default="",
        help_text=_("The address that recipients see as From, instead of the list's."),
    )
    description = models.TextField(_("description"), blank=True, default="")
    who_may_post = models.CharField(
        _("who may post"),
        max_length=16,
        choices=WhoMayPost,
        blank=True,
        default=WhoMayPost.BY_HANDLER,
        help_text=_(
            "A sender is believed only if our own mail server confirms the From address; other mail waits "
            "for a moderator."
        ),
    )
    refuse = models.BooleanField(
        _("refuse others"),
        default=False,
        help_text=_("Refuse mail of people who may not post, instead of holding it."),
    )

    class Meta:
        verbose_name = _("rule for incoming mail")
        verbose_name_plural = _("rules for incoming mail")
        ordering = ["seq", "id"]

    def __str__(self) -> str:
        return f"{self.description} ({self.regex})"

    def clean(self) -> None:
        from ..incoming.rows import errors_of

        errors = errors_of(self)
        if errors:
            raise ValidationError(errors)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.seq is None:
            last = EmailList.objects.aggregate(last=models.Max("seq"))["last"]
            self.seq = 0 if last is None else last + 5
        super().save(*args, **kwargs)


class PlainRedirect(models.Model):
    """Forwards one local part to fixed addresses."""

    original = models.CharField(
        _("original"), max_length=512, help_text=_('The part of the address before the @, for instance "directors".')
    )
    destination = models.TextField(_("destination"), help_text=_("One or more addresses, with commas between them."))

    class Meta:
        verbose_name = _("redirect")
        verbose_name_plural = _("redirects")
        ordering = ["original"]

    def __str__(self) -> str:
        return f"{self.original} -> {self.destination}"

    def destinations(self) -> list[str]:
        return [part.strip() for part in self.destination.split(",") if part.strip()]

    def clean(self) -> None:
        if not self.destinations():
            raise ValidationError({"destination": _("Enter at least one address.")})
        for address in self.destinations():
            try:
                check_address(address)
            except AddressError as error:
                raise ValidationError({"destination": str(error)}) from None


class IncomingMessage(models.Model):
    """One message for one of our addresses: stored before anything is done with it."""

    class State(models.TextChoices):
        RECEIVED = "received", _("received: stored, nothing decided yet; the mail server tries again")
        HANDLED = "handled", _("handled: copies of it were queued, or it was a delivery report and was noted")
        HELD = "held", _("held: waits for a moderator")
        REJECTED = "rejected", _("rejected: the mail server was told to refuse it")
        DROPPED = "dropped", _("dropped: accepted but not passed on (a loop, an automatic reply)")
        FAILED = "failed", _("failed: an error on our side; the mail server tries again")

    #: States in which the message is acted on when it comes again.
    OPEN = (State.RECEIVED, State.FAILED)

    raw = models.BinaryField(
        help_text=_("The message as it came, byte for byte; emptied when old messages are cleared away.")
    )
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    sender = models.CharField(
        _("envelope sender"),
        max_length=320,
        blank=True,
        default="",
        help_text=_("The address that bounces go to. Empty if the message is itself a bounce."),
    )
    local_part = models.CharField(_("local part"), max_length=64)
    domain = models.CharField(_("domain"), max_length=255)
    recipient = models.CharField(
        _("recipient"),
        max_length=320,
        help_text=_("The address that the mail server gave it to us for, lower-case, the domain in ASCII."),
    )
    matched = models.CharField(
        _("matched"),
        max_length=320,
        blank=True,
        default="",
        help_text=_(
            "The address that the rule matched: the recipient, without +tag if the rule knows the address only so."
        ),
    )
    queue_id = models.CharField(
        _("queue id"),
        max_length=64,
        blank=True,
        default="",
        help_text=_("The mail server's own number for the message."),
    )
    message_id = models.CharField(_("Message-ID"), max_length=255, blank=True, default="")
    content_hash = models.CharField(
        max_length=64, editable=False, help_text=_("SHA-256 of what stays the same when a message comes twice.")
    )
    author = models.CharField(
        _("From"),
        max_length=320,
        blank=True,
        default="",
        help_text=_("The From address as the message states it; it may be forged."),
    )
    subject = models.CharField(_("subject"), max_length=255, blank=True, default="")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RECEIVED)
    decision = models.CharField(
        _("decision"), max_length=32, blank=True, default="", help_text=_("The rule that decided.")
    )
    reason = models.TextField(_("reason"), blank=True, default="", help_text=_("Why, in words."))
    exit_code = models.PositiveSmallIntegerField(
        _("exit code"),
        default=75,
        help_text=_("The exit code that told the mail server what to do; the same if the message comes again."),
    )
    emaillist = models.ForeignKey(
        EmailList,
        verbose_name=_("rule"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        help_text=_("The rule that took it."),
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
