"""The page on which a draft is written. It saves while one writes."""

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..audience.builder import CONDITIONS, NOBODY, tree_of
from ..audience.fields import audience_fields
from ..conf import category_choices, config, layout_choices
from ..exceptions import DbmailError
from ..models import MessageRequest, PersistentQueryFilter
from ..people import address_of
from ..preflight.palette import palette
from .draft_form import DraftForm, Outdated, edition_of, save_draft, shown_values
from .form_data import text_line
from .permissions import may_compose, may_see_recipients, may_send
from .preview import sample_user

#: Saved audiences that are offered, the latest first.
_SAVED_AUDIENCES = 100
#: HTML attributes of the field for the body.
_BODY_ATTRIBUTES = {
    "id": "id_msgtext",
    "dir": "auto",
    "rows": 16,
    "spellcheck": "true",
    "aria-describedby": "msgtext-help",
}
#: Name of a send-to function -> what people read.
SENDTO_WORDS = {
    MessageRequest.SEND_TO_SELF: gettext_lazy("The person"),
    MessageRequest.SEND_TO_GUARDIAN: gettext_lazy("Guardian"),
    MessageRequest.SEND_TO_EMERGENCY: gettext_lazy("Emergency contact"),
    MessageRequest.SEND_TO_SELF_AND_GUARDIAN: gettext_lazy("The person and guardian"),
    MessageRequest.SEND_TO_SELF_AND_EMERGENCY: gettext_lazy("The person and emergency contact"),
    MessageRequest.SEND_TO_GUARDIAN_AND_EMERGENCY: gettext_lazy("Guardian and emergency contact"),
    MessageRequest.SEND_TO_SELF_AND_GUARDIAN_AND_EMERGENCY: gettext_lazy("The person, guardian and emergency contact"),
}


def page(admin: Any, request: HttpRequest, draft: MessageRequest) -> HttpResponse:
    """Show the page. A POST, for use without JavaScript, saves the form and leads back here or to the confirmation."""
    token = edition_of(draft)
    if request.method == "POST":
        form = DraftForm(request.POST, draft)
        form.apply(draft)
        try:
            is_kept = save_draft(draft, request.user, request.POST.get("token"))
        except Outdated:
            messages.error(request, _("Somebody else has changed this draft. What you see is yours, not saved yet."))
            return _page(admin, request, draft, token)
        if not is_kept:
            messages.error(request, _("This broadcast is no draft any more: nothing was changed."))
        else:
            admin.log_change(request, draft, _("Changed the draft."))
            for field, errors in form.errors.items():
                messages.error(request, f"{field}: {' '.join(map(str, errors))}")
            if "_review" in request.POST and form.is_valid():
                return redirect("admin:dbmail_messagerequest_confirm", draft.pk)
            messages.success(request, _("The draft is saved."))
        return redirect("admin:dbmail_messagerequest_change", draft.pk)
    return _page(admin, request, draft, token)


def _page(admin: Any, request: HttpRequest, draft: MessageRequest, token: str) -> HttpResponse:
    context = {**_context(admin, request, draft), "token": token}
    return TemplateResponse(request, "admin/dbmail/messagerequest/compose.html", context)


def save(admin: Any, request: HttpRequest, draft: MessageRequest) -> HttpResponse:
    """Save in the background and answer with the new token.

    The page sends the `token` of its last save. If it is not the stored draft's any more, somebody else has changed
    the draft: nothing is saved then, and the answer is 409.
    """
    if draft.state != MessageRequest.State.DRAFT:
        return JsonResponse({"problem": _("This broadcast is no draft any more. Reload the page.")}, status=409)
    form = DraftForm(request.POST, draft)
    form.apply(draft)
    try:
        is_kept = save_draft(draft, request.user, request.POST.get("token"))
    except Outdated:
        problem = _("Somebody else has changed this draft, or you did in another window. Reload the page to see it.")
        return JsonResponse({"problem": problem}, status=409)
    if not is_kept:
        return JsonResponse({"problem": _("This broadcast is no draft any more. Reload the page.")}, status=409)
    kept = MessageRequest.objects.select_related("recipients").filter(pk=draft.pk).first()
    if kept is None:
        return JsonResponse({"problem": _("This broadcast is no draft any more. Reload the page.")}, status=409)
    return JsonResponse({"token": edition_of(kept), "errors": form.errors})


def name_audience(admin: Any, request: HttpRequest, draft: MessageRequest) -> HttpResponse:
    """Save the draft's audience under a name, so that it can be chosen for other drafts."""
    name = text_line(request.POST, "name", 200)
    if not name or tree_of(draft.recipients.q_filter) == NOBODY:
        return JsonResponse({"problem": _("Choose an audience, and enter a name for it.")})
    # A name says to others what they send to: it is given once, to what no other broadcast goes by.
    own = PersistentQueryFilter.objects.filter(pk=draft.recipients_id, useful_name="")
    others = MessageRequest.objects.filter(recipients=draft.recipients_id).exclude(pk=draft.pk)
    if draft.state != MessageRequest.State.DRAFT or others.exists() or not own.update(useful_name=name):
        return JsonResponse(
            {"problem": _("This audience has a name, or other broadcasts go to it: it stays as it is.")}
        )
    admin.log_change(request, draft, _("Named the audience “%(name)s”.") % {"name": name})
    return JsonResponse({"done": _("Kept as “%(name)s”.") % {"name": name}})


def _context(admin: Any, request: HttpRequest, draft: MessageRequest) -> dict[str, Any]:
    user = sample_user(request, draft)
    try:
        variables, problem = palette(draft, user), ""
    except DbmailError as error:
        variables, problem = [], str(error)
    field, media = _body_field(draft.msgtext or "")
    names = ("save", "preview", "body", "sender", "count", "survey", "everyone", "people", "test", "confirm", "name")
    return {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": _("Compose"),
        "subtitle": draft.subject or None,
        "original": draft,
        "draft": draft,
        "reason": draft.reason_for(may_see_recipients(request.user)),
        "values": shown_values(draft),
        "body_field": field,
        "body_media": media,
        "palette": variables,
        "palette_problem": problem,
        "sendto_choices": [c for c in SENDTO_WORDS.items() if config().contacts or not c[0]],
        "category_choices": category_choices(),
        "lost_category": draft.category if draft.category not in dict(category_choices()) else "",
        "layout_choices": layout_choices(),
        "lost_layout": draft.layout if draft.layout not in dict(layout_choices()) else "",
        "audience_is_fixed": bool(draft.cursor),
        "audience_data": {
            "fields": [_field_data(field) for field in audience_fields()],
            "conditions": {
                kind: [{"name": n, "label": str(c.label), "fixed": bool(c.fixed)} for n, c in choices.items()]
                for kind, choices in CONDITIONS.items()
            },
            "saved": _saved_audiences(draft),
        },
        "urls": {name: reverse(f"admin:dbmail_messagerequest_{name}", args=[draft.pk]) for name in names},
        "may_see_recipients": may_see_recipients(request.user),
        "may_send": may_send(request.user),
        "may_delete": admin.has_delete_permission(request, draft) and may_compose(request.user),
        "own_address": address_of(request.user),
        "from_domains": ", ".join(config().from_domains),
        "time_zone": timezone.get_current_timezone_name(),
        "media": admin.media,
    }


def _body_field(value: str) -> tuple[SafeString, forms.Media]:
    """The field for the body with `value` in it, and the files that it needs.

    A plain textarea, or an editor with colours where django-ace is installed.
    """
    if not apps.is_installed("django_ace"):
        return forms.Textarea().render("msgtext", value, _BODY_ATTRIBUTES), forms.Media()
    from django_ace import AceWidget

    widget = AceWidget(
        mode="django",
        theme="github_light_default",
        wordwrap=True,
        width=None,
        height=None,
        showprintmargin=False,
        toolbar=False,
        behaviours=False,  # do not insert quotes, braces and end tags
        useworker=False,  # it loads from a blob: URL, which a strict policy forbids
        useStrictCSP=True,
    )
    media = forms.Media(
        css={"screen": ["django_ace/ace/css/theme/github_dark.css"]},
        js=[
            "django_ace/ace/ace.js",
            "django_ace/widget.js",
            "django_ace/ace/theme-github_dark.js",
            "dbmail/editor.js",
        ],
    )
    return widget.render("msgtext", value, _BODY_ATTRIBUTES), widget.media + media


def sendto_in_words(name: str) -> Any:
    return SENDTO_WORDS.get("" if name == MessageRequest.SEND_TO_SELF_REAL else name, name)


def _field_data(field: Any) -> dict[str, Any]:
    return {"path": field.path, "label": field.label, "kind": field.kind, "choices": field.choices()}


def _saved_audiences(draft: MessageRequest) -> list[dict[str, Any]]:
    """Named audiences, the latest first, with the draft's own in front if it is not among them."""
    label = get_user_model()._meta.label
    named = PersistentQueryFilter.objects.filter(item_model=label).exclude(useful_name="").order_by("-pk")
    rows = list(named[:_SAVED_AUDIENCES])
    if draft.recipients not in rows:
        rows.insert(0, draft.recipients)
    return [
        {"id": row.pk, "name": str(row), "tree": tree}
        for row in rows
        if (tree := tree_of(row.q_filter)) != {"match": "nobody"}
    ]
