"""The last page before a broadcast goes out, and everything that changes its state."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
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
from ..broadcasts.validate import request_errors
from ..conf import config
from ..delivery.from_address import author
from ..delivery.headers import request_headers
from ..delivery.send import send_mail
from ..exceptions import AddressError, DbmailError
from ..models import MessageRequest
from ..people import has_address
from ..preflight.everyone import still_failing
from ..preflight.survey import people_in
from ..rendering.message import MessageRenderer
from . import draft as drafts
from .compose import own_address, sendto_in_words
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
        people = people_in(draft)
        if not people:
            return _("Nobody is in the audience.")
        if failed := still_failing(draft):
            return ngettext(
                "The text fails for %(number)s person, and there it would stop: see the checks.",
                "The text fails for %(number)s people, and there it would stop: see the checks.",
                failed,
            ) % {"number": number_format(failed, force_grouping=True)}
        if people > config().large_audience.people:
            problem = _approved(request, draft, people)
            if problem:
                return problem
        first = _canary_first(request)
        if not control.schedule(draft, first):
            return _("This broadcast is no draft any more.")
        said = _("Scheduled for %(people)d people.") % {"people": people}
        if not first:
            said += " " + _("No mails go ahead.")
        admin.log_change(request, draft, said)
    later = draft.processed_by and draft.processed_by > timezone.now()
    messages.success(request, _("It goes out at the time you chose.") if later else _("It goes out now."))
    return ""


def _canary_first(request: HttpRequest) -> bool:
    """What the box says, which is there only where the project has mails go ahead at all."""
    return not config().breaker.canary or "canary" in request.POST


def _approved(request: HttpRequest, draft: MessageRequest, people: int) -> str:
    """What a large audience takes; "" or what is missing."""
    if config().large_audience.approval == "second":
        if draft.creator_id == request.user.pk:
            return _("A large broadcast is sent by somebody else than the one who wrote it.")
        return ""
    digits = "".join(filter(str.isdecimal, request.POST.get("typed", "")))
    if not digits or int(digits) != people:
        return _("Type the number of people, %(people)s, to send it.") % {
            "people": number_format(people, force_grouping=True)
        }
    return ""


def _context(admin: Any, request: HttpRequest, draft: MessageRequest, problem: str) -> dict[str, Any]:
    errors = [(field, e) for field, found in request_errors(draft).items() for one in found for e in one.messages]
    try:
        people = people_in(draft)
    except DbmailError:
        people = 0
    try:
        sender = str(author(draft).sender)
    except DbmailError:
        sender = ""
    large, approval = people > config().large_audience.people, config().large_audience.approval
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
        "people": people,
        "people_shown": number_format(people, force_grouping=True),
        "sendto": sendto_in_words(draft.sendto_fn_name),
        "audience": audience_in_words(draft),
        "sender": sender,
        "reply_to": drafts.reply_to(draft),
        "later": bool(draft.processed_by and draft.processed_by > timezone.now()),
        "typed": large and approval == "typed",
        "second_person": large and approval == "second" and draft.creator_id == request.user.pk,
        "canary": number_format(config().breaker.canary, force_grouping=True) if config().breaker.canary else "",
        "canary_wait": round(config().breaker.canary_wait.total_seconds() / 60),
        "canary_first": request.method != "POST" or _canary_first(request),
        "may_send": may_send(request.user),
        "may_compose": may_compose(request.user),
        "may_see_recipients": may_see_recipients(request.user),
        "can_go": not errors and people > 0,
        "token": drafts.fingerprint(draft),
        "time_zone": timezone.get_current_timezone_name(),
        "urls": {name: reverse(f"admin:dbmail_messagerequest_{name}", args=[draft.pk]) for name in names},
        "media": admin.media,
    }


def send_test(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """Send the draft as it is on the page to oneself or to colleagues, as the chosen recipient would get it."""
    draft = draft_of(request, stored)
    try:
        to = _testers(request)
        rendered = MessageRenderer(draft).render(sample_user(request, draft, request.POST.get("as", "")))
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
    given = [part.strip() for part in request.POST.get("to", "").split(",") if part.strip()] or [own]
    if len(given) > _TESTERS:
        raise AddressError(_("A test goes to %(number)d addresses at most.") % {"number": _TESTERS})
    model = get_user_model()
    for text in given:
        if not text:
            raise AddressError(_("Your account has no e-mail address to send a test to."))
        address = parse_mailbox(text).address
        if own and normalise(address) == normalise(own):
            continue
        colleague = Q(has_address(address), is_active=True, is_staff=True)
        if not hasattr(model, "is_staff") or not model._default_manager.filter(colleague).exists():
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
