"""What the doctor found the last time, for the page that shows it."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class DoctorReport(models.Model):
    """One row, written over by each examination that is kept."""

    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    findings = models.JSONField(default=list, help_text=_("As dbmail_doctor --json prints them."))

    class Meta:
        verbose_name = _("doctor")
        verbose_name_plural = _("doctor")
        default_permissions = ("view",)
        permissions = [("run_doctor", "Can run the doctor")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"
