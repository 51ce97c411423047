"""The last page before a broadcast is sent, and the buttons that change its state later."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from ..addresses import normalise, parse_mailbox
from ..broadcasts import control
from ..broadcasts.approval import authors, note_approval, version_of
from ..broadcasts.validate import request_errors
from ..conf import config
from ..delivery.from_address import author
from ..delivery.headers import request_headers
from ..delivery.send import send_mail
from ..exceptions import AddressError, DbmailError, UnresolvableQuery
from ..models import MessageRequest
from ..people import active_accounts, address_of, has_address, is_staff
from ..preflight.everyone import still_failing
from ..preflight.survey import people_in
from ..rendering.message import MessageRenderer
from . import disclosure
from .compose import sendto_in_words
from .draft_form import edition_of, reply_to_of
from .form_data import key_number, text_line
from .permissions import may_compose, may_see_recipients, may_send
from .preflight import audience_in_words
from .preview import draft_of, sample_user

#: The most addresses that one test goes to.
_TESTERS = 5


def page(admin: Any, request: HttpRequest, draft: MessageRequest) -> HttpResponse:
    """Show numbers, a sample, time and sender of a draft; the POST schedules it."""
    if draft.state != MessageRequest.State.DRAFT:
        messages.info(request, _("This broadcast is no draft any more."))
        return redirect("admin:dbmail_messagerequest_change", draft.pk)
    problem = ""
    if request.method == "POST":
        if not may_send(request.user):
            raise PermissionDenied
        problem = _let_go(admin, request, draft)
        if not problem:
            return redirect("admin:dbmail_messagerequest_change", draft.pk)
    return TemplateResponse(
        request, "admin/dbmail/messagerequest/confirm.html", _context(admin, request, draft, problem)
    )


def _let_go(admin: Any, request: HttpRequest, draft: MessageRequest) -> str:
    """Schedule `draft` unless it has changed since the person saw it. Returns "", or why it was not scheduled."""
    with transaction.atomic():
        draft = MessageRequest.objects.select_for_update().get(pk=draft.pk)
        if request.POST.get("token") != edition_of(draft):
            return _("The draft was changed since you opened this page. Look at it again.")
        if request_errors(draft):
            return _("It cannot be sent like this: see the errors.")
        # What depends on people is checked last, so that only somebody who could send it learns of it.
        problem = _not_approved(request, draft, _Size.of(draft, request.user)) or _people_problem(
            admin, request, draft
        )
        if problem:
            return problem
        first = _canary_first(request)
        version = version_of(draft) if config().large_audience.approval == "second" else ""
        note_approval(draft, request.user)
        if not control.schedule(draft, first, version=version):
            return _("This broadcast is no draft any more.")
        said = _("Scheduled.")
        if not first:
            said += " " + _("No mails go ahead.")
        admin.log_change(request, draft, said)
    later = draft.processed_by and draft.processed_by > timezone.now()
    messages.success(request, _("It goes out at the time you chose.") if later else _("It goes out now."))
    return ""


def _canary_first(request: HttpRequest) -> bool:
    """Whether some mails go ahead. The page has a box for it only if the project has set BREAKER's CANARY."""
    return not config().breaker.canary or "canary" in request.POST


@dataclass(frozen=True, slots=True)
class _Size:
    """The size of an audience, as far as one person may know it."""

    #: None if they may not know it: the audience then counts as large.
    people: int | None
    #: The size in words.
    shown: str
    #: The number that they have to type to send it.
    typed: int

    @classmethod
    def of(cls, draft: MessageRequest, user: Any) -> "_Size":
        if disclosure.is_withheld(user, draft):
            return cls(None, disclosure.withheld(), draft.pk)
        people, exact = people_in(draft), may_see_recipients(user)
        return cls(people, disclosure.shown(people, exact), people if exact else disclosure.rough(people))

    @property
    def is_large(self) -> bool:
        return self.people is None or self.people > config().large_audience.people


def _people_problem(admin: Any, request: HttpRequest, draft: MessageRequest) -> str:
    """Why it cannot be sent to its audience; "" if it can.

    People who may not see recipients get a sentence that tells nothing about anybody, and the history notes the try.
    """
    nobody, failed = not people_in(draft), still_failing(draft)
    if not nobody and not failed:
        return ""
    if not may_see_recipients(request.user):
        said = _("It cannot be sent to this audience like this. Who may see recipients sees why, among the checks.")
        admin.log_change(request, draft, _("Not sent: the audience, or the text for somebody in it."))
        return said
    if nobody:
        return _("Nobody is in the audience.")
    return ngettext(
        "The text fails for %(number)s person, and there it would stop: see the checks.",
        "The text fails for %(number)s people, and there it would stop: see the checks.",
        failed,
    ) % {"number": disclosure.shown(failed)}


def _not_approved(request: HttpRequest, draft: MessageRequest, size: _Size) -> str:
    """What the person still has to do to send to a large audience; "" if nothing."""
    if not size.is_large:
        return ""
    if config().large_audience.approval == "second":
        people = authors(draft)
        if request.user in people:
            said = _("A large broadcast is sent by somebody else than those who wrote or changed it: %(people)s.")
            return said % {"people": ", ".join(map(str, people))}
        return ""
    digits = "".join(filter(str.isdecimal, text_line(request.POST, "typed")))
    if key_number(digits) == size.typed:
        return ""
    shown = disclosure.shown(size.typed)
    if size.people is None:
        return _("Type the number of this broadcast, %(number)s, to send it.") % {"number": shown}
    return _("Type the number of people, %(people)s, to send it.") % {"people": shown}


def _context(admin: Any, request: HttpRequest, draft: MessageRequest, problem: str) -> dict[str, Any]:
    errors = [(field, e) for field, found in request_errors(draft).items() for one in found for e in one.messages]
    errors = [(field, _error_text(field, message, request.user)) for field, message in errors]
    try:
        size = _Size.of(draft, request.user)
    except DbmailError:
        size = _Size(0, disclosure.shown(0), 0)
    second = size.is_large and config().large_audience.approval == "second"
    wrote_it = authors(draft) if second else []
    try:
        sender = str(author(draft).sender)
    except DbmailError:
        sender = ""
    names = ("preview", "body", "sender", "everyone", "confirm", "people")
    return {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": _("Check and send"),
        "subtitle": draft.subject or None,
        "original": draft,
        "draft": draft,
        "problem": problem,
        "errors": errors,
        "people_shown": size.shown,
        "is_withheld": size.people is None,
        "to_type": disclosure.shown(size.typed),
        "sendto": sendto_in_words(draft.sendto_fn_name),
        "audience": audience_in_words(draft),
        "sender": sender,
        "reply_to": reply_to_of(draft),
        "later": bool(draft.processed_by and draft.processed_by > timezone.now()),
        "typed": size.is_large and config().large_audience.approval == "typed",
        "second_person": request.user in wrote_it,
        "wrote_it": ", ".join(map(str, wrote_it)),
        "canary": disclosure.shown(config().breaker.canary) if config().breaker.canary else "",
        "canary_wait": round(config().breaker.canary_wait.total_seconds() / 60),
        "canary_first": request.method != "POST" or _canary_first(request),
        "may_send": may_send(request.user),
        "may_compose": may_compose(request.user),
        "may_see_recipients": may_see_recipients(request.user),
        # Only people who may see recipients learn here that the audience is empty.
        "can_go": not errors and (size.people is None or size.people > 0 or not may_see_recipients(request.user)),
        "token": edition_of(draft),
        "time_zone": timezone.get_current_timezone_name(),
        "urls": {name: reverse(f"admin:dbmail_messagerequest_{name}", args=[draft.pk]) for name in names},
        "media": admin.media,
    }


def _error_text(field: str, message: str, user: Any) -> str:
    return disclosure.audience_error(UnresolvableQuery(message), user) if field == "recipients" else message


def send_test(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """Send the draft as it is on the page, unsaved, to oneself or colleagues, as the chosen recipient would get it."""
    draft = draft_of(request, stored)
    try:
        to = _testers(request)
        rendered = MessageRenderer(draft).render(sample_user(request, draft, text_line(request.POST, "as")))
        rendered = rendered.as_example()
        send_mail(
            _("[Test] %(subject)s") % {"subject": rendered.subject},
            rendered.body,
            str(author(draft).sender),
            to,
            extra_headers=request_headers(draft),
            transactional=True,
        )
    except (DbmailError, OSError) as error:
        return JsonResponse({"problem": str(error)})
    admin.log_change(request, stored, _("Sent a test."))
    return JsonResponse({"done": _("A test is on its way to %(to)s.") % {"to": ", ".join(to)}})


def _testers(request: HttpRequest) -> list[str]:
    """The addresses in the form, or one's own if it is empty.

    Raises AddressError for an address that is neither one's own nor that of active staff.
    """
    own = address_of(request.user)
    given = [part.strip() for part in text_line(request.POST, "to").split(",") if part.strip()] or [own]
    if len(given) > _TESTERS:
        raise AddressError(_("A test goes to %(number)d addresses at most.") % {"number": _TESTERS})
    for text in given:
        if not text:
            raise AddressError(_("Your account has no e-mail address to send a test to."))
        address = parse_mailbox(text).address
        if own and normalise(address) == normalise(own):
            continue
        if not may_see_recipients(request.user):  # otherwise they could find out which addresses are staff's
            raise AddressError(_("A test goes to you only; who may see recipients can send it to other staff too."))
        if not any(map(is_staff, active_accounts(has_address(address)))):
            raise AddressError(_("A test goes to you or to other staff, and %(to)s is neither.") % {"to": address})
    return given


def _changer(change: Callable[[MessageRequest], bool], done: str, too_late: str) -> Any:
    def view(admin: Any, request: HttpRequest, broadcast: MessageRequest) -> HttpResponse:
        if change(broadcast):
            admin.log_change(request, broadcast, _(done))
            messages.success(request, _(done))
        else:
            messages.warning(request, _(too_late))
        return redirect("admin:dbmail_messagerequest_change", broadcast.pk)

    view.__name__ = change.__name__
    return view


pause = _changer(control.pause, gettext_noop("Paused."), gettext_noop("It is not under way."))
resume = _changer(control.resume, gettext_noop("Resumed."), gettext_noop("It was not paused."))
cancel = _changer(
    control.cancel, gettext_noop("Cancelled: what had not left is dropped."), gettext_noop("It has ended already.")
)
reopen = _changer(
    control.reopen,
    gettext_noop("It is a draft again."),
    gettext_noop("Every recipient has become a mail: it is too late for that."),
)
