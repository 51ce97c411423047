"""The last page before a broadcast goes out, and everything that changes its state."""

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
from django.utils.formats import number_format
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
from ..people import active_accounts, has_address, is_staff
from ..preflight.everyone import still_failing
from ..preflight.survey import people_in
from ..rendering.message import MessageRenderer
from . import draft as drafts
from . import numbers
from .compose import own_address, sendto_in_words
from .given import line, number
from .permissions import may_compose, may_see_recipients, may_send
from .preview import draft_of, sample_user
from .survey import audience_in_words

#: Colleagues that one test goes to at most.
_TESTERS = 5


def page(admin: Any, request: HttpRequest, draft: MessageRequest) -> HttpResponse:
    """Numbers, a sample, time and sender; the POST lets it go."""
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
    """Schedule `draft` if it is what the person has seen; "" or why not."""
    with transaction.atomic():
        draft = MessageRequest.objects.select_for_update().get(pk=draft.pk)
        if request.POST.get("token") != drafts.fingerprint(draft):
            return _("The draft was changed since you opened this page. Look at it again.")
        if request_errors(draft):
            return _("It cannot be sent like this: see the errors.")
        # What depends on people comes last, so that nobody learns it who could not send.
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
    """What the box says, which is there only where the project has mails go ahead at all."""
    return not config().breaker.canary or "canary" in request.POST


@dataclass(frozen=True, slots=True)
class _Size:
    """An audience as one person may know it. `people` is None where they may not: then it counts as large."""

    people: int | None
    shown: str
    #: The number that is typed to send it.
    typed: int

    @classmethod
    def of(cls, draft: MessageRequest, user: Any) -> "_Size":
        if numbers.is_withheld(user, draft):
            return cls(None, numbers.withheld(), draft.pk)
        people, exact = people_in(draft), may_see_recipients(user)
        return cls(people, numbers.shown(people, exact), people if exact else numbers.rough(people))

    @property
    def is_large(self) -> bool:
        return self.people is None or self.people > config().large_audience.people


def _people_problem(admin: Any, request: HttpRequest, draft: MessageRequest) -> str:
    """What is wrong with those whom it goes to; in words that tell nobody's data, and kept in the history, for who
    may not see recipients."""
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
    ) % {"number": number_format(failed, force_grouping=True)}


def _not_approved(request: HttpRequest, draft: MessageRequest, size: _Size) -> str:
    """What is missing of what a large audience takes; "" if nothing is."""
    if not size.is_large:
        return ""
    if config().large_audience.approval == "second":
        people = authors(draft)
        if request.user in people:
            said = _("A large broadcast is sent by somebody else than those who wrote or changed it: %(people)s.")
            return said % {"people": ", ".join(map(str, people))}
        return ""
    digits = "".join(filter(str.isdecimal, line(request.POST, "typed")))
    if number(digits) == size.typed:
        return ""
    shown = number_format(size.typed, force_grouping=True)
    if size.people is None:
        return _("Type the number of this broadcast, %(number)s, to send it.") % {"number": shown}
    return _("Type the number of people, %(people)s, to send it.") % {"people": shown}


def _context(admin: Any, request: HttpRequest, draft: MessageRequest, problem: str) -> dict[str, Any]:
    errors = [(field, e) for field, found in request_errors(draft).items() for one in found for e in one.messages]
    errors = [(field, _said(field, message, request.user)) for field, message in errors]
    try:
        size = _Size.of(draft, request.user)
    except DbmailError:
        size = _Size(0, numbers.shown(0), 0)
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
        "to_type": number_format(size.typed, force_grouping=True),
        "sendto": sendto_in_words(draft.sendto_fn_name),
        "audience": audience_in_words(draft),
        "sender": sender,
        "reply_to": drafts.reply_to(draft),
        "later": bool(draft.processed_by and draft.processed_by > timezone.now()),
        "typed": size.is_large and config().large_audience.approval == "typed",
        "second_person": request.user in wrote_it,
        "wrote_it": ", ".join(map(str, wrote_it)),
        "canary": number_format(config().breaker.canary, force_grouping=True) if config().breaker.canary else "",
        "canary_wait": round(config().breaker.canary_wait.total_seconds() / 60),
        "canary_first": request.method != "POST" or _canary_first(request),
        "may_send": may_send(request.user),
        "may_compose": may_compose(request.user),
        "may_see_recipients": may_see_recipients(request.user),
        # Whether there is anybody is told to who may know it.
        "can_go": not errors and (size.people is None or size.people > 0 or not may_see_recipients(request.user)),
        "token": drafts.fingerprint(draft),
        "time_zone": timezone.get_current_timezone_name(),
        "urls": {name: reverse(f"admin:dbmail_messagerequest_{name}", args=[draft.pk]) for name in names},
        "media": admin.media,
    }


def _said(field: str, message: str, user: Any) -> str:
    return numbers.said(UnresolvableQuery(message), user) if field == "recipients" else message


def send_test(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """Send the draft as it is on the page to oneself or to colleagues, as the chosen recipient would get it."""
    draft = draft_of(request, stored)
    try:
        to = _testers(request)
        rendered = MessageRenderer(draft).render(sample_user(request, draft, line(request.POST, "as")))
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
    """The addresses of the form: one's own, or those of active staff. Raises AddressError for any other."""
    own = own_address(request.user)
    given = [part.strip() for part in line(request.POST, "to").split(",") if part.strip()] or [own]
    if len(given) > _TESTERS:
        raise AddressError(_("A test goes to %(number)d addresses at most.") % {"number": _TESTERS})
    for text in given:
        if not text:
            raise AddressError(_("Your account has no e-mail address to send a test to."))
        address = parse_mailbox(text).address
        if own and normalise(address) == normalise(own):
            continue
        if not may_see_recipients(request.user):  # else they would learn which addresses are of staff
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
