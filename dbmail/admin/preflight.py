"""What the pages of a draft ask about its audience: how many people it has, and what a survey of them finds."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..audience.builder import NOBODY, tree_of, words
from ..conf import config
from ..exceptions import DbmailError
from ..models import MessageRequest, Preflight
from ..preflight.audience import Audience, check_audience, check_choices
from ..preflight.everyone import leave_to_passes, take_further
from ..preflight.reach import Reach, Seen
from ..preflight.survey import people_in, survey_piece
from ..times import as_shown
from . import disclosure
from .draft_form import DraftForm
from .permissions import may_compose, may_see_recipients
from .preview import as_data, draft_of, in_words

#: For how many seconds one request surveys people.
_SECONDS = 1.5


def count(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """The audience on the page: how many people it has now, and what it is in words."""
    form = DraftForm(request.POST if may_compose(request.user) else {}, stored)
    draft = form.apply(stored) if may_compose(request.user) and stored.state == MessageRequest.State.DRAFT else stored
    if form.errors.get("audience"):
        return JsonResponse({"problem": " ".join(map(str, form.errors["audience"]))})
    try:
        if disclosure.is_withheld(request.user, draft):
            counted: dict[str, Any] = {"people": None, "said": disclosure.withheld()}
        else:
            people, exact = people_in(draft), may_see_recipients(request.user)
            said = _("%(number)s people") % {"number": disclosure.shown(people, exact)}
            counted = {"people": people if exact else None, "said": said}
        return JsonResponse({**counted, "words": audience_in_words(draft)})
    except DbmailError as error:
        return JsonResponse({"problem": disclosure.audience_error(error, request.user)})


def audience_in_words(draft: MessageRequest) -> str:
    tree = tree_of(draft.recipients.q_filter)
    if draft.recipients.useful_name and (tree is None or tree.get("match") not in ("nobody", "everyone")):
        return draft.recipients.useful_name
    return words(tree) if tree else str(draft.recipients)


@non_atomic_requests  # it only reads, and for longer than a transaction should be open
def first_people(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """Survey the first people, with the draft as the page shows it now."""
    draft = draft_of(request, stored)
    if not may_see_recipients(request.user):
        return JsonResponse(_withheld(draft))
    try:
        piece = survey_piece(draft, seconds=_SECONDS)
        return JsonResponse(_answer(draft, piece.seen, piece.after is None))
    except DbmailError as error:
        return JsonResponse({"problem": disclosure.audience_error(error, request.user)})


@non_atomic_requests  # each piece is a transaction of its own
def everyone(admin: Any, request: HttpRequest, draft: MessageRequest) -> HttpResponse:
    """Take the preflight further, with the draft as it is stored; the page asks again until it is complete.

    When the page is closed before that, passes go on.
    """
    gone = JsonResponse({"problem": _("This broadcast is no draft any more. Reload the page.")}, status=409)
    if draft.state != MessageRequest.State.DRAFT:
        return gone
    try:
        if not may_see_recipients(request.user):
            leave_to_passes(draft)
            return JsonResponse(_withheld(draft))
        row = take_further(draft, _SECONDS)
        answer = _answer(draft, Seen.read(row.seen), row.finished_at is not None)
    except (Preflight.DoesNotExist, IntegrityError):
        return gone  # deleted or sent at this moment
    except DbmailError as error:
        return JsonResponse({"problem": disclosure.audience_error(error, request.user)})
    if row.finished_at:
        at = date_format(as_shown(row.finished_at), "TIME_FORMAT")
        answer["said"] = _("Everyone was looked at (%(time)s).") % {"time": at}
    else:
        answer["said"] += " " + _("It goes on, also when you leave this page.")
    return JsonResponse(answer)


def _withheld(draft: MessageRequest) -> dict[str, Any]:
    """The answer for people who may not see recipients, from the draft alone.

    What a survey finds depends on people, and whoever writes the draft chooses both whom it covers and what it finds.
    Nobody is surveyed here: how long that takes would depend on people, too.
    """
    remarks = check_choices(draft.sendto_fn_name, nobody=tree_of(draft.recipients.q_filter) == NOBODY)
    said = _("People are looked at one by one before it is sent; who may see recipients sees what is found.")
    return {
        "complete": True,
        "mails": {},
        "chosen": "",
        "said": said,
        "findings": [{**as_data(remark), "people": []} for remark in remarks],
    }


def _answer(draft: MessageRequest, seen: Seen, complete: bool) -> dict[str, Any]:
    """The answer for people who may see recipients."""
    people = people_in(draft)
    facts = Audience(people, seen, draft.sendto_fn_name, config().large_audience.people)
    numbers = {"looked": disclosure.shown(seen.people), "people": disclosure.shown(people)}
    said = _("Looked at %(looked)s of %(people)s people.") % numbers

    def mails(reach: Reach) -> str:
        return _mails(reach.mails if complete else _scaled(reach.mails, seen.people, people), complete)

    return {
        "complete": complete,
        "mails": {sendto: mails(reach) for sendto, reach in seen.reach.items()},
        "chosen": mails(facts.reach),
        "said": "" if complete else said,
        "findings": [{**as_data(remark), "people": _names(remark.people)} for remark in check_audience(facts)],
    }


def _scaled(mails: int, looked_at: int, people: int) -> int:
    return round(mails * max(people, looked_at) / looked_at) if looked_at else 0


def _mails(number: int, exact: bool) -> str:
    if exact:
        return ngettext("%(number)s mail", "%(number)s mails", number) % {"number": disclosure.shown(number)}
    return ngettext("about %(number)s mail", "about %(number)s mails", number) % {"number": disclosure.shown(number)}


def _names(keys: tuple[str, ...]) -> list[dict[str, str]]:
    """The people with these keys, in words; those who have been deleted are left out."""
    if not keys:
        return []
    model = get_user_model()
    try:
        found = {str(user.pk): user for user in model._default_manager.filter(pk__in=keys)}
    except (ValueError, ValidationError):
        return []
    return [{"pk": key, "name": in_words(found[key])} for key in keys if key in found]
