"""Who wrote what is about to go out, and whether it still is what a second person let go."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import config
from ..exceptions import LayoutError, NotApproved
from ..models import DraftChange, MessageRequest, MessageVars
from ..rendering.layout import layout_of

_Kind = DraftChange.Kind
#: All that says what goes out, to whom, when and in whose name.
_FIELDS = (
    *("subject", "msgtext", "layout", "special_headers", "sender", "creator_id", "sendto_fn_name"),
    *("processed_by", "not_after", "priority_level", "category", "public"),
)


def version_of(request: MessageRequest) -> str:
    """Equal for two broadcasts that say the same to the same people: their text, layout, variables and audience."""
    variables = MessageVars.objects.filter(messagerequest=request.pk).order_by("provider_name")
    parts = [
        # Nothing and an empty text are the same to a reader; times are compared as moments.
        *(_plain(getattr(request, name)) for name in _FIELDS),
        [request.recipients.item_model, request.recipients.q_filter],
        [[name, value] for name, value in variables.values_list("provider_name", "provider")],
        _layout(request.layout),
    ]
    text = json.dumps(parts, sort_keys=True, cls=DjangoJSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else value or ""


def _layout(name: str) -> str:
    try:
        layout = layout_of(name, "")
        return layout.source if layout else ""
    except LayoutError as error:
        return str(error)


def note_change(request: MessageRequest, by: Any, what: Iterable[str]) -> None:
    """Keep that `by` changed these fields of a draft, in the transaction that changes them.

    A program that changes a draft in somebody's name calls it too. A page that saves every second leaves one row.
    """
    last = DraftChange.objects.filter(messagerequest=request).order_by("-pk").first()
    if last is not None and last.by_id == by.pk and last.kind == _Kind.CHANGED:
        last.at = timezone.now()
        last.what = _names({*last.what.split(", "), *what})
        last.save(update_fields=["at", "what"])
    else:
        DraftChange.objects.create(messagerequest=request, by=by, what=_names(what))


def _names(what: Iterable[str]) -> str:
    return ", ".join(sorted({name for name in what if name}))[:255]


def note_approval(request: MessageRequest, by: Any) -> None:
    """Keep that `by` let it go. Changes count from here, where that is somebody else than those who wrote it."""
    if by.pk not in _authors(request):
        DraftChange.objects.create(messagerequest=request, by=by, kind=_Kind.APPROVED)


def note_copy(earlier: MessageRequest, copy: MessageRequest) -> None:
    """A copy of what nobody else has approved yet is still the work of those who wrote it."""
    for by in get_user_model()._base_manager.filter(pk__in=_authors(earlier) - {copy.creator_id}).order_by("pk"):
        note_change(copy, by, ["copied"])


def authors(request: MessageRequest) -> list[Any]:
    """Who may not be the second person: whoever began the broadcast, or changed it since somebody else let it go."""
    return list(get_user_model()._base_manager.filter(pk__in=_authors(request)).order_by("pk"))


def _authors(request: MessageRequest) -> set[Any]:
    rows = DraftChange.objects.filter(messagerequest=request)
    last = rows.filter(kind=_Kind.APPROVED).order_by("-pk").values_list("pk", flat=True).first()
    since = rows.filter(Q(pk__gt=last) if last else Q(), kind=_Kind.CHANGED, by__isnull=False)
    return {request.creator_id, *since.values_list("by", flat=True)}


def check_approved(request: MessageRequest) -> None:
    """Raises NotApproved where something has changed it after a person let it go: a program, or a stored audience
    that is used elsewhere too. What a program sends off by itself has no approval to keep."""
    if not request.approved_version or config().large_audience.approval != "second":
        return
    if version_of(request) != request.approved_version:
        raise NotApproved(
            _("It was changed after it was let go. Make it a draft again, look at it, and have it let go anew.")
        )
