"""The audience in numbers, while it is being chosen and before it is sent to."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..audience.builder import tree_of, words
from ..conf import config
from ..exceptions import DbmailError
from ..models import MessageRequest, Preflight
from ..preflight.audience import Audience, check_audience
from ..preflight.everyone import take_further
from ..preflight.reach import Reach, Seen
from ..preflight.survey import people_in, survey
from ..times import as_shown
from .draft import DraftForm
from .permissions import may_see_recipients
from .preview import as_data, draft_of, in_words

#: Seconds that one request looks at people.
_SECONDS = 1.5


def count(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """How many people the audience on the page has, and the audience in words."""
    form = DraftForm(request.POST)
    draft = form.apply(stored) if stored.state == MessageRequest.State.DRAFT else stored
    if form.errors.get("audience"):
        return JsonResponse({"problem": " ".join(map(str, form.errors["audience"]))})
    try:
        return JsonResponse({"people": people_in(draft), "words": audience_in_words(draft)})
    except DbmailError as error:
        return JsonResponse({"problem": str(error)})


def audience_in_words(draft: MessageRequest) -> str:
    tree = tree_of(draft.recipients.q_filter)
    if draft.recipients.useful_name and (tree is None or tree.get("match") not in ("nobody", "everyone")):
        return draft.recipients.useful_name
    return words(tree) if tree else str(draft.recipients)


@non_atomic_requests  # it only reads, for longer than a transaction should last
def first_people(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """A quick look at the first people, with the draft as the page shows it now."""
    draft = draft_of(request, stored)
    try:
        piece = survey(draft, seconds=_SECONDS)
        return JsonResponse(_answer(request, draft, piece.seen, piece.after is None))
    except DbmailError as error:
        return JsonResponse({"problem": str(error)})


@non_atomic_requests  # each piece is a transaction of its own
def everyone(admin: Any, request: HttpRequest, draft: MessageRequest) -> HttpResponse:
    """Take the look over everybody further, with the draft as it is stored; the page asks again until it is complete.

    After that, and when the page is closed, passes of the outbox go on.
    """
    gone = JsonResponse({"problem": _("This broadcast is no draft any more. Reload the page.")}, status=409)
    if draft.state != MessageRequest.State.DRAFT:
        return gone
    try:
        row = take_further(draft, _SECONDS)
        answer = _answer(request, draft, Seen.read(row.seen), row.finished_at is not None)
    except (Preflight.DoesNotExist, IntegrityError):
        return gone  # deleted or sent at this moment
    except DbmailError as error:
        return JsonResponse({"problem": str(error)})
    if row.finished_at:
        at = date_format(as_shown(row.finished_at), "TIME_FORMAT")
        answer["said"] = _("Everyone was looked at (%(time)s).") % {"time": at}
    else:
        answer["said"] += " " + _("It goes on, also when you leave this page.")
    return JsonResponse(answer)


def _answer(request: HttpRequest, draft: MessageRequest, seen: Seen, complete: bool) -> dict[str, Any]:
    people, may_see = people_in(draft), may_see_recipients(request.user)
    if not may_see:
        seen = seen.without_reasons()
    facts = Audience(people, seen, draft.sendto_fn_name, config().large_audience.people)
    said = _("Looked at %(looked)s of %(people)s people.")

    def mails(reach: Reach) -> str:
        return _mails(reach.mails if complete else _scaled(reach.mails, seen.people, people), complete)

    return {
        "complete": complete,
        "mails": {sendto: mails(reach) for sendto, reach in seen.reach.items()},
        "chosen": mails(facts.reach),
        "said": "" if complete else said % {"looked": _shown(seen.people), "people": _shown(people)},
        "findings": [
            {**as_data(finding), "people": _names(finding.people) if may_see else []}
            for finding in check_audience(facts)
        ],
    }


def _scaled(mails: int, looked_at: int, people: int) -> int:
    return round(mails * max(people, looked_at) / looked_at) if looked_at else 0


def _mails(number: int, exact: bool) -> str:
    if exact:
        return ngettext("%(number)s mail", "%(number)s mails", number) % {"number": _shown(number)}
    return ngettext("about %(number)s mail", "about %(number)s mails", number) % {"number": _shown(number)}


def _shown(number: int) -> str:
    return number_format(number, force_grouping=True)


def _names(keys: tuple[str, ...]) -> list[dict[str, str]]:
    """People by their keys, as far as they are still there."""
    if not keys:
        return []
    model = get_user_model()
    try:
        found = {str(user.pk): user for user in model._default_manager.filter(pk__in=keys)}
    except (ValueError, ValidationError):
        return []
    return [{"pk": key, "name": in_words(found[key])} for key in keys if key in found]
