"""What the tasks do: the work of the outbox in turns of about half a minute.

Who does what is claimed in the database, not in the broker. So a task that comes twice, or again after its worker
died, or at the same time as `dbmail_cron` elsewhere, repeats nothing; and one that gets lost is made up for by the
next `dispatch`. A turn is short so that a worker that is told to stop is soon done, and no broker takes it for dead.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing

from ..exceptions import DbmailError, RelayUnavailable
from ..models import MessageRequest
from ..queue.apart import apart
from ..queue.process import process_in_chunks
from .passes import Pulse, look_over_drafts, send_email_requests, upkeep

log = logging.getLogger(__name__)

#: Seconds that a task works before it makes room for others and queues its own continuation.
SECONDS = 30.0
#: Seconds that a `dispatch` gives to drafts whose audience is still being looked at.
PREFLIGHT = 5.0


class Stretch:
    """A stretch of work that asks now and then whether it has to end. The time counts from the first question:
    whatever comes before, each turn gets something done. `was_cut` tells if the answer was ever yes."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.was_cut = seconds, False
        self._end: float | None = None

    def is_over(self) -> bool:
        if self._end is None:
            self._end = time.monotonic() + self.seconds
        else:
            self.was_cut = time.monotonic() > self._end
        return self.was_cut


def process_request(request_id: int, made: Callable[[], object] = lambda: None, seconds: float = SECONDS) -> bool:
    """Stretch recipients of a broadcast into mails, for about `seconds`; True if it has to go on.

    `made` is called after each chunk, when there are mails to deliver. Does nothing for a request that is not due,
    or that somebody else processes. One that fails is marked so and its creator told: that is no error here.
    """
    request = MessageRequest.objects.due().select_related("recipients", "creator").filter(pk=request_id).first()
    if request is None:
        return False
    end = time.monotonic() + seconds
    try:
        with closing(process_in_chunks(request)) as chunks:
            for _ in chunks:
                made()
                if time.monotonic() > end:
                    return True
    except DbmailError as error:
        log.error("Request %s failed: %s", request_id, error)
    return False


def deliver_batch(seconds: float = SECONDS) -> bool:
    """Send mails that are due, for about `seconds`; True if there may be more.

    A relay that takes nothing is logged, and not asked again before the next `dispatch`.
    """
    stretch = Stretch(seconds)
    try:
        send_email_requests(stop=stretch.is_over)
    except RelayUnavailable as error:
        log.error("Mail waits: %s", error)
        return False
    return stretch.was_cut


def dispatch(process: Callable[[int], object], deliver: Callable[[], object]) -> None:
    """Do the upkeep (expiry, mails of workers that died), start what waits by `process` and `deliver`, and look over
    the audiences of drafts for a few seconds.

    To be called every few seconds, from one place or many.
    """
    apart("The sign of life", Pulse().beat, None)
    upkeep()
    for request_id in MessageRequest.objects.due().order_by("created_at", "pk").values_list("pk", flat=True):
        process(request_id)
    deliver()
    look_over_drafts(lambda: False, PREFLIGHT, log.error)
