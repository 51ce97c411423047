"""A new broadcast: an empty one, or a copy of an earlier one."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from ..audience.builder import NOBODY, to_q
from ..broadcasts.approval import note_copy
from ..models import MessageRequest, MessageVars, PersistentQueryFilter
from .form_data import key_number, text_line

#: Earlier broadcasts that the page offers.
_SHOWN = 20
#: Fields that a copy takes over.
_COPIED = (
    "subject",
    "msgtext",
    "layout",
    "special_headers",
    "recipients",
    "sendto_fn_name",
    "sender",
    "priority_level",
    "public",
    "category",
)


def page(admin: Any, request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        given = text_line(request.POST, "from")
        earlier = get_object_or_404(MessageRequest, pk=key_number(given)) if given else None
        draft = copy_of(earlier, request.user) if earlier else empty(request.user)
        message = _("Started from broadcast %(number)s.") % {"number": earlier.pk} if earlier else _("Started.")
        admin.log_addition(request, draft, message)
        return redirect("admin:dbmail_messagerequest_change", draft.pk)
    wanted = text_line(request.GET, "q")
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": _("New broadcast"),
        "wanted": wanted,
        "earlier": _earlier(wanted),
        "list_url": reverse("admin:dbmail_messagerequest_changelist"),
        "media": admin.media,
    }
    return TemplateResponse(request, "admin/dbmail/messagerequest/start.html", context)


def _earlier(wanted: str) -> "list[MessageRequest]":
    rows = MessageRequest.objects.select_related("creator", "recipients").defer("msgtext").order_by("-pk")
    if wanted:
        rows = rows.filter(Q(pk=key_number(wanted)) | Q(subject__icontains=wanted))
    return list(rows[:_SHOWN])


def empty(user: Any) -> MessageRequest:
    """A new draft without text, whose audience is nobody."""
    nobody = PersistentQueryFilter.create_from_Q(get_user_model(), to_q(NOBODY), description=_("Nobody yet"))
    return MessageRequest.objects.create(
        subject="", msgtext="", recipients=nobody, creator=user, state=MessageRequest.State.DRAFT
    )


def copy_of(earlier: MessageRequest, user: Any) -> MessageRequest:
    """A draft with the text, audience and variables of `earlier`, in the name of `user`."""
    with transaction.atomic():
        draft = MessageRequest(creator=user, state=MessageRequest.State.DRAFT)
        for name in _COPIED:
            setattr(draft, name, getattr(earlier, name))
        draft.save()
        MessageVars.objects.bulk_create(
            MessageVars(messagerequest=draft, provider_name=row.provider_name, provider=row.provider)
            for row in MessageVars.objects.filter(messagerequest=earlier).order_by("pk")
        )
        note_copy(earlier, draft)
    return draft
