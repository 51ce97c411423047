"""Sends the copies of what comes in over LMTP, beside the threads that take it in."""

import logging
import queue
import threading
import time

from django.db import close_old_connections

from ..conf import config
from ..exceptions import RelayUnavailable
from ..outbox.at_once import tell_of_refusals
from ..outbox.deliver import Sender

logger = logging.getLogger(__name__)

#: Seconds without work after which the connection to the relay is closed.
_IDLE = 5.0


class Courier(threading.Thread):
    """A thread that sends the copies of one forward after the other, in the order in which they came.

    It keeps nothing that the queue does not have: what it does not send, the next pass sends.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="dbmail courier")
        self._forwards: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._stopping = False
        self._deadline = 0.0

    def take(self, forward_id: int) -> None:
        self._forwards.put(forward_id)

    def stop(self) -> None:
        """Finish the mail under way, give back the others, and end."""
        self._stopping = True
        self._forwards.put(None)
        self.join()

    def run(self) -> None:
        while not self._stopping:
            forward_id = self._forwards.get()
            if forward_id is None:
                continue
            try:
                close_old_connections()
                self._send_from(forward_id)
            except RelayUnavailable as error:
                self._forget()
                logger.warning("Copies wait for the next pass: %s", error)
            except Exception:  # the copies are in the queue, and the next message deserves another try
                logger.exception("Copies could not be sent at once.")
            finally:
                close_old_connections()

    def _send_from(self, forward_id: int | None) -> None:
        """Send this one's copies and those of the next ones, until there is nothing to do for a while."""
        seconds = config().incoming_send_seconds
        with Sender(stop=self._must_stop, connect_within=seconds) as sender:
            while forward_id is not None:
                self._deadline = time.monotonic() + seconds
                try:
                    sender.drain(forward_id)
                finally:
                    tell_of_refusals(forward_id, sender.report)
                    sender.report.failures.clear()  # told; the next one's are its own
                try:
                    forward_id = self._forwards.get(timeout=_IDLE)
                except queue.Empty:
                    return

    def _must_stop(self) -> bool:
        return self._stopping or time.monotonic() >= self._deadline

    def _forget(self) -> None:
        """With no relay there is no point in asking it for each of those that wait."""
        while not self._forwards.empty():
            self._forwards.get()
