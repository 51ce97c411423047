"""What workers share through the database, and the stored results of checks (preflight, doctor)."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .broadcast import MessageRequest


class Heartbeat(models.Model):
    """One row for each host that runs passes: a sign of life, written over while a pass runs and when it ends."""

    host = models.CharField(max_length=255, unique=True)
    at = models.DateTimeField(
        help_text="When this row was last written: every minute while a pass runs, and when it ends."
    )
    summary = models.TextField(blank=True, default="")
    trouble = models.TextField(
        blank=True, default="", help_text="Why the last pass could not send everything; empty if it could."
    )

    class Meta:
        verbose_name = "last pass"
        verbose_name_plural = "last passes"

    def __str__(self) -> str:
        return f"{self.host} {self.at:%Y-%m-%d %H:%M}"


class RateCount(models.Model):
    """How many mails counted under one limit of DBMAIL["RATES"] in one slice of time. Old rows are deleted."""

    key = models.CharField(max_length=330, help_text='"all", "sender:..." or "domain:...".')
    at = models.DateTimeField(help_text="When the slice of time begins in which these mails went.")
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "at"], name="dbmail_rate_count_unique")]

    def __str__(self) -> str:
        return f"{self.count} mails of {self.key} at {self.at}"


class RelayTrouble(models.Model):
    """A relay that took no mail when last tried: the next worker tries it with a single mail first."""

    host = models.CharField(
        max_length=255, unique=True, help_text="The relay's name, as it stands in the tries of mails."
    )
    since = models.DateTimeField(default=timezone.now)
    reason = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "relay troubles"

    def __str__(self) -> str:
        return f"{self.host}: {self.reason}"


class Preflight(models.Model):
    """The check of one draft for everybody it would go to. It starts again when the draft changes."""

    messagerequest = models.OneToOneField(MessageRequest, on_delete=models.CASCADE, related_name="preflight")
    fingerprint = models.CharField(
        max_length=64,
        help_text="A fingerprint of the text and audience that are checked: with another one, the check begins anew.",
    )
    seen = models.JSONField(
        default=dict,
        help_text="What has been counted so far. It names people by their primary keys, never by an address.",
    )
    after = models.CharField(
        max_length=255, blank=True, default="", help_text="The last person who was checked, as JSON."
    )
    asked_at = models.DateTimeField(
        default=timezone.now,
        help_text="When an open page last continued the check. While one does, passes leave it alone.",
    )
    finished_at = models.DateTimeField(null=True, help_text="When everybody had been checked; empty until then.")

    if TYPE_CHECKING:
        messagerequest_id: int
        preflightpiece_set: models.Manager["PreflightPiece"]

    class Meta:
        verbose_name = _("check of everyone")
        verbose_name_plural = _("checks of everyone")
        default_permissions = ()
        # Every pass looks for unfinished checks by these fields.
        indexes = [models.Index(fields=["finished_at", "asked_at"], name="dbmail_preflight_open")]

    def __str__(self) -> str:
        return _("Check of broadcast %(number)s") % {"number": self.messagerequest_id}


class PreflightPiece(models.Model):
    """The mails of some of the people, as keys that tell equal ones and nothing else: eight bytes each.

    They are kept until everybody has been checked, so that the distinct ones can be counted.
    """

    preflight = models.ForeignKey(Preflight, on_delete=models.CASCADE)
    self_keys = models.BinaryField()
    guardian_keys = models.BinaryField()
    emergency_keys = models.BinaryField()
    suppressed_keys = models.BinaryField()
    links = models.JSONField(
        default=dict, help_text="For each send-to function, how many addresses it reaches among these people."
    )

    class Meta:
        verbose_name = _("piece of a check")
        verbose_name_plural = _("pieces of a check")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class DoctorReport(models.Model):
    """The last examination by dbmail_doctor that was kept: one row, overwritten each time."""

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
