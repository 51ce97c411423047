"""smtplib's connections, held to the protocol: from the greeting on, through TLS and login, to the end of a mail."""

import smtplib
import ssl
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from .smtp import ProtocolFault, Replies, Reply, Say, Stage, is_end, lost, seconds_for

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: Bytes read at once: more than a relay has to say, and no less than a TLS record (RFC 8446, 5.1).
AT_ONCE = 32_768
#: Bytes of a mail that are sent before we listen whether the relay still wants it.
_PIECE = 65_536
_T = TypeVar("_T")


class Connection(smtplib.SMTP):
    """As smtplib's, but for what it hears. A reply has the timeout for the whole of it, not for each byte, and no more
    bytes than a reply may have. Nothing is said while there are bytes that nobody has asked for: also none that came
    before TLS, or what somebody on the way put there would be taken for the relay's (RFC 3207, 6)."""

    replies: Replies

    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self.replies = Replies()
        return super().connect(*args, **kwargs)

    def getreply(self) -> tuple[int, bytes]:
        try:
            code, lines = self._wait_for(self.replies.take)
        except OSError as error:
            raise self._gone(error) from error
        return code, b"\n".join(lines)

    def login(self, user: str, password: str, **options: Any) -> tuple[int, bytes]:
        """As smtplib's, but that a relay which repeats what it was told tells nobody the password."""
        try:
            return super().login(user, password, **options)
        except smtplib.SMTPException as error:
            error.args = tuple([_without(user, password, arg) for arg in error.args])
            if isinstance(error, smtplib.SMTPResponseException):
                error.smtp_error = _without(user, password, error.smtp_error)
            raise

    def send(self, s: Any) -> None:
        data = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        if self.sock is None:
            super().send(data)  # says so
        try:
            unasked = self._write(data, Stage.CONNECT, _PIECE)
        except OSError as error:
            raise self._gone(error) from error
        if unasked:
            raise self._gone(ProtocolFault(unasked.text if unasked.lost else str(unasked)))

    def _gone(self, error: OSError) -> OSError:
        """What smtplib would raise, which closes before it does."""
        self.close()
        return error if isinstance(error, smtplib.SMTPException) else smtplib.SMTPServerDisconnected(str(error))

    def exchange(self, step: Say) -> list[Reply]:
        """Say it, and hear the replies that are owed for it: fewer where the last is 421 or `lost`. Then, and where
        the relay spoke before it was asked, the connection is closed."""
        try:
            unasked = self._say(step)
        except OSError as error:  # a time-out, a reset, TLS; smtplib's own errors are OSErrors too
            unasked = lost(error, step.stages[0].unfinished)
        heard = [unasked] if unasked else []
        for stage in () if unasked else step.stages:
            heard.append(self._hear(stage))
            if is_end(heard[-1]):
                break
        if unasked or is_end(self.replies.alone(heard)[-1]):
            self.close()
        return heard

    def _say(self, step: Say) -> Reply | None:
        """As `unasked`, if it could not all be said because of that."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected(_("it is not open"))
        size = _PIECE if step.stages == (Stage.END,) else len(step.data)
        return self._write(step.data, step.stages[0].unfinished, size)

    def _write(self, data: bytes, stage: Stage, size: int) -> Reply | None:
        """Say it in pieces of `size`, each only where nobody has spoken; as `unasked`, if somebody has."""
        sock: Any = self.sock
        timeout = sock.gettimeout()
        until = time.monotonic() + seconds_for(len(data), timeout or 0)
        for start in range(0, len(data), size):
            if unasked := self.unasked(stage):
                return unasked
            if timeout:
                _left(until)
            sock.sendall(data[start : start + size])
            stage = Stage.END
        return None

    def _hear(self, stage: Stage) -> Reply:
        try:
            return self._wait_for(partial(self.replies.next, stage))
        except OSError as error:
            return lost(error, stage)

    def unasked(self, stage: Stage) -> Reply | None:
        """If the relay has said something that nobody has asked for: what stands for the reply to what would be said
        now. Raises OSError if it has gone."""
        sock: Any = self.sock
        if not self.replies.unread:
            timeout = sock.gettimeout()
            sock.setblocking(False)
            with suppress(*WOULD_BLOCK):
                self._feed(sock.recv(AT_ONCE))
            sock.settimeout(timeout)
        return self.replies.ahead(stage) if self.replies.unread else None

    def _wait_for(self, take: Callable[[], _T | None]) -> _T:
        """What `take` finds in the replies, in the time that one reply has."""
        sock: Any = self.sock
        timeout = sock.gettimeout()
        until = time.monotonic() + (timeout or 0)
        while (found := take()) is None:
            if timeout:
                sock.settimeout(_left(until))
            self._feed(sock.recv(AT_ONCE))
        sock.settimeout(timeout)
        return found

    def _feed(self, data: bytes) -> None:
        if not data:
            raise smtplib.SMTPServerDisconnected(_("no reply"))
        self.replies.feed(data)


class TLSConnection(Connection, smtplib.SMTP_SSL):
    """The same where TLS is spoken from the first byte."""


def _without(user: str, password: str, said: Any) -> Any:
    """What a relay said, without the password as it stands or as it was sent (RFC 4616, AUTH LOGIN)."""
    if isinstance(said, str):
        return _without(user, password, said.encode()).decode("utf-8", "replace")
    if isinstance(said, bytes):
        secret = password.encode()
        for form in (b64encode(f"\0{user}\0{password}".encode()), b64encode(secret), secret):
            said = said.replace(form, b"***") if form else said
    return said


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(_("the relay did not answer in time"))
    return left
