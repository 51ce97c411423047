"""What one pass did, and the notices to those who have to know."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..addresses import normalise, parse_mailbox
from ..blame import is_a_bug
from ..conf import config
from ..delivery.send import send_mail
from ..exceptions import AddressError
from ..models import MessageRequest
from ..people import address_of
from .insight import reason_of

log = logging.getLogger(__name__)

#: Failures that are written out in a notice; the others are a number.
EXAMPLES = 20


@dataclass
class Failures:
    """Failed mails of one broadcast: how many, and the first of them with the reasons."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)

    def reasons(self) -> list[tuple[str, str]]:
        """The examples for somebody who may not see recipients: what was said, without whom it is about."""
        return [("", reason) for reason in dict.fromkeys(reason_of(reason) for _to, reason in self.examples)]


@dataclass
class SendReport:
    """Counts of one pass."""

    sent: int = 0
    deferred: int = 0
    in_doubt: int = 0
    failures: dict[int | None, Failures] = field(default_factory=dict)
    paused: list[int] = field(default_factory=list)  # requests that the breaker stopped

    @property
    def failed_count(self) -> int:
        return sum(failures.count for failures in self.failures.values())

    def failed(self, request_id: int | None, send_to: str, reason: str) -> None:
        failures = self.failures.setdefault(request_id, Failures())
        failures.count += 1
        if len(failures.examples) < EXAMPLES:
            failures.examples.append((send_to, reason))

    def summary(self) -> str:
        return f"{self.sent} sent, {self.deferred} deferred, {self.failed_count} failed, {self.in_doubt} in doubt"


def report_failures(report: SendReport) -> None:
    """One notice for each broadcast that lost mails in this pass, to its creator and to the bounces address."""
    requests = MessageRequest.objects.select_related("creator").in_bulk([pk for pk in report.failures if pk])
    for request_id, failures in report.failures.items():
        request = requests.get(request_id) if request_id else None
        examples = failures.examples if _may_read_of_people(request) else failures.reasons()
        context: dict[str, object] = {
            "request": request,
            "failures": failures,
            "examples": examples,
            "more": failures.count - len(failures.examples),
        }
        said = ngettext(
            "%(number)d mail could not be delivered", "%(number)d mails could not be delivered", failures.count
        )
        _notify(request, said % {"number": failures.count}, "dbmail/notice_failures.txt", context)


def report_paused(report: SendReport) -> None:
    """Tell the creators of the broadcasts that the breaker paused in this pass."""
    for request in MessageRequest.objects.select_related("creator").filter(pk__in=report.paused):
        subject = _("Your message was paused: too many mails are refused")
        _notify(request, subject, "dbmail/notice_paused.txt", _why(request))


def report_request_failed(request: MessageRequest) -> None:
    """Tell the creator that a broadcast stopped, and why."""
    _notify(request, _("Your message could not be sent"), "dbmail/notice_request.txt", _why(request))


def _why(request: MessageRequest) -> dict[str, object]:
    return {"request": request, "reason": request.reason_for(_may_read_of_people(request))}


def _may_read_of_people(request: MessageRequest | None) -> bool:
    """Whether a notice may name them: it goes to the creator, and where there is none to the bounces address only."""
    return request is None or bool(request.creator.has_perm("dbmail.view_recipients"))


def _notify(request: MessageRequest | None, subject: str, template: str, context: dict[str, object]) -> None:
    try:
        send_mail(
            subject,
            render_to_string(template, context),
            settings.DEFAULT_FROM_EMAIL,
            list(_readers(request)),
            extra_headers={"Auto-Submitted": "auto-generated"},  # RFC 3834, 5
            transactional=True,
        )
    except BaseException as error:
        # Whatever the backend raises, or a creator who was deleted: the pass has done its work, the rows say the same.
        if not is_a_bug(error):
            raise
        log.exception("The notice %r about request %s could not be sent", subject, request and request.pk)


def _readers(request: MessageRequest | None) -> Iterable[str]:
    """The request's sender, else its creator; and the bounces address. Each once."""
    candidates = [config().bounces]
    if request is not None:
        candidates.insert(0, address_of(request.creator) or request.sender or "")
    seen = set()
    for text in candidates:
        try:
            box = parse_mailbox(text)
        except AddressError:
            continue
        if normalise(box.address) not in seen:
            seen.add(normalise(box.address))
            yield str(box)
