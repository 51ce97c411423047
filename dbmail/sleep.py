"""How a worker waits: until a time has passed, something became due, or it was asked to stop."""

import logging
import select
import signal
import socket
import time
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections

from .wake import CHANNEL

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


class Listener:
    """Hears `wake_workers()` of any process, over a connection of its own: LISTEN ends with its connection, and
    the usual one is closed whenever Django thinks fit. Deaf where the database is not PostgreSQL by psycopg 3."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self._using = using
        self._connection: Any = None

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def listen(self) -> None:
        """Listen from now on. Call it before looking for work, so that nothing falls between the two."""
        if self._connection is not None or not _can_listen(self._using):
            return
        connection = connections[self._using].copy()
        connection.settings_dict["OPTIONS"].pop("pool", None)  # a pool would hand it on, still listening
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        except Error as error:
            connection.close()
            log.warning("Cannot listen for news of the queue (%s): looking every now and then", type(error).__name__)
            return
        self._connection = connection

    def wait(self, stop: Stop, seconds: float, *, for_news: bool = True) -> None:
        """Return after `seconds`, when asked to stop, or (where `for_news`) when there is something to do."""
        deadline = time.monotonic() + seconds
        while not stop() and (left := deadline - time.monotonic()) > 0:
            sockets: list[Any] = [stop]
            if for_news and self._connection is not None:
                sockets.append(self._connection.connection)
            readable, _, _ = select.select(sockets, [], [], left)
            if len(readable) > (stop in readable) and self._news():
                return
            if stop in readable:
                return

    def _news(self) -> bool:
        try:
            with self._connection.wrap_database_errors:
                return bool(list(self._connection.connection.notifies(timeout=0)))
        except Error:
            log.warning("The database has closed the connection that listens for news of the queue")
            self._close()
            return True  # whatever was said meanwhile was not heard

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _can_listen(using: str) -> bool:
    if connections[using].vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)
