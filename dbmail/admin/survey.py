"""The audience in numbers, while it is being chosen and before it is sent to."""

import json
from dataclasses import asdict
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse

from ..conf import config
from ..exceptions import DbmailError
from ..models import MessageRequest
from ..preflight import audience as audience_checks
from ..preflight import survey as surveys
from ..recipients.builder import tree_of, words
from .draft import DraftForm
from .permissions import may_see_recipients
from .preview import as_data, draft_of

_SECONDS = 1.5


def count(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """How many people the audience on the page has, and the audience in words."""
    form = DraftForm(request.POST)
    draft = form.apply(stored) if stored.state == MessageRequest.State.DRAFT else stored
    if form.errors.get("audience"):
        return JsonResponse({"problem": " ".join(map(str, form.errors["audience"]))})
    try:
        return JsonResponse({"people": surveys.people_in(draft), "words": audience_in_words(draft)})
    except DbmailError as error:
        return JsonResponse({"problem": str(error)})


def audience_in_words(draft: MessageRequest) -> str:
    tree = tree_of(draft.recipients.q_filter)
    if draft.recipients.useful_name and (tree is None or tree.get("match") not in ("nobody", "everyone")):
        return draft.recipients.useful_name
    return words(tree) if tree else str(draft.recipients)


def piece(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """One piece of the look over the audience; the page asks for the next one with its `after`."""
    draft = draft_of(request, stored)
    try:
        after = _key(request.POST.get("after", ""))
    except (ValueError, ValidationError):
        return JsonResponse({"problem": "after"}, status=400)
    try:
        seen = surveys.survey(draft, after, _SECONDS)
    except DbmailError:
        # A text that cannot be rendered at all: addresses can still be counted.
        try:
            seen = surveys.survey(draft, after, _SECONDS, rendering=False)
        except DbmailError as error:
            return JsonResponse({"problem": str(error)})
    data = asdict(seen)
    if not may_see_recipients(request.user):
        data["failures"] = []  # an error may quote a person's data
    data["after"] = None if seen.after is None else str(seen.after)
    return JsonResponse(data)


def _key(text: str) -> Any:
    return get_user_model()._meta.pk.to_python(text) if text else None


def checks(admin: Any, request: HttpRequest, stored: MessageRequest) -> HttpResponse:
    """What the numbers that the page has added up mean, in sentences."""
    draft = draft_of(request, stored)
    try:
        numbers = json.loads(request.POST.get("numbers", ""))
    except ValueError:
        return JsonResponse({"problem": "numbers"}, status=400)
    facts = audience_checks.Audience.read(numbers, sendto=draft.sendto_fn_name, large=config().large_audience)
    return JsonResponse({"findings": [as_data(finding) for finding in audience_checks.check_audience(facts)]})
