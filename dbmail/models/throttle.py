"""What all workers of one database know together of their speed and of the relay."""

from django.db import models
from django.utils import timezone


class RateCount(models.Model):
    """How many mails went under one limit of DBMAIL["RATES"] in one slice of time. Old rows are deleted."""

    key = models.CharField(max_length=330, help_text='"all", "sender:..." or "domain:...".')
    at = models.DateTimeField(help_text="The beginning of the slice.")
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "at"], name="dbmail_rate_count_unique")]

    def __str__(self) -> str:
        return f"{self.count} mails of {self.key} at {self.at}"


class RelayTrouble(models.Model):
    """A relay that took nothing when it was last asked: whoever comes next tries it with one mail."""

    host = models.CharField(max_length=255, unique=True, help_text="The relay, as in the log of attempts.")
    since = models.DateTimeField(default=timezone.now)
    reason = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "relay troubles"

    def __str__(self) -> str:
        return f"{self.host}: {self.reason}"
