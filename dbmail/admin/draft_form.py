"""The form of a draft: reads what the page sends, and saves it even if it is unfinished or wrong.

Whether the draft can be sent is checked elsewhere (`broadcasts.validate`, `preflight`).
"""

import hashlib
import json
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..audience import stored_query
from ..audience.builder import parse_tree, to_q, tree_of
from ..broadcasts.approval import note_change, version_of
from ..conf import category_choices, layout_choices
from ..exceptions import DbmailError, UnstorableQuery
from ..models import MessageRequest, PersistentQueryFilter
from ..times import as_shown
from .form_data import check_time

#: How browsers write the value of a datetime-local field.
_TIME_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
#: Columns of a draft that the form sets.
_FIELDS = (
    *("subject", "msgtext", "layout", "sender", "sendto_fn_name", "special_headers", "processed_by", "not_after"),
    *("public", "category"),
)


class DraftForm(forms.Form):
    """Every field may be empty or unfinished. Only a value that its column cannot hold is an error."""

    audience = forms.CharField(required=False, max_length=20_000)
    sendto_fn_name = forms.ChoiceField(choices=MessageRequest.SENDTO_FN_CHOICES, required=False)
    subject = forms.CharField(required=False, max_length=2000)
    msgtext = forms.CharField(required=False, max_length=2_000_000, strip=False)
    layout = forms.ChoiceField(
        choices=layout_choices,
        required=False,
        error_messages={"invalid_choice": gettext_lazy("There is no layout “%(value)s” any more: choose another.")},
    )
    sender = forms.CharField(required=False, max_length=500)
    reply_to = forms.CharField(required=False, max_length=500)
    processed_by = forms.DateTimeField(required=False, input_formats=_TIME_FORMATS)
    not_after = forms.DateTimeField(required=False, input_formats=_TIME_FORMATS)
    public = forms.BooleanField(required=False)
    category = forms.ChoiceField(
        choices=category_choices,
        required=False,
        error_messages={"invalid_choice": gettext_lazy("There is no category “%(value)s” any more: choose another.")},
    )

    def __init__(self, data: Any, draft: MessageRequest) -> None:
        super().__init__(data)
        self.draft = draft

    def clean_msgtext(self) -> str:
        return str(self.cleaned_data["msgtext"]).replace("\r\n", "\n")

    def clean_subject(self) -> str:
        return " ".join(self.cleaned_data["subject"].split())

    def clean_processed_by(self) -> datetime | None:
        return check_time(self.cleaned_data["processed_by"])

    def clean_not_after(self) -> datetime | None:
        return check_time(self.cleaned_data["not_after"])

    def clean_audience(self) -> PersistentQueryFilter | None:
        """The chosen audience, which may be a row that is not saved yet; None to leave the draft's own."""
        text = self.cleaned_data["audience"]
        if not text:
            return None
        label = get_user_model()._meta.label
        try:
            tree = parse_tree(text)
        except UnstorableQuery as error:
            raise forms.ValidationError(str(error)) from None
        if isinstance(tree, dict) and "filter" in tree:
            # The named ones are for all. Others belong to their own broadcast, which may be nobody's business here.
            offered = PersistentQueryFilter.objects.exclude(Q(useful_name=""), ~Q(pk=self.draft.recipients_id))
            found = offered.filter(item_model=label, pk=_key(tree["filter"])).first()
            if found is None:
                raise forms.ValidationError(_("This audience does not exist any more."))
            return found
        try:
            row = PersistentQueryFilter(item_model=label, q_filter=stored_query.dump_query(to_q(tree)))
        except UnstorableQuery as error:
            raise forms.ValidationError(str(error)) from None
        return row

    def apply(self, draft: MessageRequest) -> MessageRequest:
        """Set the valid fields on `draft` and return it; it is not saved.

        The audience and the send-to function stay as they are once mails have been made.
        """
        self.is_valid()
        given = self.cleaned_data
        for name in _FIELDS:
            if name in given and not (name == "sendto_fn_name" and draft.cursor):
                setattr(draft, name, given[name])
        if given.get("audience") is not None and not draft.cursor:
            draft.recipients = given["audience"]
        if "reply_to" in given:
            _set_reply_to(draft, given["reply_to"])
        return draft


def _key(value: Any) -> int:
    return value if type(value) is int and 0 < value < 2**63 else 0


def _set_reply_to(draft: MessageRequest, value: str) -> None:
    try:
        headers = {name: text for name, text in draft.special_headers_dict.items() if name.lower() != "reply-to"}
    except DbmailError:
        return  # headers that a program wrote wrongly: the checks report them
    if value:
        headers["Reply-To"] = value
    draft.special_headers = json.dumps(headers) if headers else None


def reply_to_of(draft: MessageRequest) -> str:
    """Reply-To among the headers of `draft`; "" if there is none or they cannot be read."""
    try:
        return next((text for name, text in draft.special_headers_dict.items() if name.lower() == "reply-to"), "")
    except DbmailError:
        return ""


class Outdated(Exception):
    """Somebody else has changed the draft since the page was loaded."""


def save_draft(draft: MessageRequest, by: Any, token: str | None) -> bool:
    """Save the fields of `draft` and note that `by` changed them.

    `token` is the `edition_of` the draft that the page was loaded with. Returns False, with nothing saved, if it is
    no draft any more because somebody has just sent it. Raises Outdated if somebody else has changed it.
    """
    with transaction.atomic():
        rows = MessageRequest.objects.select_for_update().filter(pk=draft.pk, state=MessageRequest.State.DRAFT)
        stored = rows.first()
        if stored is None:
            return False
        if token != edition_of(stored):
            raise Outdated
        if draft.recipients.pk is None:
            draft.recipients = PersistentQueryFilter.create_from_Q(
                get_user_model(), stored_query.load_query(draft.recipients.q_filter)
            )
        changed = [
            name for name in (*_FIELDS, "recipients_id") if _differs(getattr(stored, name), getattr(draft, name))
        ]
        if changed:
            rows.update(recipients=draft.recipients, **{name: getattr(draft, name) for name in _FIELDS})
            note_change(draft, by, changed)
        if stored.recipients_id != draft.recipients_id:
            _drop_unused(stored.recipients, draft)
    return True


def _differs(before: Any, after: Any) -> bool:
    return (before or "") != (after or "")


def _drop_unused(audience: PersistentQueryFilter, draft: MessageRequest) -> None:
    """Delete an audience that only this draft used: it is younger than the draft, has no name and is not in use."""
    if not audience.useful_name and audience.create_ts >= draft.created_at:
        in_use = MessageRequest.objects.filter(recipients=audience).exists()
        if not in_use:
            audience.delete()


def edition_of(draft: MessageRequest) -> str:
    """A hash of the stored draft. A page sends back the one it was loaded with: so changes by others are noticed."""
    return hashlib.sha256(f"{version_of(draft)} {draft.state}".encode()).hexdigest()[:24]


def shown_values(draft: MessageRequest) -> dict[str, Any]:
    """The values of `draft` that the form starts with, by the names of its fields."""
    return {
        "subject": draft.subject or "",
        "msgtext": draft.msgtext or "",
        "layout": draft.layout,
        "sender": draft.sender or "",
        "reply_to": reply_to_of(draft),
        "sendto_fn_name": draft.sendto_fn_name,
        "public": draft.public,
        "category": draft.category,
        "processed_by": _as_typed(draft.processed_by),
        "not_after": _as_typed(draft.not_after),
        "audience": json.dumps(tree_of(draft.recipients.q_filter) or {"filter": draft.recipients_id}),
    }


def _as_typed(moment: datetime | None) -> str:
    """In the current time zone, as browsers read the value of a datetime-local field."""
    if moment is None:
        return ""
    return as_shown(moment).strftime("%Y-%m-%dT%H:%M")
