"""Addresses that get no (or not every) mail, and why."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Suppression(models.Model):
    """One address that is left out of one scope of mail. An account is never touched by it."""

    ALL = "all"

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", _("the person unsubscribed")
        BOUNCED = "bounced", _("mail to it was refused for good")
        COMPLAINED = "complained", _("the person called it spam")
        MANUAL = "manual", _("an administrator entered it")

    address = models.CharField(_("address"), max_length=320, help_text=_("Lower-case, the domain in ASCII."))
    scope = models.CharField(max_length=64, default=ALL, help_text='"all", or the name of a list or category.')
    reason = models.CharField(_("reason"), max_length=16, choices=Reason)
    source = models.TextField(
        _("what it rests on"),
        blank=True,
        default="",
        help_text=_("What it rests on: the server's words, a link, a name."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    expires_at = models.DateTimeField(
        _("ends at"), null=True, blank=True, help_text=_("When it ends by itself; never if empty.")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("entered by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="dbmail_suppressions",
    )

    class Meta:
        verbose_name = _("address left out")
        verbose_name_plural = _("addresses left out")
        constraints = [models.UniqueConstraint(fields=["address", "scope"], name="dbmail_suppression_unique")]
        # The admin's list of one reason, newest first.
        indexes = [models.Index(fields=["reason", "id"], name="dbmail_suppression_reason")]

    @property
    def is_over(self) -> bool:
        """Whether it ended by itself, or was lifted."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def __str__(self) -> str:
        return f"{self.address} ({self.scope}: {self.reason})"

    def save(self, *args: object, **kwargs: object) -> None:
        from ..addresses import normalise

        self.address = normalise(self.address)
        super().save(*args, **kwargs)  # type: ignore[arg-type]
