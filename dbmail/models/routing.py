"""Where incoming mail goes: rules by regular expression, and plain redirects."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..addresses import check_address
from ..exceptions import AddressError


class EmailList(models.Model):
    """A rule for incoming mail. The first row, by `seq`, whose handler decides to send wins."""

    class WhoMayPost(models.TextChoices):
        BY_HANDLER = "", _("as its handler says: staff for lists with students, anyone for the others")
        ANYONE = "anyone", _("anyone")
        REGISTERED = "registered", _("registered users")
        MEMBERS = "members", _("the list's members, its teachers and staff")
        STAFF = "staff", _("staff, and the teachers of a class list")
        NOBODY = "nobody", _("nobody: each message waits for a moderator")

    regex = models.CharField(
        _("regular expression"),
        max_length=512,
        help_text=_("Matched against the local part, or local@domain if it contains an @. ^(.*)$ matches everything."),
    )
    seq = models.PositiveIntegerField(
        _("sequence"), blank=True, help_text=_("Smaller is earlier; numbered after the last row if empty.")
    )
    handler = models.CharField(
        _("handler"),
        max_length=128,
        help_text=_("ClassList, SectionList, PlainList, UserEmail, or the dotted path of a class of your own."),
    )
    subject_prefix = models.CharField(_("subject prefix"), max_length=64, blank=True, default="")
    admin_hold = models.BooleanField(
        _("hold"), default=False, help_text=_("Hold each message until a moderator approves it.")
    )
    cc_all = models.BooleanField(
        _("one message to all"), default=False, help_text=_("One message that names everyone, instead of one each.")
    )
    from_email = models.CharField(
        _("From"), max_length=512, blank=True, default="", help_text=_("Stands in From instead of the list.")
    )
    description = models.TextField(_("description"), blank=True, default="")
    who_may_post = models.CharField(
        _("who may post"),
        max_length=16,
        choices=WhoMayPost,
        blank=True,
        default=WhoMayPost.BY_HANDLER,
        help_text=_("A From counts only if our own MTA vouches for it; other mail waits for a moderator."),
    )
    refuse = models.BooleanField(
        _("refuse others"),
        default=False,
        help_text=_("Refuse mail of people who may not post, instead of holding it."),
    )

    class Meta:
        verbose_name = _("rule for incoming mail")
        verbose_name_plural = _("rules for incoming mail")
        ordering = ["seq", "id"]

    def __str__(self) -> str:
        return f"{self.description} ({self.regex})"

    def clean(self) -> None:
        from ..incoming.rows import errors_of

        errors = errors_of(self)
        if errors:
            raise ValidationError(errors)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.seq is None:
            last = EmailList.objects.aggregate(last=models.Max("seq"))["last"]
            self.seq = 0 if last is None else last + 5
        super().save(*args, **kwargs)


class PlainRedirect(models.Model):
    """Forwards one local part to fixed addresses."""

    original = models.CharField(
        _("original"), max_length=512, help_text=_('The local part, for instance "directors".')
    )
    destination = models.TextField(_("destination"), help_text=_("One or more addresses, with commas between them."))

    class Meta:
        verbose_name = _("redirect")
        verbose_name_plural = _("redirects")
        ordering = ["original"]

    def __str__(self) -> str:
        return f"{self.original} -> {self.destination}"

    def destinations(self) -> list[str]:
        return [part.strip() for part in self.destination.split(",") if part.strip()]

    def clean(self) -> None:
        if not self.destinations():
            raise ValidationError({"destination": _("Enter at least one address.")})
        for address in self.destinations():
            try:
                check_address(address)
            except AddressError as error:
                raise ValidationError({"destination": str(error)}) from None
