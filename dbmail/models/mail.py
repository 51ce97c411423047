"""One mail to one address: the queue, and the audit trail after it."""

import hashlib
import uuid
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..addresses import normalise, parse_mailbox
from ..conf import config
from ..database import wake_workers
from .broadcast import MessageRequest
from .choices import word_of
from .verbs import alters_data


def new_message_id() -> str:
    """A Message-ID (RFC 5322, 3.6.4) without its angle brackets, in the domain that bounces go to."""
    return f"{uuid.uuid4().hex}@{_domain(config().bounces)}"


@lru_cache(maxsize=8)
def _domain(text: str) -> str:
    return parse_mailbox(text).domain


def copy_key(subject: str, body: str) -> str:
    """Equal for equal mails: two accounts at one address get one copy of those."""
    return hashlib.sha1(f"{subject}\0{body}".encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


class TextOfEmailQuerySet(models.QuerySet["TextOfEmail"]):
    @alters_data
    def bulk_create(self, *args: Any, **kwargs: Any) -> Any:
        made = super().bulk_create(*args, **kwargs)
        if made:
            wake_workers(self.db)
        return made


class TextOfEmail(models.Model):
    """A mail with all variables resolved, to one address.

    `sent` is null until the row has left the queue, whether by delivery, failure or expiry: `state` says which.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued: waits for its turn, or for its next try")
        SENDING = "sending", _("sending: a worker is sending it now")
        SENT = "sent", _("sent: the relay has taken it")
        FAILED = "failed", _("failed: refused for good, or out of tries")
        EXPIRED = "expired", _("expired: too old to be of use, never sent")
        SUPPRESSED = "suppressed", _("suppressed: the address is left out of such mail, never sent")
        CANCELLED = "cancelled", _("cancelled: its broadcast was cancelled, never sent")
        IN_DOUBT = "in_doubt", _("in doubt: its worker died while sending; it may have arrived")

    # No index of its own: two below begin with it.
    messagerequest = models.ForeignKey(
        MessageRequest, verbose_name=_("broadcast"), on_delete=models.CASCADE, null=True, blank=True, db_index=False
    )
    # Nor this one: its constraint below begins with it.
    forward = models.ForeignKey(
        "dbmail.Forward",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        editable=False,
        help_text=_("The incoming message that this mail is a copy of."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="dbmail_mails",
        help_text=_(
            "The recipient's account. For mail to a guardian or emergency contact: the account that they belong to."
        ),
    )
    send_to = models.CharField(_("to"), max_length=1024, help_text=_('"Name" <address>'))
    send_from = models.CharField(_("from"), max_length=1024, help_text=_('"Name" <address>'))
    address = models.CharField(
        _("address"),
        max_length=320,
        editable=False,
        help_text=_(
            "The recipient's address, lower-case, the domain in ASCII: so it is looked up among the "
            "addresses left out."
        ),
    )
    copy_key = models.CharField(
        max_length=40,
        editable=False,
        help_text=_("A checksum of subject and body: of equal mails, each address gets only one."),
    )
    scope = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text=_(
            "The category or list that this mail belongs to: addresses that are left out of it do not get the mail."
        ),
    )
    subject = models.TextField(_("subject"), blank=True)
    msgtext = models.TextField(
        _("body"), blank=True, help_text=_("Plain text or HTML; emptied when old mails are cleared away.")
    )
    plaintext = models.TextField(
        _("text part"), blank=True, default="", help_text=_("The plain-text version of an HTML body.")
    )
    message_id = models.CharField(
        _("Message-ID"), max_length=255, default=new_message_id, editable=False, help_text=_("The same on every try.")
    )
    created_at = models.DateTimeField(
        _("created"),
        default=timezone.now,
        help_text=_("When the mail or its broadcast was created. At a certain age it is not sent any more."),
    )
    sent = models.DateTimeField(
        _("left at"), null=True, blank=True, help_text=_("When it was sent or given up; empty while it waits.")
    )
    sent_by = models.DateTimeField(_("not before"), null=True, blank=True)
    tries = models.IntegerField(_("tries"), default=0, help_text=_("How many tries have failed."))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    due_at = models.DateTimeField(
        _("due at"), default=timezone.now, help_text=_("When it may be sent, or tried again; the earliest goes first.")
    )
    claimed_by = models.CharField(
        _("claimed by"), max_length=64, blank=True, default="", help_text=_("The worker that sends it now.")
    )
    claimed_until = models.DateTimeField(
        _("claimed until"), null=True, blank=True, help_text=_("Until this time no other worker takes it over.")
    )
    begun = models.BooleanField(
        _("begun"),
        default=False,
        help_text=_(
            "The worker has begun to hand the mail over. If it dies now, nobody knows whether the mail arrived."
        ),
    )
    last_reply = models.TextField(
        _("last reply"), blank=True, default="", help_text=_("What the relay said last, or why the mail was not sent.")
    )

    objects = TextOfEmailQuerySet.as_manager()

    if TYPE_CHECKING:
        attempt_set: models.Manager["Attempt"]
        messagerequest_id: int | None
        user_id: Any

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        constraints = [
            models.UniqueConstraint(fields=["messagerequest", "address", "copy_key"], name="dbmail_one_copy"),
            models.UniqueConstraint(fields=["forward", "address"], name="dbmail_one_forwarded_copy"),
        ]
        indexes = [
            # The queue: one request's rows in their order. Also counts by state for one request.
            models.Index(fields=["messagerequest", "state", "due_at"], name="dbmail_mail_queue"),
            # Leases that ran out, expiry, purge; a state first, since most rows are in an end state. The key last,
            # since all mails of a broadcast are equally old: the admin's list of one state is in this order.
            models.Index(fields=["state", "created_at", "id"], name="dbmail_mail_by_state"),
            # "Why did this address (not) get it?"
            models.Index(fields=["address"], name="dbmail_mail_address"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} <{self.send_to}>"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Rows made by hand need no more than the reference's fields: the others follow from those."""
        if not self.address and self.send_to:
            self.address = normalise(parse_mailbox(self.send_to).address)
        if not self.copy_key:
            self.copy_key = copy_key(self.subject, self.msgtext)
        super().save(*args, **kwargs)
        if self.state == self.State.QUEUED:
            wake_workers(self._state.db)

    @property
    def state_word(self) -> str:
        """The state without its explanation."""
        return word_of(self.get_state_display())

    @alters_data
    def send(self) -> Exception | None:
        """Send this mail now, whatever its turn; None, or the exception that says why it did not go.

        Only a row that waits is sent: a mail that was sent, is being sent by a worker, is suppressed
        or ended otherwise comes back as a DbmailError and nothing happens.
        """
        from ..queue.one import send_one

        return send_one(self)

    @alters_data
    def fill_msgtext(self) -> None:
        """Render the body again from the request, after a purge cleared it, and save it."""
        from ..broadcasts.expire import fill_msgtext

        fill_msgtext(self)

    @classmethod
    @alters_data
    def expireUnsentEmails(cls, min_tries: int = 0, older_than: timedelta | None = None) -> int:
        """Expire waiting mails older than DBMAIL["EXPIRE_AFTER"] (or `older_than`) that failed at least
        `min_tries` times; their number."""
        from ..broadcasts.expire import expire_mails

        return expire_mails(older_than, min_tries)


class EmailRequest(models.Model):
    """Links a broadcast to a recipient and to the mail made for them.

    Several recipients share one mail where accounts of one family share the address and the text is equal.
    """

    target = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("recipient"),
        on_delete=models.CASCADE,
        related_name="dbmail_emailrequests",
    )
    msgreq = models.ForeignKey(
        MessageRequest, verbose_name=_("broadcast"), on_delete=models.CASCADE, db_index=False
    )  # the constraint has one
    textofemail = models.ForeignKey(
        TextOfEmail, verbose_name=_("mail"), on_delete=models.CASCADE, null=True, blank=True
    )

    class Meta:
        verbose_name = _("recipient")
        verbose_name_plural = _("recipients")
        constraints = [
            models.UniqueConstraint(fields=["msgreq", "target", "textofemail"], name="dbmail_recipient_unique"),
        ]

    def __str__(self) -> str:
        said = gettext("broadcast %(number)s to account %(account)s")
        return said % {"number": self.msgreq_id, "account": self.target_id}


class Attempt(models.Model):
    """One try to send a mail, and what the relay said."""

    class Outcome(models.TextChoices):
        SENT = "sent", _("taken by the relay")
        DEFERRED = "deferred", _("refused for now (4xx)")
        REFUSED = "refused", _("refused for good (5xx)")
        BROKEN = "broken", _("the connection broke; the try is repeated")

    textofemail = models.ForeignKey(TextOfEmail, verbose_name=_("mail"), on_delete=models.CASCADE)
    at = models.DateTimeField(_("time"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome)
    host = models.CharField(_("host"), max_length=255, help_text=_("The relay, or the mail backend."))
    code = models.PositiveSmallIntegerField(
        _("code"), null=True, blank=True, help_text=_("SMTP reply code (RFC 5321, 4.2).")
    )
    text = models.TextField(_("text"), blank=True)
    message_id = models.CharField(_("Message-ID"), max_length=255)

    class Meta:
        verbose_name = _("try")
        verbose_name_plural = _("tries")
        indexes = [
            # The admin's list of one outcome, newest first.
            models.Index(fields=["outcome", "id"], name="dbmail_try_outcome")
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.get_outcome_display()} {self.code or ''}"
