"""The look over a draft's whole audience before it is sent: how far it is, and what it has seen."""

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .broadcast import MessageRequest


class Preflight(models.Model):
    """One draft's look over everybody it would go to. It begins anew when the draft changes."""

    messagerequest = models.OneToOneField(MessageRequest, on_delete=models.CASCADE, related_name="preflight")
    fingerprint = models.CharField(max_length=64, help_text="Of the text and the audience that it looks at.")
    seen = models.JSONField(default=dict, help_text="The sums so far; people by their keys, no address.")
    after = models.CharField(
        max_length=255, blank=True, default="", help_text="The last person that was looked at, as JSON."
    )
    asked_at = models.DateTimeField(
        default=timezone.now, help_text="When a page last took it further: while one does, passes leave it alone."
    )
    finished_at = models.DateTimeField(null=True, help_text="When everybody had been looked at.")

    if TYPE_CHECKING:
        messagerequest_id: int
        preflightpiece_set: models.Manager["PreflightPiece"]

    class Meta:
        verbose_name = _("check of everyone")
        verbose_name_plural = _("checks of everyone")
        default_permissions = ()
        # What a pass takes further: few rows, each looked at by every pass.
        indexes = [models.Index(fields=["finished_at", "asked_at"], name="dbmail_preflight_open")]

    def __str__(self) -> str:
        return _("Check of broadcast %(number)s") % {"number": self.messagerequest_id}


class PreflightPiece(models.Model):
    """The mails of some of the people, as keys that tell equal ones and nothing else: eight bytes each.

    They are there until all people have been looked at and the different ones can be counted.
    """

    preflight = models.ForeignKey(Preflight, on_delete=models.CASCADE)
    self_keys = models.BinaryField()
    guardian_keys = models.BinaryField()
    emergency_keys = models.BinaryField()
    suppressed_keys = models.BinaryField()
    links = models.JSONField(default=dict, help_text="By send-to function, how many keys its people have.")

    class Meta:
        verbose_name = _("piece of a check")
        verbose_name_plural = _("pieces of a check")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)
