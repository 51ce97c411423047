"""The page of a broadcast that is under way or over: progress, failures and why, and a button to try again."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import CharField, Count, F
from django.db.models.functions import Cast, Left
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..broadcasts import control
from ..broadcasts.insight import code_of, failure_groups, mails_of, reason_of
from ..broadcasts.published import is_published
from ..exceptions import DbmailError
from ..models import MailEvent, MessageRequest, TextOfEmail
from ..models.choices import meaning_of, word_of
from ..preflight.survey import people_in
from . import disclosure
from .compose import sendto_in_words
from .form_data import text_line
from .paging import badge
from .permissions import may_compose, may_prepare, may_see_recipients, may_send
from .preflight import audience_in_words

_State = MessageRequest.State
_WAITING = ("queued", "sending")
_UNDER_WAY = (_State.PROCESSING, _State.SENDING, _State.PAUSED)
#: The most bars of the chart.
_BARS = 60
#: The chart reads about this many mails at most: of more it samples every n-th key.
_SAMPLE = 10_000
#: The n to choose from. Primes, because a database cluster may give out only every second or third key.
_EVERY = (1, 11, 23, 47, 97, 199, 401, 809, 1601)


def page(admin: Any, request: HttpRequest, broadcast: MessageRequest) -> HttpResponse:
    context = {
        **admin.admin_site.each_context(request),
        **_context(request, broadcast),
        "opts": admin.opts,
        "title": _("Broadcast"),
        "subtitle": broadcast.subject or None,
        "original": broadcast,
        "audience": _audience(broadcast, request.user),
        "is_published": is_published(broadcast),
        "sendto": sendto_in_words(broadcast.sendto_fn_name),
        "media": admin.media,
    }
    return TemplateResponse(request, "admin/dbmail/messagerequest/watch.html", context)


def parts(admin: Any, request: HttpRequest, broadcast: MessageRequest) -> HttpResponse:
    """State, buttons and failures as HTML, with which the open page replaces its own."""
    context = _context(request, broadcast)
    return TemplateResponse(request, "admin/dbmail/messagerequest/parts.html", context)


def _context(request: HttpRequest, broadcast: MessageRequest) -> dict[str, Any]:
    names = ("progress", "parts", "chart", "requeue", "export", "pause", "resume", "cancel", "reopen", "confirm")
    exact = may_see_recipients(request.user)
    now = _numbers(broadcast, exact)
    return {
        "broadcast": broadcast,
        "badge": badge(broadcast),
        "now": now,
        "now_counts": [
            (state, word_of(label).capitalize(), now["shown"][state]) for state, label in TextOfEmail.State.choices
        ],
        "reason": now["reason"],
        "groups": [] if now["few"] else _groups(broadcast, exact),
        "reports": [] if now["few"] else _reports(broadcast, exact),
        "problems": broadcast.progress.get("problems", []),
        "may_send": may_send(request.user),
        "may_compose": may_compose(request.user),
        "may_prepare": may_prepare(request.user),
        "may_see_recipients": exact,
        "can": _possible(broadcast),
        "urls": {
            name: reverse(f"admin:dbmail_messagerequest_{name}", args=[broadcast.pk])
            for name in (*names, "body", "preview")
        },
    }


def _audience(broadcast: MessageRequest, user: Any) -> str:
    try:
        return audience_in_words(broadcast)
    except DbmailError as error:
        return disclosure.audience_error(error, user)


def _possible(broadcast: MessageRequest) -> dict[str, bool]:
    """Which buttons make sense in the state of `broadcast`."""
    state = broadcast.state
    return {
        "pause": state in (_State.SCHEDULED, _State.PROCESSING, _State.SENDING),
        "resume": state in (_State.PAUSED, _State.FAILED),
        "reopen": state in (_State.SCHEDULED, _State.PAUSED, _State.FAILED) and not broadcast.processed,
        "cancel": state not in (_State.DONE, _State.CANCELLED, _State.DRAFT),
        "confirm": state == _State.DRAFT,
    }


def _why(exact: bool) -> Callable[[str], str]:
    """How failures are grouped: by the whole reply of a server, or by its code alone if not `exact`."""
    return reason_of if exact else code_of


def _groups(broadcast: MessageRequest, exact: bool) -> list[dict[str, Any]]:
    names = dict(TextOfEmail.State.choices)
    return [
        {
            "state": group.state,
            "label": word_of(names[group.state]).capitalize(),
            "reason": group.reason,
            "count": disclosure.shown(group.count, exact),
        }
        for group in failure_groups(broadcast, _why(exact))
    ]


def _reports(broadcast: MessageRequest, exact: bool) -> list[tuple[str, str]]:
    """What other servers and readers reported later, with how often, the most frequent first."""
    names = dict(MailEvent.Type.choices)
    rows = MailEvent.objects.filter(textofemail__messagerequest=broadcast).order_by().values_list("event_type")
    counted = rows.annotate(number=Count("*")).order_by("-number")
    return [(names.get(kind, kind), disclosure.shown(number, exact)) for kind, number in counted]


def progress(admin: Any, request: HttpRequest, broadcast: MessageRequest) -> HttpResponse:
    return JsonResponse(_numbers(broadcast, may_see_recipients(request.user)))


def _numbers(broadcast: MessageRequest, exact: bool) -> dict[str, Any]:
    """The numbers of the page. Counts by state come from the index; no row is read.

    If not `exact`, numbers are rough, so that they give no single person away; of fewer than FEW mails only the state
    is told (`few`).
    """
    counts = dict.fromkeys(TextOfEmail.State.values, 0)
    rows = TextOfEmail.objects.filter(messagerequest=broadcast).order_by().values_list("state")
    counts |= dict(rows.annotate(number=Count("*")))
    real = dict(counts)
    made, people = sum(counts.values()), 0
    if not broadcast.processed and broadcast.state in (_State.SCHEDULED, _State.PROCESSING, _State.PAUSED):
        try:
            people = people_in(broadcast)
        except DbmailError:
            people = 0
    waiting, looked_at = sum(counts[state] for state in _WAITING), broadcast.progress.get("recipients", 0)
    most = {"people": people, "looked_at": looked_at, "made": made, "left": made - waiting}
    few = not exact and max(most.values()) < disclosure.FEW
    if not exact:
        most = {name: disclosure.rough(number) for name, number in most.items()}
        counts = {state: 0 if few else disclosure.rough(number) for state, number in real.items()}
    told = {name: disclosure.shown(number, exact) for name, number in (real | most).items()}
    if not exact and not few:
        told |= {state: "0" for state, number in real.items() if not number}
    return {
        "few": few,
        "exact": exact,
        "shown": told,
        "state": broadcast.state,
        "state_label": word_of(broadcast.get_state_display()).capitalize(),
        "explained": meaning_of(broadcast.get_state_display()),
        "reason": broadcast.reason_for(exact),
        "processed": broadcast.processed,
        **most,
        # Mails that wait, and an estimate of those still to be made: as many for each of the rest of the people.
        "to_go": waiting + (round(made * max(people - looked_at, 0) / looked_at) if looked_at else 0) if exact else 0,
        "counts": counts,
        "over": broadcast.state in (_State.DONE, _State.CANCELLED, _State.FAILED, _State.DRAFT),
    }


def chart(admin: Any, request: HttpRequest, broadcast: MessageRequest) -> HttpResponse:
    """How many mails left over time, as bars of equally many minutes; estimated from a sample if `every` > 1."""
    # No index has the time when a mail left, and rows are long: the index gives the number and the keys of a sample.
    rows = TextOfEmail.objects.filter(messagerequest=broadcast, state=TextOfEmail.State.SENT).order_by()
    made = rows.count()
    every = next((step for step in _EVERY if made <= step * _SAMPLE), _EVERY[-1])
    rows = rows.alias(place=F("pk") % every).filter(place=0, sent__isnull=False)
    # The first 16 characters are the time to the minute on every database, and need no tables of time zones there.
    minute = Left(Cast("sent", CharField()), 16)
    counted = rows.annotate(minute=minute).values_list("minute").annotate(number=Count("*"))
    exact = may_see_recipients(request.user)
    if not exact and made < disclosure.FEW:
        return JsonResponse({"bars": [], "minutes": 1, "every": every, "exact": exact})
    found = [(datetime.fromisoformat(at), number * every) for at, number in counted]
    if not found:
        return JsonResponse({"bars": [], "minutes": 1, "every": every, "exact": exact})
    first = min(at for at, _number in found)
    minutes = [(int((at - first).total_seconds() // 60), number) for at, number in found]
    width = max(minute for minute, _number in minutes) // _BARS + 1
    bars = [0] * (max(minute for minute, _number in minutes) // width + 1)
    for minute_, number in minutes:
        bars[minute_ // width] += number
    bars = bars if exact else [disclosure.rough(number) for number in bars]
    return JsonResponse(
        {"bars": bars, "minutes": width, "first": first.isoformat(), "every": every, "exact": exact and every == 1}
    )


def requeue(admin: Any, request: HttpRequest, broadcast: MessageRequest) -> HttpResponse:
    """Queue one group of failed mails again."""
    exact = may_see_recipients(request.user)
    ids = mails_of(broadcast, text_line(request.POST, "state"), text_line(request.POST, "reason"), _why(exact))
    count = 0
    for start in range(0, len(ids), 500):
        count += control.requeue(TextOfEmail.objects.filter(pk__in=ids[start : start + 500]))
    if count:
        said = ngettext("%(count)d mail is tried again.", "%(count)d mails are tried again.", count) % {"count": count}
        mails = _("Mails that did not go are tried again.")  # in the history, which others read too
        admin.log_change(request, broadcast, mails)
        messages.success(request, said if exact else mails)
    elif broadcast.not_after and broadcast.not_after <= timezone.now():
        messages.warning(request, _("Its last moment is over: nothing of it is sent any more."))
    else:
        messages.warning(request, _("There is nothing to try again."))
    return redirect("admin:dbmail_messagerequest_change", broadcast.pk)


def with_waiting(broadcasts: "list[MessageRequest]") -> "list[MessageRequest]":
    """Set `waiting`, the number of mails that wait, on the broadcasts under way, by one query; returns all of them."""
    under_way = [broadcast for broadcast in broadcasts if broadcast.state in _UNDER_WAY]
    rows = TextOfEmail.objects.filter(messagerequest__in=under_way, state__in=_WAITING).order_by()
    counts = dict(rows.values_list("messagerequest").annotate(number=Count("*"))) if under_way else {}
    for broadcast in under_way:
        broadcast.waiting = counts.get(broadcast.pk, 0)  # type: ignore[attr-defined]
    return broadcasts


def progress_in_list(broadcast: MessageRequest, exact: bool) -> str:
    """How many mails were made and, while it is under way, how many have left. Needs `with_waiting`."""
    made = broadcast.progress.get("mails")
    if not isinstance(made, int):
        return ""
    shown = disclosure.shown(made, exact)
    if not exact and made < disclosure.FEW:
        return shown
    if broadcast.state not in _UNDER_WAY:
        return shown
    waiting = getattr(broadcast, "waiting", None) or 0
    gone = max(made - waiting, 0)
    left = disclosure.shown(gone, exact)
    if not exact:
        made, gone = disclosure.rough(made), disclosure.rough(gone)
    return format_html(
        '<progress max="{}" value="{}"></progress> {}',
        str(max(made, 1)),
        str(gone),
        _("%(left)s of %(made)s") % {"left": left, "made": shown},
    )
