"""Mail over LMTP (RFC 2033): one process that stays up, so that no message pays for starting Python and Django."""

import asyncio
import logging
import queue
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from aiosmtpd.lmtp import LMTP
from django.db import close_old_connections

from ..conf import config
from ..delivery.header_block import split
from ..exceptions import RelayUnavailable
from ..queue.deliver import Sender
from .at_once import tell_of_refusals
from .facts import Envelope
from .gate import receive
from .intake import envelope_for
from .rules import EX_DATAERR, EX_NOPERM, EX_NOUSER, EX_OK, EX_UNAVAILABLE

log = logging.getLogger(__name__)
#: Seconds without work after which the connection to the relay is closed.
_IDLE = 5.0
#: Seconds that messages which have arrived whole may still take when the process is asked to stop.
_GRACE = 30
#: The reply for every exit code that is not in REPLIES: the mail server keeps the message and tries again.
LATER = "451 4.3.0 Not taken: try again later"
#: The reply for each exit code. It gives no reason, since the mail server passes it on to strangers.
REPLIES = {
    EX_OK: "250 2.0.0 Taken",
    EX_DATAERR: "554 5.6.0 This message cannot be taken",
    EX_NOUSER: "550 5.1.1 No such address",
    EX_UNAVAILABLE: "554 5.3.0 This message cannot be taken",
    EX_NOPERM: "550 5.7.1 You may not post to this address",
}
#: Said to a new connection above the allowed number, or while the process stops; then it is closed.
_BUSY = "421 4.3.2 Too many connections, try again later"
#: Said on open connections when the process stops.
_STOPPING = "421 4.3.2 Stopping, try again later"
#: The mail server's queue id in a Received field.
_QUEUE_ID = re.compile(r"\bid\s+<?([\w-]{3,64})")


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
                log.warning("Copies wait for the next pass: %s", error)
            except Exception:  # the copies are in the queue, and the next message deserves another try
                log.exception("Copies could not be sent at once.")
            finally:
                close_old_connections()

    def _send_from(self, forward_id: int | None) -> None:
        """Send this forward's copies and then those of the next, until none has come for `_IDLE` seconds."""
        seconds = config().incoming.send_seconds
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
        """Drop the waiting forwards: the relay is away, so the next pass sends their copies."""
        while not self._forwards.empty():
            self._forwards.get()


def deliver(recipient: str, sender: str, raw: bytes, send: Callable[[int], object] | None = None) -> str:
    """Take in one message for one recipient and return the LMTP reply. Never raises; may run in any thread.

    `send`, if given, is called with the key of the Forward whose copies may leave at once.
    """
    try:
        close_old_connections()
        try:
            envelope: Envelope = envelope_for(recipient, sender, _queue_id(raw))
            return REPLIES.get(receive(envelope, raw, send).exit_code, LATER)
        finally:
            close_old_connections()
    except Exception:  # the boundary: whatever it is, the mail server keeps the message
        log.exception("A message could not be taken in.")
        return LATER


def _queue_id(raw: bytes) -> str:
    """The mail server's queue id, the same at every try: from the Received field that it put on top; "" if none."""
    received = split(raw[:20_000])[0].first("received")
    found = _QUEUE_ID.search(received.text) if received else None
    return found.group(1) if found else ""


class Handler:
    """aiosmtpd's handler. Decides on `workers` messages at a time; further ones wait for their turn."""

    def __init__(self, workers: int, connections: int, send: Callable[[int], object] | None = None) -> None:
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="dbmail lmtp")
        self.connections = connections
        self.hostname = socket.gethostname()
        self.send = send
        self.sessions: set[Session] = set()
        self.being_decided = 0
        self.stopping = False

    async def handle_MAIL(
        self, server: Any, session: Any, envelope: Any, address: str, mail_options: list[str]
    ) -> str:
        if self.stopping:
            return _STOPPING
        # Empty would mean that no MAIL has come yet.
        envelope.mail_from = address or "<>"
        envelope.mail_options.extend(mail_options)
        return "250 2.1.0 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """One reply for each recipient, in their order (RFC 2033, 4.2)."""
        self.being_decided += 1
        try:
            loop = asyncio.get_running_loop()
            for_each = [
                partial(deliver, to, envelope.mail_from, envelope.content, self.send) for to in envelope.rcpt_tos
            ]
            replies = await asyncio.gather(*(loop.run_in_executor(self.pool, one) for one in for_each))
            return "\r\n".join(replies)
        finally:
            self.being_decided -= 1

    async def handle_exception(self, error: Exception) -> str:
        log.error("The dialogue with the mail server failed.", exc_info=error)
        return LATER


class Session(LMTP):
    """One connection of the mail server."""

    def __init__(self, handler: Handler) -> None:
        limit = config().incoming.max_size
        # Mail has lines of any length, and RFC 5321's limit is the business of the server in front.
        self.line_length_limit = limit
        # Twice the limit of the rules: what is a little too large is refused by a rule, so that a row shows it.
        super().__init__(
            handler,
            data_size_limit=2 * limit,
            enable_SMTPUTF8=True,
            hostname=handler.hostname,
            ident="dbmail LMTP",
            loop=asyncio.get_running_loop(),
        )
        self.is_refused = False

    def say_goodbye(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.write(f"{_STOPPING}\r\n".encode())
            self.transport.close()

    def connection_made(self, transport: Any) -> None:
        self.is_refused = self.event_handler.stopping or (
            len(self.event_handler.sessions) >= self.event_handler.connections
        )
        if self.is_refused:
            transport.write(f"{_BUSY}\r\n".encode())
            transport.close()
            return
        self.event_handler.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_refused:
            self.event_handler.sessions.discard(self)
            super().connection_lost(error)

    async def push(self, status: Any) -> None:
        # aiosmtpd ends a message that is too big with one reply; LMTP wants one for each recipient.
        is_end = isinstance(status, str) and status.startswith(("552 Error: Too much", "500 Line too long"))
        if is_end and self.envelope:
            status = "\r\n".join(["552 5.3.4 The message is too big"] * len(self.envelope.rcpt_tos))
        await super().push(status)


def serve(
    where: tuple[str, int] | str,
    workers: int,
    connections: int,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Listen on (host, port) or on the path of a Unix socket until SIGTERM or SIGINT, then finish what has come whole.

    `ready` is called with the address once it listens. Raises OSError if the address is taken.
    """
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's, with every address at INFO
    courier = Courier() if config().incoming.send_seconds else None
    if courier:
        courier.start()
    handler = Handler(workers, connections, courier.take if courier else None)
    try:
        asyncio.run(_serve(handler, where, ready))
    finally:
        handler.pool.shutdown()
        if courier:
            courier.stop()


async def _serve(handler: Handler, where: tuple[str, int] | str, ready: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if isinstance(where, str):
        server = await loop.create_unix_server(lambda: Session(handler), where)
    else:
        server = await loop.create_server(lambda: Session(handler), *where)
    name = server.sockets[0].getsockname()
    ready(name if isinstance(name, str) else f"{name[0]}:{name[1]}")
    await stopped.wait()
    log.info("Stopping")
    handler.stopping = True
    server.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE):
            while handler.being_decided:
                await asyncio.sleep(0.02)
    for session in list(handler.sessions):
        session.say_goodbye()
    await asyncio.sleep(0)  # the goodbyes leave
