"""The last pass of the outbox, for whoever watches that there are any."""

from django.db import models


class Heartbeat(models.Model):
    """One row for each host that runs passes, written over at the end of each."""

    host = models.CharField(max_length=255, unique=True)
    at = models.DateTimeField(help_text="When its last pass ended.")
    summary = models.TextField(blank=True, default="")
    trouble = models.TextField(blank=True, default="", help_text="Why that pass could not send everything.")

    class Meta:
        verbose_name = "last pass"
        verbose_name_plural = "last passes"

    def __str__(self) -> str:
        return f"{self.host} {self.at:%Y-%m-%d %H:%M}"
