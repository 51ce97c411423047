"""A broadcast: what is sent, to whom, in whose name, and how far it has come."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from ..exceptions import DbmailError
from .filters import PersistentQueryFilter


class MessageRequestQuerySet(models.QuerySet["MessageRequest"]):
    def due(self) -> "MessageRequestQuerySet":
        """Requests that a pass has to turn into mail now: not processed, and not `processed_by` later."""
        now = timezone.now()
        return self.filter(
            Q(processed_by__isnull=True) | Q(processed_by__lte=now),
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
        (SEND_TO_SELF, "send to user"),
        (SEND_TO_GUARDIAN, "send to guardian"),
        (SEND_TO_EMERGENCY, "send to emergency contact"),
        (SEND_TO_SELF_AND_GUARDIAN, "send to user and guardian"),
        (SEND_TO_SELF_AND_EMERGENCY, "send to user and emergency contact"),
        (SEND_TO_GUARDIAN_AND_EMERGENCY, "send to guardian and emergency contact"),
        (SEND_TO_SELF_AND_GUARDIAN_AND_EMERGENCY, "send to user and guardian and emergency contact"),
    )

    class State(models.TextChoices):
        DRAFT = "draft", "draft: still being written, nothing happens"
        SCHEDULED = "scheduled", "scheduled: the next pass after its time takes it up"
        PROCESSING = "processing", "processing: recipients are being turned into mails"
        SENDING = "sending", "sending: every mail is in the queue, some have not left it"
        PAUSED = "paused", "paused: nothing is processed or sent until it is resumed"
        DONE = "done", "done: no mail is waiting"
        CANCELLED = "cancelled", "cancelled: what had not left was dropped"
        FAILED = "failed", "failed: it could not be processed, the reason says why"

    subject = models.TextField(
        null=True,
        blank=True,
        help_text="A Django template on one line, for instance Welcome to {{ program.niceName }}!",
    )
    msgtext = models.TextField(
        "body",
        null=True,
        blank=True,
        help_text="A Django template. A body with an <html> tag is sent as HTML with a text part beside it.",
    )
    special_headers = models.TextField(
        null=True, blank=True, help_text='More header fields as JSON, for instance {"Reply-To": "us@example.org"}.'
    )
    recipients = models.ForeignKey(
        PersistentQueryFilter, on_delete=models.PROTECT, help_text="The stored query that finds the users."
    )
    sendto_fn_name = models.CharField(
        "send to",
        max_length=128,
        choices=SENDTO_FN_CHOICES,
        default=SEND_TO_SELF,
        blank=True,
        help_text="Which addresses of each user get the message.",
    )
    sender = models.TextField(
        null=True,
        blank=True,
        help_text='From, for instance "Directors" <directors@example.org>; the creator\'s own address if empty.',
    )
    creator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="dbmail_requests",
        help_text="Who answers for this broadcast and gets its failure reports.",
    )
    created_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="Unprocessed requests and unsent mails expire when they are too old (one week).",
    )
    processed = models.BooleanField(
        default=False, editable=False, help_text="Every recipient has been turned into mails."
    )
    processed_by = models.DateTimeField(
        "not before", null=True, blank=True, help_text="Processed by the first pass after this time; at once if empty."
    )
    priority_level = models.IntegerField(
        "priority", null=True, blank=True, help_text="Higher leaves first; empty counts as 0."
    )
    public = models.BooleanField(
        default=False, help_text="Anyone may read the subject and body at /email/<id>, without any recipient's data."
    )
    state = models.CharField(max_length=16, choices=State, default=State.SCHEDULED, editable=False)
    state_reason = models.TextField(blank=True, default="", editable=False)
    progress = models.JSONField(
        default=dict, editable=False, help_text="How far processing has come: the last key, and counts."
    )

    objects = MessageRequestQuerySet.as_manager()

    if TYPE_CHECKING:
        messagevars_set: models.Manager["MessageVars"]
        textofemail_set: models.Manager[Any]

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "processed_by"], name="dbmail_request_state")]
        permissions = [
            ("approve_messagerequest", "Can approve and send broadcasts"),
            ("view_recipients", "Can see recipients' addresses and mails"),
        ]

    def __str__(self) -> str:
        return self.subject or f"Request {self.pk}"

    @property
    def special_headers_dict(self) -> dict[str, str]:
        """The special headers as a dict; assigning one stores it as JSON (save the request after)."""
        if not self.special_headers:
            return {}
        try:
            stored = json.loads(self.special_headers)
        except ValueError as error:
            raise DbmailError(f"The special headers of request {self.pk} are not JSON: {error}") from error
        if not isinstance(stored, dict):
            raise DbmailError(f"The special headers of request {self.pk} are not a JSON object.")
        return stored

    @special_headers_dict.setter
    def special_headers_dict(self, value: dict[str, str]) -> None:
        if not isinstance(value, dict):
            raise TypeError("special_headers_dict must be a dict of header names and values.")
        self.special_headers = json.dumps(value)

    @classmethod
    def is_sendto_fn_name_choice(cls, sendto_fn_name: str) -> bool:
        return sendto_fn_name == cls.SEND_TO_SELF_REAL or sendto_fn_name in dict(cls.SENDTO_FN_CHOICES)

    @classmethod
    def get_sendto_fn_callable(cls, sendto_fn_name: str) -> Callable[[Any], list[tuple[str, str]]]:
        """The function user -> [(address, name), ...] of this name. Raises UnknownSendTo."""
        from ..recipients.sendto import send_to_function

        return send_to_function(sendto_fn_name)


class MessageVars(models.Model):
    """One variable of a request: a reference to a model instance, or plain data. Never a pickle."""

    messagerequest = models.ForeignKey(MessageRequest, on_delete=models.CASCADE)
    provider_name = models.CharField("name", max_length=128)
    provider = models.JSONField("value", help_text='{"model": "app.Model", "pk": ...} or {"value": ...}')

    class Meta:
        verbose_name = verbose_name_plural = "message variables"
        constraints = [
            models.UniqueConstraint(fields=["messagerequest", "provider_name"], name="dbmail_variable_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.provider_name} of request {self.messagerequest_id}"
