"""Being asked to stop: by SIGTERM or SIGINT, heard between two mails."""

import logging
import signal
import socket
from typing import Any

log = logging.getLogger(__name__)


class Stop:
    """Says yes once SIGTERM or SIGINT has come; the mails in flight can be finished then.

        with Stop() as stop:
            while not stop(): ...

    A second signal ends the process at once, which loses no mail and can repeat those in flight.
    Outside of the main thread, where Python allows no signal handlers, it never says yes.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def __call__(self) -> bool:
        return self._asked

    def fileno(self) -> int:
        """Readable once a signal has come: select() on it cannot miss one that comes just before it waits."""
        return self._receiver.fileno()

    def __enter__(self) -> "Stop":
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)
            self._wakeup_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        except ValueError:
            log.debug("No signal handlers outside of the main thread")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._receiver.close()
        self._sender.close()

    def _handle(self, number: int, frame: Any) -> None:
        self._asked = True
        for again in self._before:
            signal.signal(again, signal.SIG_DFL)


def signals_raise() -> bool:
    """Whether a signal that asks this process to end may raise something: KeyboardInterrupt does as Python starts, and
    task queues have handlers that raise SystemExit. A Stop has not."""
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    return not all(
        handler in (signal.SIG_DFL, signal.SIG_IGN) or isinstance(getattr(handler, "__self__", None), Stop)
        for handler in handlers
    )
