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
        """Requests that a pass has to turn into mail now: not processed, neither `processed_by` later nor `not_after`
        over."""
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
        DRAFT = "draft", _("draft: still being written, nothing happens")
        SCHEDULED = "scheduled", _("scheduled: the next pass after its time takes it up")
        PROCESSING = "processing", _("processing: recipients are being turned into mails")
        SENDING = "sending", _("sending: every mail is in the queue, some have not left it")
        PAUSED = "paused", _("paused: nothing is processed or sent until it is resumed")
        DONE = "done", _("done: no mail is waiting")
        CANCELLED = "cancelled", _("cancelled: what had not left was dropped")
        FAILED = "failed", _("failed: it could not be processed, the reason says why")

    subject = models.TextField(
        null=True,
        blank=True,
        help_text=_("A Django template on one line, for instance Welcome to {{ program.niceName }}!"),
    )
    msgtext = models.TextField(
        _("body"),
        null=True,
        blank=True,
        help_text=_("A Django template. A body with an <html> tag is sent as HTML with a text part beside it."),
    )
    special_headers = models.TextField(
        null=True, blank=True, help_text=_('More header fields as JSON, for instance {"Reply-To": "us@example.org"}.')
    )
    recipients = models.ForeignKey(
        PersistentQueryFilter, on_delete=models.PROTECT, help_text=_("The stored query that finds the users.")
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
        help_text=_('From, for instance "Directors" <directors@example.org>; the creator\'s own address if empty.'),
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
        help_text=_("Unprocessed requests and unsent mails expire when they are too old (one week)."),
    )
    processed = models.BooleanField(
        default=False, editable=False, help_text=_("Every recipient has been turned into mails.")
    )
    processed_by = models.DateTimeField(
        _("not before"),
        null=True,
        blank=True,
        help_text=_("Processed by the first pass after this time; at once if empty."),
    )
    not_after = models.DateTimeField(
        _("not after"), null=True, blank=True, help_text=_("What has not left by then is not sent any more.")
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
        help_text=_("What of the project's layouts stands around the body, which then is HTML without an <html> tag."),
    )
    public = models.BooleanField(
        default=False,
        help_text=_("Anyone may read the subject and body at /email/<id>, without any recipient's data."),
    )
    state = models.CharField(max_length=16, choices=State, default=State.SCHEDULED, editable=False)
    state_reason = models.TextField(blank=True, default="", editable=False)
    reason_is_open = models.BooleanField(
        default=False, editable=False, help_text=_("The reason quotes nobody's data: anyone who looks may read it.")
    )
    approved_version = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text=_("A mark of what was let go, to notice changes."),
    )
    progress = models.JSONField(default=dict, editable=False, help_text=_("What processing has counted so far."))
    cursor = models.CharField(
        max_length=255,
        blank=True,
        default="",
        editable=False,
        help_text=_("The last recipient that became mail, as JSON."),
    )
    accepted = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("Mails that the relay took, since it began or was resumed.")
    )
    refused = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("Mails refused for good, since it began or was resumed.")
    )
    canary_left = models.PositiveIntegerField(
        null=True, blank=True, editable=False, help_text=_("How many of its first mails may still go before it waits.")
    )
    canary_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("Until when the rest waits for what becomes of the first.")
    )
    taken_up = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text=_("How often a worker has taken it up since it last got further.")
    )
    claimed_by = models.CharField(
        max_length=64, blank=True, default="", editable=False, help_text=_("The worker that processes it now.")
    )
    claimed_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("End of that worker's lease.")
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
