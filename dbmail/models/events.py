"""What happened to a mail after it left: bounces, complaints, in anymail's vocabulary."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .incoming import IncomingMessage
from .mail import TextOfEmail


class MailEvent(models.Model):
    """One thing that another server, a provider or a reader told us about a mail."""

    class Type(models.TextChoices):
        REJECTED = "rejected", _("rejected: the provider would not send it")
        FAILED = "failed", _("failed: the provider could not send it")
        BOUNCED = "bounced", _("bounced: refused by the recipient's server")
        DEFERRED = "deferred", _("deferred: not delivered yet, still being tried")
        DELIVERED = "delivered", _("delivered: taken by the recipient's server")
        AUTORESPONDED = "autoresponded", _("autoresponded: an automatic reply came")
        COMPLAINED = "complained", _("complained: the reader called it spam")
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed: the reader wants no more of it")
        UNKNOWN = "unknown", _("unknown: something that dbmail has no name for")

    class Reject(models.TextChoices):
        INVALID = "invalid", _("invalid: there is no such address")
        BOUNCED = "bounced", _("bounced: refused, for another reason")
        TIMED_OUT = "timed_out", _("timed out: tried until it was too late")
        BLOCKED = "blocked", _("blocked: refused by a policy")
        SPAM = "spam", _("spam: called so by the reader or a filter")
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
        OTHER = "other", _("other")

    textofemail = models.ForeignKey(
        TextOfEmail, verbose_name=_("mail"), on_delete=models.CASCADE, null=True, blank=True
    )
    address = models.CharField(_("address"), max_length=320, help_text=_("Lower-case, the domain in ASCII."))
    event_type = models.CharField(_("event"), max_length=16, choices=Type)
    reject_reason = models.CharField(_("reject reason"), max_length=16, choices=Reject, blank=True, default="")
    is_hard = models.BooleanField(
        _("for good"),
        default=False,
        help_text=_("The address will not work again, so it is left out of further mail."),
    )
    at = models.DateTimeField(_("time"), default=timezone.now)
    status = models.CharField(
        _("status"), max_length=16, blank=True, default="", help_text=_("Enhanced status code (RFC 3463).")
    )
    description = models.TextField(_("description"), blank=True, default="", help_text=_("The other server's words."))
    source = models.CharField(
        _("source"),
        max_length=16,
        help_text=_("Who told us: dsn (a delivery report), arf (a spam complaint), or the provider's name."),
    )
    incoming = models.ForeignKey(
        IncomingMessage,
        verbose_name=_("report"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        help_text=_("The report itself."),
    )

    event_id = models.CharField(
        max_length=255,
        null=True,
        blank=True,
        unique=True,
        help_text=_(
            "The provider's own number of this event, so that it is kept only once; empty for a report by mail."
        ),
    )
    raw = models.JSONField(null=True, blank=True, help_text=_("All that the provider told us about the event."))

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            # The same report taken in again adds nothing.
            models.UniqueConstraint(fields=["incoming", "address", "event_type"], name="dbmail_event_once"),
        ]
        indexes = [
            models.Index(fields=["address", "at"], name="dbmail_event_address"),
            # The admin's list of one kind, newest first.
            models.Index(fields=["event_type", "id"], name="dbmail_event_type"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.get_event_type_display()} {self.status}"
