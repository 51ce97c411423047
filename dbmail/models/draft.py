"""Who changed a draft, and who let it go: four eyes are two people."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .broadcast import MessageRequest


class DraftChange(models.Model):
    """What one person changed in a draft, one row until somebody else changes it; or that it was approved.

    Written by `broadcasts.approval`, which also reads it.
    """

    class Kind(models.TextChoices):
        CHANGED = "changed", _("changed")
        APPROVED = "approved", _("approved")

    messagerequest = models.ForeignKey(
        MessageRequest, verbose_name=_("broadcast"), on_delete=models.CASCADE, related_name="changes"
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CHANGED)
    what = models.CharField(
        max_length=255, blank=True, default="", help_text="The names of the changed fields, with commas between them."
    )

    class Meta:
        verbose_name = _("change of a draft")
        verbose_name_plural = _("changes of drafts")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.messagerequest_id}: {self.get_kind_display()}"
