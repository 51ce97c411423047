"""The preview: a draft as one recipient would get it."""

import re
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin

from ..addresses import format_mailbox
from ..audience.sendto import addresses_for
from ..broadcasts.validate import request_errors
from ..conf import site_url
from ..delivery.from_address import author
from ..delivery.headers import headers_that_unsubscribe, request_headers
from ..exceptions import AddressError, DbmailError, UnresolvableQuery
from ..models import MessageRequest
from ..people import address_of, has_address, name_of
from ..preflight.content import Content, Remark, Severity, check_content
from ..preflight.from_domain import check_from_domain
from ..rendering.message import MessageRenderer, Rendered
from ..rendering.public import nobody
from ..rendering.text import is_html
from .disclosure import audience_error
from .draft_form import DraftForm
from .form_data import text_line
from .permissions import may_compose, may_see_doctor, may_see_recipients

#: Content-Security-Policy of the previewed body: its own styles apply, no script runs. It keeps our origin so that the
#: page around it can read how far it is scrolled. Pictures come from this site only, unless the viewer asks for all:
#: the address of a picture elsewhere can hold a person's data, and so hand it to the author of the text when somebody
#: with more rights previews it.
_POLICY = (
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src {source} data:; font-src {source} data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
#: <link> has no effect in a mail, but a browser may resolve its host before it looks at the policy: it is disarmed.
_LINK = re.compile(r"<link(?=[\s/>])", re.IGNORECASE)
#: The most people that a search offers as sample recipients.
_FOUND = 12


def draft_of(request: HttpRequest, stored: MessageRequest) -> MessageRequest:
    """The draft as it is on the page, unsaved; as it is stored if the page sends no text."""
    if "subject" in request.POST and stored.state == MessageRequest.State.DRAFT and may_compose(request.user):
        DraftForm(request.POST, stored).apply(stored)
    return stored


def sample_user(request: HttpRequest, draft: MessageRequest, pk: str = "") -> Any:
    """The recipient with the key `pk`, or the first one; a nameless one if `request.user` may not see recipients."""
    if not may_see_recipients(request.user):
        return nobody()
    try:
        people = draft.recipients.getList(get_user_model())
        if pk:
            return people.filter(pk=pk).first() or nobody()
        return people.order_by("pk").first() or nobody()
    except (UnresolvableQuery, ValueError, ValidationError):
        return nobody()


def as_json(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """Subject, text, headers and remarks, asked for while one writes."""
    draft = draft_of(request, stored)
    user = sample_user(request, draft, text_line(request.POST, "as"))
    remarks = _errors(draft, request.user)
    shown: dict[str, Any] = {"as": "" if user._state.adding else str(user.pk), "as_name": in_words(user)}
    try:
        rendered = MessageRenderer(draft).render(user)
        mail = rendered.as_example()
    except DbmailError as error:
        with_errors = {remark.field for remark in remarks if remark.severity is Severity.ERROR}
        if with_errors.isdisjoint(("subject", "msgtext", "layout")):
            remarks.append(Remark(Severity.ERROR, "msgtext", str(error)))
    else:
        shown |= {"subject": mail.subject, "html": is_html(mail.body), "headers": _headers(draft, user)}
        shown["text"] = mail.plaintext or mail.body
        if not draft.public and "public_url" in f"{draft.subject}{draft.msgtext}":
            message = _("{{ request.public_url }} leads nowhere as long as the public may not read it.")
            remarks.append(Remark(Severity.WARNING, "public", message))
        remarks += check_content(_content(mail, rendered.has_unsubscribe_link))
    shown["findings"] = [as_data(remark) for remark in remarks]
    return JsonResponse(shown)


def _content(rendered: Rendered, has_link: bool) -> Content:
    html, frame = rendered.body if is_html(rendered.body) else "", rendered.frame
    return Content(
        rendered.subject,
        rendered.plaintext or rendered.body,
        html,
        site_url().startswith("https://"),
        has_link,
        frame.before,
        frame.after,
    )


def _errors(draft: MessageRequest, user: Any) -> list[Remark]:
    found = []
    for field, errors in request_errors(draft).items():
        for error in errors:
            line = (error.params or {}).get("line")
            message = " ".join(error.messages)
            if field == "recipients":
                field, message = "audience", audience_error(UnresolvableQuery(message), user)
            found.append(Remark(Severity.ERROR, field, message, line))
    return found


def as_data(remark: Remark) -> dict[str, Any]:
    names = {Severity.ERROR: _("Error"), Severity.WARNING: _("Warning"), Severity.NOTE: _("Note")}
    return {
        "level": remark.severity.value,
        "level_name": names[remark.severity],
        "field": remark.field,
        "message": remark.message,
        "line": remark.line,
    }


def sender(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """Remarks about the domain in From: a door of its own, because DNS may take two seconds."""
    try:
        domain = author(draft_of(request, stored)).sender.domain
    except DbmailError:
        return JsonResponse({"findings": []})  # the other checks say what is wrong with it
    more = {"more": _("What to do"), "more_url": reverse("admin:dbmail_doctorreport_changelist")}
    shown = [as_data(remark) for remark in check_from_domain(domain)]
    return JsonResponse({"findings": [{**one, **more} for one in shown] if may_see_doctor(request.user) else shown})


def _headers(draft: MessageRequest, user: Any) -> list[tuple[str, str]]:
    """The header fields that matter to readers and mail programs, in their usual order."""
    try:
        sender = str(author(draft).sender)
        more = request_headers(draft)
    except DbmailError as error:
        return [("From", f"({error})")]
    boxes = [] if user._state.adding else addresses_for([user], draft.sendto_fn_name)[0].get(user.pk, [])
    to = ", ".join(format_mailbox(*box) for box in boxes) or _("(the recipient)")
    fields = [("From", sender), ("To", to), *more.items()]
    if boxes:
        try:
            fields += headers_that_unsubscribe("example").items()
        except (DbmailError, AddressError) as error:
            fields.append(("List-Unsubscribe", f"({error})"))
    return fields


@xframe_options_sameorigin
def as_html(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """The HTML body alone, for the sandboxed frame; it is as harmless when opened by itself.

    With `pictures` in the form, pictures from other sites are loaded too, in this one answer.
    """
    draft = draft_of(request, stored)
    user = sample_user(request, draft, text_line(request.POST, "as"))
    try:
        body = MessageRenderer(draft).render(user).as_example().body
    except DbmailError as error:
        body = f"<p>{escape(str(error))}</p>"
    # <base> has links open in a new tab instead of the frame. It stands at the end: before a doctype it would turn on
    # quirks mode, in which the mail looks different.
    html = f'{_LINK.sub("<link-", body)}<base target="_blank">' if is_html(body) else f"<pre>{escape(body)}</pre>"
    response = HttpResponse(html)
    response["Content-Security-Policy"] = _POLICY.format(source="https:" if "pictures" in request.POST else "'self'")
    response["X-DNS-Prefetch-Control"] = "off"
    response["Referrer-Policy"] = "no-referrer"
    return response


def people(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """Recipients whose name begins with what was typed, or whose address it is."""
    wanted = text_line(request.GET, "q")
    if not wanted:
        return JsonResponse({"people": []})
    model = get_user_model()
    condition = has_address(wanted)
    for name in {model.USERNAME_FIELD, "first_name", "last_name"}:
        try:
            model._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        condition |= Q(**{f"{name}__istartswith": wanted})
    try:
        found = list(stored.recipients.getList(model).filter(condition).order_by("pk")[:_FOUND])
    except UnresolvableQuery:
        found = []
    return JsonResponse({"people": [{"pk": str(user.pk), "name": in_words(user)} for user in found]})


def in_words(user: Any) -> str:
    """Name and address of a recipient, for people who may see recipients."""
    if user._state.adding:
        return _("a nameless recipient")
    return " · ".join(filter(None, [name_of(user) or user.get_username(), address_of(user)]))
