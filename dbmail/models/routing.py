"""Where incoming mail goes: rules by regular expression, and plain redirects."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from ..addresses import check_address
from ..exceptions import AddressError


class EmailList(models.Model):
    """A rule for incoming mail. The first row, by `seq`, whose handler decides to send wins."""

    regex = models.CharField(
        "regular expression",
        max_length=512,
        help_text="Matched against the local part, or local@domain if it contains an @. ^(.*)$ matches everything.",
    )
    seq = models.PositiveIntegerField(
        "sequence", blank=True, help_text="Smaller is earlier; numbered after the last row if empty."
    )
    handler = models.CharField(max_length=128)
    subject_prefix = models.CharField(max_length=64, blank=True, default="")
    admin_hold = models.BooleanField(default=False, help_text="Hold each message until a moderator approves it.")
    cc_all = models.BooleanField(default=False, help_text="One message that names everyone, instead of one each.")
    from_email = models.CharField(
        max_length=512, blank=True, default="", help_text="Stands in From instead of the list."
    )
    description = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["seq", "id"]

    def __str__(self) -> str:
        return f"{self.description} ({self.regex})"

    def clean(self) -> None:
        try:
            re.compile(self.regex)
        except re.error as error:
            raise ValidationError({"regex": f"This is not a regular expression: {error}."}) from None

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.seq is None:
            last = EmailList.objects.aggregate(last=models.Max("seq"))["last"]
            self.seq = 0 if last is None else last + 5
        super().save(*args, **kwargs)


class PlainRedirect(models.Model):
    """Forwards one local part to fixed addresses."""

    original = models.CharField(max_length=512, help_text='The local part, for instance "directors".')
    destination = models.TextField(help_text="One or more addresses, with commas between them.")

    class Meta:
        ordering = ["original"]

    def __str__(self) -> str:
        return f"{self.original} -> {self.destination}"

    def destinations(self) -> list[str]:
        return [part.strip() for part in self.destination.split(",") if part.strip()]

    def clean(self) -> None:
        if not self.destinations():
            raise ValidationError({"destination": "Enter at least one address."})
        for address in self.destinations():
            try:
                check_address(address)
            except AddressError as error:
                raise ValidationError({"destination": str(error)}) from None
