"""The SMTP dialogue for one mail (RFC 5321), with PIPELINING (RFC 2920) where the relay offers it.

`dialogue` says what to say and hears what was replied; it reads and writes nothing itself. `transmit` holds it over
one connection; `outbox.lanes` holds many at a time.

A relay that does not keep to the protocol is not argued with. What is no reply, is none to what was said, or comes
before it was asked for, is a `lost` reply: the connection is ended before anything else is said on it, and the mail
is tried again. Guesses at what it meant would end with the text of a mail taken for commands, or with a mail that is
marked sent and was not.
"""

import re
import smtplib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..addresses import one_line
from .message import WireMail

if TYPE_CHECKING:
    from .wire import Connection

#: Bytes; RFC 5321, 4.5.3.1.5 has 512, some servers write a novel.
_LONGEST_LINE = 8192
#: A reply that never ends is none.
_MOST_LINES = 100
#: Code, hyphen or blank, text (RFC 5321, 4.2). Bytes that are not ASCII are words all the same: a relay may quote
#: another's, and the code alone decides.
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\0]*))?\r")
#: Characters of a relay's words that are kept; they stand in logs, in tables and on screens.
_LONGEST_TEXT = 1000
#: Bytes a second: a relay that takes less of a mail than that does not want it.
_SLOWEST = 4096


class Stage(StrEnum):
    """How far a dialogue had come when the reply was given, or the line broke."""

    CONNECT = gettext_noop("connect")
    LOGIN = gettext_noop("login")
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = gettext_noop("end of data")
    NOBODY = "end of data for nobody"
    RESET = "RSET"

    @property
    def unfinished(self) -> "Stage":
        """The same for what could not all be said: a mail that was not sent its end is none (RFC 5321, 4.1.1.4)."""
        return Stage.DATA if self is Stage.END else self


@dataclass(frozen=True, slots=True)
class Reply:
    """The relay's last word on one mail. `code` is 0 where there was none: the line broke."""

    code: int
    text: str
    stage: Stage

    @property
    def accepted(self) -> bool:
        return self.stage is Stage.END and 200 <= self.code < 300

    @property
    def lost(self) -> bool:
        return self.code == 0

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463), or ""."""
        match = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", self.text)
        return match[0] if match else ""

    def __str__(self) -> str:
        return (
            f"{self.code} {self.text}"
            if self.code
            else _("%(text)s (at %(stage)s)") % {"text": self.text, "stage": _(self.stage)}
        )


@dataclass(frozen=True, slots=True)
class Say:
    """Bytes for the relay, and at which stage each of the replies is that it owes us for them."""

    data: bytes
    stages: tuple[Stage, ...]


#: What a dialogue wants next. None: nothing but the message itself is left to send; from then on the mail may be
#: taken, whatever becomes of us. It is sent the replies, fewer than it is owed where the last is 421 or `lost`, and
#: returns the relay's last word. With several recipients, the mail goes if one is taken.
Dialogue = Generator[Say | None, Sequence[Reply], Reply]


def dialogue(smtp: smtplib.SMTP, envelope: WireMail) -> Dialogue:
    """The dialogue for one envelope with a relay that has said its EHLO to `smtp`."""
    unfit = _unfit(smtp, envelope)
    if unfit:
        return unfit
    commands: _Commands = [
        (Stage.MAIL, f"MAIL FROM:<{envelope.return_path}>{_options(smtp, envelope)}"),
        *((Stage.RCPT, f"RCPT TO:<{address}>") for address in envelope.recipients),
        (Stage.DATA, "DATA"),
    ]
    refusal = yield from (_pipelined if smtp.has_extn("pipelining") else _in_turn)(commands)
    if refusal:
        if not is_end(refusal):
            yield Say(b"RSET\r\n", (Stage.RESET,))
        return refusal
    yield None
    data = envelope.data
    data = data if data.endswith(b"\r\n") else data + b"\r\n"
    if b"\n." in data or data.startswith(b"."):
        data = re.sub(rb"(?m)^\.", b"..", data)
    replies = yield Say(data + b".\r\n", (Stage.END,))
    return replies[-1]


def is_end(reply: Reply) -> bool:
    """Whether the relay says nothing more after it."""
    return reply.lost or reply.code == 421


def _unfit(smtp: smtplib.SMTP, envelope: WireMail) -> Reply | None:
    """Why this relay cannot take the mail at all, by what it said in EHLO."""
    limit, size = smtp.esmtp_features.get("size", ""), len(envelope.data)
    if limit.isascii() and limit.isdigit() and len(limit) < 20 and 0 < int(limit) < size:
        said = _("The mail has %(size)s bytes, the relay takes %(limit)s.") % {"size": size, "limit": limit}
        return Reply(552, f"5.3.4 {said}", Stage.RCPT)
    if _international(envelope) and not smtp.has_extn("smtputf8"):
        said = _("The relay does not take addresses that are not ASCII.")
        return Reply(553, f"5.6.7 {said}", Stage.RCPT)
    return None


def _international(envelope: WireMail) -> bool:
    return not (envelope.return_path.isascii() and all(map(str.isascii, envelope.recipients)))


def _options(smtp: smtplib.SMTP, envelope: WireMail) -> str:
    options = f" SIZE={len(envelope.data)}" if smtp.has_extn("size") else ""
    # Asked for only where they are needed (RFC 6152, 6531); what we make ourselves is 7-bit.
    if not envelope.data.isascii() and smtp.has_extn("8bitmime"):
        options += " BODY=8BITMIME"
    return options + " SMTPUTF8" if _international(envelope) else options


_Commands = list[tuple[Stage, str]]


def _in_turn(commands: _Commands) -> Generator[Say, Sequence[Reply], Reply | None]:
    """The reply that ended the transaction before the message, or None."""
    refused: list[Reply] = []
    for stage, line in commands:
        if stage is Stage.DATA and len(refused) == len(commands) - 2:
            return refused[0]
        (reply,) = yield Say(f"{line}\r\n".encode(), (stage,))
        if stage is Stage.RCPT and reply.code >= 400 and reply.code != 421:
            refused.append(reply)
        elif reply.code >= 400 or reply.lost:
            return reply
    return None


def _pipelined(commands: _Commands) -> Generator[Say, Sequence[Reply], Reply | None]:
    """As `_in_turn` in one write; a DATA that was accepted for nobody is ended empty (RFC 2920, 3.1)."""
    text = "".join([f"{line}\r\n" for _, line in commands])
    replies = yield Say(text.encode(), tuple([stage for stage, _ in commands]))
    if is_end(replies[-1]):
        return replies[-1]
    mail, *rcpts, data = replies
    if all(reply.code >= 400 for reply in rcpts):
        if data.code < 400:
            yield Say(b".\r\n", (Stage.NOBODY,))
        return mail if mail.code >= 400 else rcpts[0]
    if mail.code >= 400 and data.code < 400:  # even an empty mail might go to those that it took
        said = _("The relay refused the sender (%(reply)s) and wanted the mail all the same.")
        return lost(ProtocolFault(said % {"reply": mail}), Stage.DATA)
    return next((reply for reply in (mail, data) if reply.code >= 400), None)


class ProtocolFault(smtplib.SMTPServerDisconnected):
    """The relay said what the protocol does not have here; says so in words. The connection is of no more use."""


def _answers(code: int, stage: Stage) -> bool:
    """Whether that is an answer at this stage (RFC 5321, 4.3.2); another 2xx or 3xx leaves open what it expects."""
    if code >= 400:
        return stage is not Stage.RESET
    return code == 354 if stage is Stage.DATA else code < 300


class Replies:
    """Takes a relay's replies out of the bytes that come from it, however they are cut. It never holds more of one
    than a reply may have."""

    def __init__(self) -> None:
        self._buffer = b""
        self._code = b""
        self._lines: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def unread(self) -> bool:
        return bool(self._buffer or self._lines)

    def next(self, stage: Stage) -> Reply | None:
        """The next reply (RFC 5321, 4.2.1), if the whole of it is there; a `lost` one for what is none at `stage`."""
        try:
            found = self.take()
        except ProtocolFault as fault:
            return lost(fault, stage)
        if found is None:
            return None
        code, lines = found
        reply = Reply(code, words(b" ".join(lines).decode("utf-8", "replace")), stage)
        if _answers(code, stage):
            return reply
        said = _("The relay answered %(stage)s with “%(reply)s”, which is no answer to it.")
        return lost(ProtocolFault(said % {"stage": _(stage), "reply": reply}), stage)

    def take(self) -> tuple[int, list[bytes]] | None:
        """Code and lines of the next reply, if the whole of it is there. Raises ProtocolFault for what is none."""
        while True:
            line, end, rest = self._buffer.partition(b"\n")
            if not end and len(line) < _LONGEST_LINE:
                return None
            found = _LINE.fullmatch(line) if end and len(line) <= _LONGEST_LINE else None
            if not found or len(self._lines) >= _MOST_LINES or (self._lines and found[1] != self._code):
                raise ProtocolFault(_("The relay said %(words)s, which is no SMTP reply.") % {"words": _shown(line)})
            self._buffer, self._code = rest, found[1]
            self._lines.append((found[3] or b"").strip())
            if found[2] != b"-":
                lines, self._lines = self._lines, []
                return int(found[1]), lines

    def ahead(self, stage: Stage) -> Reply:
        """What stands for the reply at `stage`, where unread bytes are there before it was asked for: at best they are
        the relay's goodbye (RFC 5321, 3.8), or at the end of a mail, which has not been sent, its refusal."""
        said = _("The relay spoke before it was asked: %(words)s") % {"words": _shown(self._buffer)}
        reply = self.next(stage)
        if reply and (reply.code == 421 or (stage is Stage.END and reply.code >= 400)):
            return reply
        return lost(ProtocolFault(said), stage.unfinished)

    def alone(self, heard: list[Reply]) -> list[Reply]:
        """The replies to what was said, the last of them replaced if more came than was owed: then nobody knows which
        of them answers what. A refusal may have a goodbye after it; what comes after the reply to a mail's end is not
        about that mail."""
        last = heard[-1]
        if self.unread and not is_end(last) and last.stage is not Stage.END:
            more = self.ahead(last.stage)
            if more.lost or last.code < 400:
                heard[-1] = more
        return heard


def _shown(data: bytes) -> str:
    """Bytes as they can be read, whatever they are."""
    return repr(data[:100])[1:]


def words(text: str) -> str:
    """What somebody else said, fit for a log, a table and a screen: one line, no control characters, not too long."""
    if not text.isprintable():
        text = one_line(text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def seconds_for(size: int, timeout: float) -> float:
    """How long so many bytes may take in all, where each sign of life may take `timeout`."""
    return timeout + size / _SLOWEST


def transmit(smtp: "Connection", envelope: WireMail, before_end: Callable[[], None] = lambda: None) -> Reply:
    """Send one envelope over an open connection, and wait for it; what the relay said last.

    `before_end` is called when nothing but the message itself is left to send. Never raises for what the relay does;
    a connection that is of no more use (`lost`, or 421) is closed.
    """
    steps = dialogue(smtp, envelope)
    heard: list[Reply] = []
    try:
        step = next(steps)
        while True:
            if step is None:
                before_end()
            else:
                heard = smtp.exchange(step)
            step = steps.send(heard)
    except StopIteration as end:
        last: Reply = end.value
        if is_end(last):
            smtp.close()
        return last


def lost(error: OSError, stage: Stage) -> Reply:
    """What stands for the reply that did not come."""
    if isinstance(error, ProtocolFault):
        return Reply(0, words(str(error)), stage)
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Reply(0, words(_("The relay closed the connection: %(why)s") % {"why": error}), stage)
    return Reply(0, words(f"{type(error).__name__}: {error}"), stage)
