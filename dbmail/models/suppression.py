"""Addresses that get no (or not every) mail, and why."""

import re

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

#: How the line begins that says who lifted an entry, and why; it outlasts the next entry for the address.
LIFTED = "Lifted "
_LIFTED = re.compile(rf"^{LIFTED}(?P<day>[\d-]{{10}})(?: by (?P<by>.*?))?: (?P<why>.*)$", re.MULTILINE)


class Suppression(models.Model):
    """One address that is left out of one scope of mail. An account is never touched by it."""

    ALL = "all"

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", _("the person unsubscribed")
        BOUNCED = "bounced", _("mail to it came back")
        COMPLAINED = "complained", _("the person called it spam")
        MANUAL = "manual", _("an administrator entered it")

    address = models.CharField(_("address"), max_length=320, help_text=_("Lower-case, the domain in ASCII."))
    scope = models.CharField(max_length=64, default=ALL, help_text=_('"all", or the name of a list or category.'))
    reason = models.CharField(_("reason"), max_length=16, choices=Reason)
    source = models.TextField(
        _("what it rests on"),
        blank=True,
        default="",
        help_text=_("How this is known: the mail server's words, an unsubscribe link, or who entered it."),
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
    def scope_in_words(self) -> str:
        return gettext("all mail") if self.scope == self.ALL else self.scope

    @property
    def source_in_words(self) -> str:
        """`source` for a reader: what dbmail itself wrote into it is translated."""
        return _LIFTED.sub(_lifted_in_words, gettext(self.source))

    @property
    def is_over(self) -> bool:
        """Whether it ended by itself, or was lifted."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def __str__(self) -> str:
        return f"{self.address} ({self.scope_in_words}: {self.get_reason_display()})"

    def save(self, *args: object, **kwargs: object) -> None:
        from ..addresses import normalise

        self.address = normalise(self.address)
        super().save(*args, **kwargs)  # type: ignore[arg-type]


def _lifted_in_words(line: re.Match[str]) -> str:
    if line["by"]:
        return gettext("Lifted on %(day)s by %(by)s: %(why)s") % line.groupdict()
    return gettext("Lifted on %(day)s: %(why)s") % line.groupdict()
