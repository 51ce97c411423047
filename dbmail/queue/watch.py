"""What holds mail back: a relay that takes nothing, a broadcast that is refused too often, its first mails."""

import logging
from dataclasses import dataclass

from django.db.models import Case, F, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from ..broadcasts.control import pause
from ..conf import config
from ..delivery.smtp import Reply, Stage
from ..models import MessageRequest, RelayTrouble

log = logging.getLogger(__name__)
#: So many replies in a row, over all connections, that no mail is to blame for: the relay takes nothing now.
IN_A_ROW = 5
#: Outcomes that a share is judged by; fewer are enough where fewer mails go first (CANARY).
AT_LEAST = 50
#: Outcomes after which what was counted is written down.
_OUTCOMES = 500
#: Refusals after which it is written down earlier.
_REFUSALS = 10
_BEFORE_ANY_RECIPIENT = (Stage.CONNECT, Stage.LOGIN, Stage.MAIL)


@dataclass(frozen=True, slots=True)
class Run:
    """Replies in a row for which the relay may be to blame and the mails are not."""

    length: int = 0
    domains: frozenset[str] = frozenset()

    def after(self, reply: Reply, domain: str) -> "Run":
        """The run after `reply` to a mail for `domain`. A reply that says that the relay works ends it.

        Once the recipient is known, its domain may be what the relay waits for: so each domain counts once.
        """
        if not _temporary(reply):
            return Run()
        if reply.stage in _BEFORE_ANY_RECIPIENT:
            return Run(self.length + 1, self.domains)
        if not (reply.lost or reply.code == 421 or reply.enhanced.startswith("4.3.")):  # RFC 3463, 3.4: the system
            return Run()
        return self if domain in self.domains else Run(self.length + 1, self.domains | {domain})


def _temporary(reply: Reply) -> bool:
    return reply.lost or 400 <= reply.code < 500


class RelayWatch:
    """While `probing`, the relay was in trouble when a worker last asked: it gets one mail at a time."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.probing = RelayTrouble.objects.filter(host=host).exists()
        self._run = Run()

    def hear(self, reply: Reply, domain: str) -> str:
        """Take note of a reply; why nothing more should be sent now, or ""."""
        if self._run.length or not reply.accepted:
            self._run = self._run.after(reply, domain)
        if not self._run.length:
            if self.probing:
                self._over()
            return ""
        if self._run.length >= IN_A_ROW:
            said = _("%(host)s took nothing %(times)d times in a row, the last time: %(reply)s")
            return said % {"host": self.host, "times": self._run.length, "reply": reply}
        if self.probing and reply.stage in _BEFORE_ANY_RECIPIENT:
            return _("%(host)s still takes nothing: %(reply)s") % {"host": self.host, "reply": reply}
        return ""

    def trouble(self, reason: str) -> None:
        """Tell all workers: the next pass of each begins with one mail."""
        row, created = RelayTrouble.objects.get_or_create(host=self.host, defaults={"reason": reason})
        if not created:
            RelayTrouble.objects.filter(pk=row.pk).update(reason=reason)

    def _over(self) -> None:
        self.probing = False
        RelayTrouble.objects.filter(host=self.host).delete()
        log.info("%s takes mail again", self.host)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a broadcast goes on, and if not, why."""

    stop: bool
    reason: str = ""


def judge(accepted: int, refused: int, share: float, at_least: int = AT_LEAST) -> Judgement:
    """Stop if more than `share` of at least `at_least` mails were refused for good; 0 never stops.

    A single refusal never does.
    """
    outcomes = accepted + refused
    if not share or outcomes < at_least or refused < 2 or refused <= share * outcomes:
        return Judgement(False)
    said = _(
        "Paused by itself: %(refused)d of %(outcomes)d mails were refused for good (%(share).0f%%, allowed are "
        '%(allowed).0f%% by DBMAIL["BREAKER"]["SHARE"]). See the reasons in the failed mails; resuming counts anew.'
    )
    values = {"refused": refused, "outcomes": outcomes, "share": 100 * refused / outcomes, "allowed": 100 * share}
    return Judgement(True, said % values)


class BroadcastWatch:
    """Counts outcomes for all workers together. Costs two queries each time it writes them down, and no query
    where its SHARE is 0."""

    def __init__(self) -> None:
        self._counts: dict[int, list[int]] = {}  # accepted, refused by request
        self._outcomes = self._refusals = 0

    def count(self, request_id: int | None, accepted: bool) -> None:
        if request_id is None or not config().breaker.share:
            return
        self._counts.setdefault(request_id, [0, 0])[0 if accepted else 1] += 1
        self._outcomes += 1
        self._refusals += not accepted

    def look(self, at_once: bool = False) -> list[int]:
        """Write down what was counted, if that is enough; the requests that were paused for it."""
        if not self._counts or not (at_once or self._outcomes >= _OUTCOMES or self._refusals >= _REFUSALS):
            return []
        counts = self._counts
        requests = MessageRequest.objects.filter(pk__in=counts)
        requests.update(
            accepted=F("accepted") + Case(*(When(pk=pk, then=Value(n)) for pk, (n, _) in counts.items())),
            refused=F("refused") + Case(*(When(pk=pk, then=Value(n)) for pk, (_, n) in counts.items())),
        )
        were_refused, self._refusals = self._refusals, 0
        self._counts, self._outcomes = {}, 0
        return [request.pk for request in requests if _stopped(request)] if were_refused else []


def _stopped(request: MessageRequest) -> bool:
    canary, now = config().breaker.canary, timezone.now()
    until = request.canary_until
    is_first = canary and (request.canary_left != 0 if until is None else until > now)
    at_least = min(AT_LEAST, canary) if is_first else AT_LEAST
    judgement = judge(request.accepted, request.refused, config().breaker.share, at_least)
    return judgement.stop and pause(request, judgement.reason)


def canaries(request: int, wanted: int, left: int | None) -> int:
    """How many of `wanted` mails of a broadcast may be claimed now: all, or as many as may still go first.

    `left` is the broadcast's `canary_left` as it was read. With the last of them its wait begins.
    """
    canary = config().breaker.canary
    if not canary or left == 0:
        return wanted
    row = MessageRequest.objects.filter(pk=request)
    if left is None:
        row.filter(canary_left__isnull=True).update(canary_left=canary)
        left = canary
    number = min(wanted, left)
    until = timezone.now() + config().breaker.canary_wait
    # One statement, so that no other worker sees that none is left and no wait. The order counts: MySQL
    # looks at columns that it has just changed.
    taken = row.filter(canary_left__gte=number).update(
        canary_until=Case(When(canary_left=number, then=Value(until)), default=F("canary_until")),
        canary_left=F("canary_left") - number,
    )
    return number if taken else 0


def not_flown(request: int, number: int) -> None:
    """Of mails that `canaries` allowed, so many were not there to be claimed."""
    if number:
        MessageRequest.objects.filter(pk=request).update(canary_left=F("canary_left") + number, canary_until=None)
