"""A broadcast: what is sent, to whom, in whose name, and how far it has come."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..conf import category_choices, layout_choices
from ..database import wake_workers
from ..exceptions import DbmailError
from .audience import PersistentQueryFilter
from .verbs import alters_data


class MessageRequestQuerySet(models.QuerySet["MessageRequest"]):
    def due(self) -> "MessageRequestQuerySet":
        """Requests that a pass has to turn into mail now: unprocessed, `processed_by` reached, `not_after` not."""
        now = timezone.now()
        return self.filter(
            Q(processed_by__isnull=True) | Q(processed_by__lte=now),
            Q(not_after__isnull=True) | Q(not_after__gt=now),
            processed=False,
            state__in=[MessageRequest.State.SCHEDULED, MessageRequest.State.PROCESSING],
        )


class MessageRequest(models.Model):
    """A request to broadcast one message to the users that a stored query finds."""

    SEND_TO_SELF = ""
    SEND_TO_SELF_REAL = "send_to_self"
    SEND_TO_GUARDIAN = "send_to_guardian"
    SEND_TO_EMERGENCY = "send_to_emergency"
    SEND_TO_SELF_AND_GUARDIAN = "send_to_self_and_guardian"
    SEND_TO_SELF_AND_EMERGENCY = "send_to_self_and_emergency"
    SEND_TO_GUARDIAN_AND_EMERGENCY = "send_to_guardian_and_emergency"
    SEND_TO_SELF_AND_GUARDIAN_AND_EMERGENCY = "send_to_self_and_guardian_and_emergency"
    SENDTO_FN_CHOICES = (
        (SEND_TO_SELF, _("send to user")),
        (SEND_TO_GUARDIAN, _("send to guardian")),
        (SEND_TO_EMERGENCY, _("send to emergency contact")),
        (SEND_TO_SELF_AND_GUARDIAN, _("send to user and guardian")),
        (SEND_TO_SELF_AND_EMERGENCY, _("send to user and emergency contact")),
        (SEND_TO_GUARDIAN_AND_EMERGENCY, _("send to guardian and emergency contact")),
        (SEND_TO_SELF_AND_GUARDIAN_AND_EMERGENCY, _("send to user and guardian and emergency contact")),
    )

    class State(models.TextChoices):
        DRAFT = "draft", _("draft: still being written, nothing is sent")
        SCHEDULED = "scheduled", _("scheduled: waits for its time, then sending begins")
        PROCESSING = "processing", _("processing: the mail for each recipient is being made")
        SENDING = "sending", _("sending: all mails are made, some still wait to leave")
        PAUSED = "paused", _("paused: nothing is sent until somebody resumes it")
        DONE = "done", _("done: no mail is waiting")
        CANCELLED = "cancelled", _("cancelled: mails that had not left were not sent")
        FAILED = "failed", _("failed: its mails could not be made, the reason says why")

    subject = models.TextField(
        null=True,
        blank=True,
        help_text=_("One line. It may contain variables, for instance: Welcome to {{ program.niceName }}!"),
    )
    msgtext = models.TextField(
        _("body"),
        null=True,
        blank=True,
        help_text=_(
            "The text of the mail. It may contain variables. A text with an <html> tag is sent as HTML, "
            "together with a plain-text version."
        ),
    )
    special_headers = models.TextField(
        null=True, blank=True, help_text=_('More header fields as JSON, for instance {"Reply-To": "us@example.org"}.')
    )
    recipients = models.ForeignKey(
        PersistentQueryFilter, on_delete=models.PROTECT, help_text=_("The audience: the users who get this broadcast.")
    )
    sendto_fn_name = models.CharField(
        _("send to"),
        max_length=128,
        choices=SENDTO_FN_CHOICES,
        default=SEND_TO_SELF,
        blank=True,
        help_text=_("Which addresses of each user get the message."),
    )
    sender = models.TextField(
        null=True,
        blank=True,
        help_text=_(
            'The name and address that recipients see as From, for instance "Directors" '
            "<directors@example.org>. If empty: the creator's own."
        ),
    )
    creator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="dbmail_requests",
        help_text=_("Who answers for this broadcast and gets its failure reports."),
    )
    created_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text=_(
            "When it was created. A broadcast or mail that has not been sent at a certain age (usually one "
            "week) expires."
        ),
    )
    processed = models.BooleanField(
        default=False, editable=False, help_text=_("The mails for all recipients have been made.")
    )
    processed_by = models.DateTimeField(
        _("not before"),
        null=True,
        blank=True,
        help_text=_("Sending begins soon after this time; at once if empty."),
    )
    not_after = models.DateTimeField(
        _("not after"),
        null=True,
        blank=True,
        help_text=_("Mails that have not left by this time are not sent any more."),
    )
    priority_level = models.IntegerField(
        _("priority"), null=True, blank=True, help_text=_("Higher leaves first; empty counts as 0.")
    )
    category = models.CharField(
        max_length=64,
        choices=category_choices,
        blank=True,
        default="",
        help_text=_("What kind of mail this is: people can leave one category and stay in the others."),
    )
    layout = models.CharField(
        max_length=64,
        choices=layout_choices,
        blank=True,
        default="",
        help_text=_("The layout to put around the body. With a layout, write only the inner HTML, no <html> tag."),
    )
    public = models.BooleanField(
        default=False,
        help_text=_("Anyone may read the subject and body at /email/<id>, without any recipient's data."),
    )
    state = models.CharField(max_length=16, choices=State, default=State.SCHEDULED, editable=False)
    state_reason = models.TextField(blank=True, default="", editable=False)
    reason_is_open = models.BooleanField(
        default=False,
        editable=False,
        help_text=_(
            "The reason contains nobody's personal data, so that everyone who may see this broadcast may read it."
        ),
    )
    approved_version = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text=_("A fingerprint of the broadcast as it was approved, so that later changes are noticed."),
    )
    progress = models.JSONField(
        default=dict,
        editable=False,
        help_text=_("What has been counted so far: recipients, mails, and recipients without a usable address."),
    )
    cursor = models.CharField(
        max_length=255,
        blank=True,
        default="",
        editable=False,
        help_text=_("The last recipient whose mails have been made, as JSON."),
    )
    accepted = models.PositiveIntegerField(
        default=0,
        editable=False,
        help_text=_("How many mails the relay has taken since the broadcast began or was last resumed."),
    )
    refused = models.PositiveIntegerField(
        default=0,
        editable=False,
        help_text=_("How many mails were refused for good since the broadcast began or was last resumed."),
    )
    canary_left = models.PositiveIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("How many of the first mails may still leave before the others have to wait."),
    )
    canary_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("Until when the other mails wait, to see what becomes of the first ones."),
    )
    taken_up = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text=_("How often a worker has started on it since it last made progress.")
    )
    claimed_by = models.CharField(
        max_length=64, blank=True, default="", editable=False, help_text=_("The worker that is making its mails now.")
    )
    claimed_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("Until this time no other worker takes it over.")
    )

    objects = MessageRequestQuerySet.as_manager()

    if TYPE_CHECKING:
        messagevars_set: models.Manager["MessageVars"]
        textofemail_set: models.Manager[Any]

    class Meta:
        verbose_name = _("broadcast")
        verbose_name_plural = _("broadcasts")
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "processed_by"], name="dbmail_request_state")]
        permissions = [
            ("approve_messagerequest", "Can approve and send broadcasts"),
            ("view_recipients", "Can see recipients' addresses and mails"),
        ]

    def __str__(self) -> str:
        return self.subject or gettext("Broadcast %(number)s") % {"number": self.pk}

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        if self.state == self.State.SCHEDULED:
            wake_workers(self._state.db)

    def clean(self) -> None:
        """Check all that can be known before anything is rendered; ValidationError by field."""
        from ..broadcasts.validate import request_errors

        errors = request_errors(self)
        errors.pop("category", None)  # the field's own choices say so
        if errors:
            raise ValidationError(errors)

    @property
    def special_headers_dict(self) -> dict[str, str]:
        """The special headers as a dict; assigning one stores it as JSON (save the request after)."""
        if not self.special_headers:
            return {}
        try:
            stored = json.loads(self.special_headers)
        except ValueError as error:
            said = gettext("The special headers of request %(number)s are not JSON: %(error)s")
            raise DbmailError(said % {"number": self.pk, "error": error}) from error
        if not isinstance(stored, dict):
            said = gettext("The special headers of request %(number)s are not a JSON object.")
            raise DbmailError(said % {"number": self.pk})
        return stored

    @special_headers_dict.setter
    def special_headers_dict(self, value: dict[str, str]) -> None:
        if not isinstance(value, dict):
            raise TypeError("special_headers_dict must be a dict of header names and values.")
        self.special_headers = json.dumps(value)

    @staticmethod
    @alters_data
    def createRequest(var_dict: dict[str, Any] | None = None, **fields: Any) -> "MessageRequest":
        """Save a request with its variables in one transaction.

        `var_dict` maps a name in the templates to a saved model instance or plain JSON data.
        Raises UnstorableVariable (a TypeError) for anything else, and saves nothing then.
        """
        with transaction.atomic():
            request = MessageRequest(**fields)
            request.save()
            MessageVars.createMessageVars(request, var_dict or {})
        return request

    @classmethod
    def is_sendto_fn_name_choice(cls, sendto_fn_name: str) -> bool:
        return sendto_fn_name == cls.SEND_TO_SELF_REAL or sendto_fn_name in dict(cls.SENDTO_FN_CHOICES)

    @classmethod
    def get_sendto_fn_callable(cls, sendto_fn_name: str) -> Callable[[Any], list[tuple[str, str]]]:
        """The function user -> [(address, name), ...] of this name. Raises UnknownSendTo."""
        from ..audience.sendto import send_to_function

        return send_to_function(sendto_fn_name)

    def parseSmartText(self, text: str, user: Any) -> str:
        """`text` as a template of this request, rendered for `user` (escaped if it is HTML)."""
        from ..rendering.message import parse_smart_text

        return parse_smart_text(self, text, user)

    @alters_data
    def process(self) -> int:
        """Turn the recipients into mails in the queue; the number made. Safe to repeat after a crash.

        Raises DbmailError after it has marked this request as failed, with the reason.
        """
        from ..queue.process import process_request

        return process_request(self)

    @alters_data
    def pause(self) -> bool:
        """Stop processing and sending within one batch; False if it is not under way."""
        from ..broadcasts.control import pause

        return pause(self)

    @alters_data
    def resume(self) -> bool:
        """Go on after a pause; False if it was not paused."""
        from ..broadcasts.control import resume

        return resume(self)

    @alters_data
    def cancel(self) -> bool:
        """Drop whatever has not left yet, for good; False if it had ended already."""
        from ..broadcasts.control import cancel

        return cancel(self)

    def reason_for(self, may_see_recipients: bool) -> str:
        """Why it is in this state, in full only for who may see recipients: an error may quote a person's data."""
        if not self.state_reason or self.reason_is_open or may_see_recipients:
            return self.state_reason
        return gettext(
            "The text fails or is empty for a recipient, or something else went wrong that depends on one. "
            "Who may see recipients sees the reason in the admin."
        )

    def get_absolute_url(self) -> str:
        from django.urls import reverse

        return reverse("dbmail:public", args=[self.pk])

    def public_url(self) -> str:
        """The address of the public page, with the site in front where it is known."""
        from ..conf import site_url

        return site_url() + self.get_absolute_url()

    def get_msg_vars(self, user: Any, key: str) -> Any:
        """What templates may know of their own request: `{{ request.subject }}`, `{{ request.public_url }}`."""
        if key == "public_url":
            return self.public_url()
        if key in ("id", "pk", "subject", "public", "created_at"):
            return getattr(self, key)
        return ""


class MessageVars(models.Model):
    """One variable of a request: a reference to a model instance, or plain data. Never a pickle."""

    messagerequest = models.ForeignKey(
        MessageRequest, verbose_name=_("broadcast"), on_delete=models.CASCADE, db_index=False
    )  # see the constraint
    provider_name = models.CharField(_("name"), max_length=128)
    provider = models.JSONField(_("value"), help_text=_('{"model": "app.Model", "pk": ...} or {"value": ...}'))

    class Meta:
        verbose_name = _("message variable")
        verbose_name_plural = _("message variables")
        constraints = [
            models.UniqueConstraint(fields=["messagerequest", "provider_name"], name="dbmail_variable_unique"),
        ]

    def __str__(self) -> str:
        said = gettext("%(name)s of broadcast %(number)s")
        return said % {"name": self.provider_name, "number": self.messagerequest_id}

    @staticmethod
    @alters_data
    def createMessageVars(msgrequest: MessageRequest, var_dict: dict[str, Any]) -> None:
        """Store every variable of `var_dict`. Raises UnstorableVariable that names the first that cannot be."""
        from ..rendering.variables import store_variables

        store_variables(msgrequest, var_dict)

    @staticmethod
    @alters_data
    def createVar(msgrequest: MessageRequest, name: str, obj: Any) -> "MessageVars":
        """Store one variable. Raises UnstorableVariable."""
        from ..rendering.variables import store_variables

        return store_variables(msgrequest, {name: obj})[0]

    @staticmethod
    def getContext(msgrequest: MessageRequest, user: Any) -> Any:
        """The template context of a request for one recipient. Raises MissingVariable."""
        from ..rendering.variables import request_context

        return request_context(msgrequest, user)
