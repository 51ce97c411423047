"""A broadcast of which too many mails are refused is paused before the rest goes out (DBMAIL["BREAKER"])."""

import logging
from dataclasses import dataclass

from django.db.models import Case, F, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import config
from ..models import MessageRequest
from .control import pause

log = logging.getLogger(__name__)

#: Outcomes that a share is judged by; fewer are enough where fewer mails go first (DBMAIL["CANARY"]).
AT_LEAST = 50
# When to write down what was counted: after so many outcomes, or so many refusals.
_OUTCOMES, _REFUSALS = 500, 10


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
        '%(allowed).0f%% by DBMAIL["BREAKER"]). See the reasons in the failed mails; resuming counts anew.'
    )
    values = {"refused": refused, "outcomes": outcomes, "share": 100 * refused / outcomes, "allowed": 100 * share}
    return Judgement(True, said % values)


class BroadcastWatch:
    """Counts outcomes for all workers together. Costs two queries each time it writes them down, and no query
    where DBMAIL["BREAKER"] is 0."""

    def __init__(self) -> None:
        self._counts: dict[int, list[int]] = {}  # accepted, refused by request
        self._outcomes = self._refusals = 0

    def count(self, request_id: int | None, accepted: bool) -> None:
        if request_id is None or not config().breaker:
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
    canary, now = config().canary, timezone.now()
    until = request.canary_until
    is_first = canary and (request.canary_left != 0 if until is None else until > now)
    at_least = min(AT_LEAST, canary) if is_first else AT_LEAST
    judgement = judge(request.accepted, request.refused, config().breaker, at_least)
    if not judgement.stop or not pause(request, judgement.reason):
        return False
    log.error("Request %s: %s", request.pk, judgement.reason)
    return True
