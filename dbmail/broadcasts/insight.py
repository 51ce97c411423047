"""What became of a broadcast: mails that did not go, by reason, and why an address got it or did not."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from ..addresses import normalise
from ..exceptions import DbmailError
from ..models import Attempt, MailEvent, MessageRequest, Suppression, TextOfEmail
from ..models.choices import meaning_of
from ..people import has_address

#: Failed mails of one broadcast that are looked at; more of them have the same reasons.
_MOST = 20_000
_ADDRESS = re.compile(r"<?[^\s<>@]+@[^\s<>@,;:]+>?")
_IP = re.compile(r"\[?\b\d{1,3}(?:\.\d{1,3}){3}\b\]?")
# A queue or session number: letters and digits mixed, or many digits.
_NUMBER = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{7,}\b|\b\d{6,}\b")
_CODES = re.compile(r"[245]\d\d(?: [245]\.\d{1,3}\.\d{1,3})?\b")
ENDED = (TextOfEmail.State.FAILED, TextOfEmail.State.IN_DOUBT, TextOfEmail.State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Group:
    """Mails that ended for one reason; `reason` is without addresses and numbers."""

    state: str
    reason: str
    count: int


def reason_of(reply: str) -> str:
    """What a reply says without what differs from mail to mail: addresses, IPs, queue numbers."""
    text = _NUMBER.sub("…", _IP.sub("…", _ADDRESS.sub("…", reply)))
    return " ".join(text.split())[:300]


def code_of(reply: str) -> str:
    """The codes of a reply (RFC 5321, RFC 3463) alone: its words may hold somebody's name."""
    found = _CODES.match(reply)
    return found[0] if found else ""


def failure_groups(request: MessageRequest, why: Callable[[str], str] = reason_of) -> list[Group]:
    """The reasons, most frequent first; `why` makes one of a reply."""
    rows = _ended(request).values_list("state", "last_reply")[:_MOST]
    counted = Counter((state, why(reply)) for state, reply in rows)
    return [Group(state, reason, count) for (state, reason), count in counted.most_common()]


def mails_of(request: MessageRequest, state: str, reason: str, why: Callable[[str], str] = reason_of) -> list[int]:
    """The keys of the mails in one group."""
    rows = _ended(request).filter(state=state).values_list("pk", "last_reply")[:_MOST]
    return [pk for pk, reply in rows if why(reply) == reason]


def _ended(request: MessageRequest) -> "QuerySet[TextOfEmail]":
    return TextOfEmail.objects.filter(messagerequest=request, state__in=ENDED).order_by()


#: Broadcasts that are explained, newest first.
BROADCASTS = 20
MAILS = 50
_State = MessageRequest.State


@dataclass(frozen=True, slots=True)
class Explanation:
    """One broadcast and one address: whether it got a mail, and why in words."""

    broadcast: MessageRequest
    got_it: bool
    why: str
    mail: TextOfEmail | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known about one address."""

    address: str
    accounts: Sequence[Any]
    suppressions: Sequence[Suppression]
    explanations: Sequence[Explanation]
    mails: Sequence[tuple[TextOfEmail, Sequence[Attempt]]]
    events: Sequence[MailEvent]


def trace(text: str) -> Trace:
    """What happened to `text`, an address in any spelling."""
    address = normalise(text)
    model = get_user_model()
    accounts = list(model._default_manager.filter(has_address(text))[:10])
    mails = TextOfEmail.objects.filter(address=address).defer("msgtext", "plaintext")
    found = list(mails.order_by("-pk")[:MAILS])
    tries: dict[int, list[Attempt]] = {mail.pk: [] for mail in found}
    for line in Attempt.objects.filter(textofemail__in=found).order_by("pk"):
        tries[line.textofemail_id].append(line)
    return Trace(
        address,
        accounts,
        list(Suppression.objects.filter(address=address)),
        list(_explanations(address, accounts)),
        [(mail, tries[mail.pk]) for mail in found],
        list(MailEvent.objects.filter(address=address).order_by("-at")[:MAILS]),
    )


def _explanations(address: str, accounts: Sequence[Any]) -> Iterable[Explanation]:
    requests = MessageRequest.objects.exclude(state=_State.DRAFT).select_related("recipients").defer("msgtext")
    recent = list(requests.order_by("-pk")[:BROADCASTS])
    mails = TextOfEmail.objects.filter(messagerequest__in=recent, address=address).defer("msgtext", "plaintext")
    by_request = {mail.messagerequest_id: mail for mail in mails.order_by("pk")}
    for request in recent:
        mail = by_request.get(request.pk)
        if mail:
            yield Explanation(request, mail.state == TextOfEmail.State.SENT, _why(mail), mail)
        else:
            yield Explanation(request, False, why_no_mail(request, accounts, _in_audience(request, accounts)))


def _why(mail: TextOfEmail) -> str:
    said = meaning_of(mail.get_state_display())
    return f"{said}. {mail.last_reply}".strip() if mail.last_reply else f"{said}."


def _in_audience(request: MessageRequest, accounts: Sequence[Any]) -> list[Any]:
    """Those of `accounts` that the audience finds today, active or not."""
    if not accounts:
        return []
    try:
        q = request.recipients.get_Q(restrict_to_active=False)
        people = get_user_model()._default_manager.filter(q, pk__in=[user.pk for user in accounts])
        return list(people.distinct())
    except (DbmailError, ValueError, TypeError):
        return []


def why_no_mail(request: MessageRequest, accounts: Sequence[Any], in_audience: Sequence[Any]) -> str:
    """The reason in words, from what was found."""
    if not request.processed and request.state != _State.CANCELLED:
        return _("The broadcast has not come to its recipients yet, or not to all.")
    if not accounts:
        return _("No account has this address. It gets mail only as somebody's guardian or emergency contact.")
    if not in_audience:
        return _("The account is not in the audience.")
    if not any(getattr(user, "is_active", True) for user in in_audience):
        return _("The account is in the audience, but it is not active.")
    if "self" not in (request.sendto_fn_name or "send_to_self"):
        return _("The account is in the audience, but the mail went to guardians or emergency contacts only.")
    if request.state == _State.CANCELLED:
        return _("The broadcast was cancelled before it came to this recipient.")
    return _("The account is in the audience today. It was not, or it had another address, when the mails were made.")
