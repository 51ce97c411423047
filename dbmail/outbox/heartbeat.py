"""A pass shows that it is alive, so that a monitor can tell silence from rest."""

import socket
import time

from django.utils import timezone

from ..models.heartbeat import Heartbeat
from .again import after_deadlock

#: Seconds between two signs of life within one pass.
INTERVAL = 60.0


class Pulse:
    """The signs of life of one pass: `beat` as often as you like, it writes once a minute; `end` says what it did."""

    def __init__(self) -> None:
        self._next = 0.0

    def beat(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + INTERVAL
            _write({})

    def end(self, summary: str, trouble: str) -> None:
        _write({"summary": summary, "trouble": trouble})


@after_deadlock  # of two passes that find no row and make one at the same time
def _write(told: dict[str, str]) -> None:
    Heartbeat.objects.update_or_create(host=socket.gethostname()[:255], defaults={"at": timezone.now(), **told})
