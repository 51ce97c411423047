"""The SMTP dialogue for one mail (RFC 5321), with PIPELINING (RFC 2920) where the relay offers it.

`dialogue` says what to say and hears what was replied; it reads and writes nothing itself. `transmit` holds it over
one connection; `outbox.lanes` holds many at a time.
"""

import re
import smtplib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from .message import Envelope

#: Bytes; RFC 5321, 4.5.3.1.5 has 512, some servers write a novel.
_LONGEST_REPLY = 8192
#: A reply that never ends is none.
_MOST_LINES = 1000


class Stage(StrEnum):
    """How far a dialogue had come when the reply was given, or the line broke."""

    CONNECT = gettext_noop("connect")
    LOGIN = gettext_noop("login")
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = gettext_noop("end of data")


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


def dialogue(smtp: smtplib.SMTP, envelope: Envelope) -> Dialogue:
    """The dialogue for one envelope with a relay that has said its EHLO to `smtp`."""
    unfit = _unfit(smtp, envelope)
    if unfit:
        return unfit
    commands = [
        (Stage.MAIL, f"MAIL FROM:<{envelope.return_path}>{_options(smtp, envelope)}"),
        *((Stage.RCPT, f"RCPT TO:<{address}>") for address in envelope.recipients),
        (Stage.DATA, "DATA"),
    ]
    refusal = yield from (_pipelined if smtp.has_extn("pipelining") else _in_turn)(commands)
    if refusal:
        if not _is_end(refusal):
            yield Say(b"RSET\r\n", (refusal.stage,))
        return refusal
    yield None
    data = envelope.data
    data = data if data.endswith(b"\r\n") else data + b"\r\n"
    if b"\r\n." in data or data.startswith(b"."):
        data = re.sub(rb"(?m)^\.", b"..", data)
    replies = yield Say(data + b".\r\n", (Stage.END,))
    return replies[-1]


def _is_end(reply: Reply) -> bool:
    """Whether the relay says nothing more after it."""
    return reply.lost or reply.code == 421


def _unfit(smtp: smtplib.SMTP, envelope: Envelope) -> Reply | None:
    """Why this relay cannot take the mail at all, by what it said in EHLO."""
    limit, size = smtp.esmtp_features.get("size", ""), len(envelope.data)
    if limit.isdigit() and 0 < int(limit) < size:
        said = _("The mail has %(size)s bytes, the relay takes %(limit)s.") % {"size": size, "limit": limit}
        return Reply(552, f"5.3.4 {said}", Stage.RCPT)
    if _international(envelope) and not smtp.has_extn("smtputf8"):
        said = _("The relay does not take addresses that are not ASCII.")
        return Reply(553, f"5.6.7 {said}", Stage.RCPT)
    return None


def _international(envelope: Envelope) -> bool:
    return not (envelope.return_path.isascii() and all(map(str.isascii, envelope.recipients)))


def _options(smtp: smtplib.SMTP, envelope: Envelope) -> str:
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
    if _is_end(replies[-1]):
        return replies[-1]
    mail, *rcpts, data = replies
    refusal = None
    if mail.code >= 400:
        refusal = mail
    elif all(reply.code >= 400 for reply in rcpts):
        refusal = rcpts[0]
    if refusal and data.code < 400:
        yield Say(b".\r\n", (Stage.END,))
    return refusal or (data if data.code >= 400 else None)


class Replies:
    """Takes a relay's replies out of the bytes that come from it, however they are cut."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[str] = []

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self, stage: Stage) -> Reply | None:
        """The next reply (RFC 5321, 4.2.1), if the whole of it is there; a `lost` one for what is no SMTP."""
        while True:
            line, end, rest = self._buffer.partition(b"\n")
            if not end and len(line) < _LONGEST_REPLY:
                return None
            if not line[:3].isdigit() or len(line) >= _LONGEST_REPLY or len(self._lines) >= _MOST_LINES:
                said = _("The relay closed the connection: no SMTP reply but %(line)r")
                return Reply(0, said % {"line": line[:100]}, stage)
            self._buffer = rest
            self._lines.append(line[4:].strip().decode("utf-8", "replace"))
            if line[3:4] != b"-":
                text = "\n".join(self._lines)
                self._lines = []
                return Reply(int(line[:3]), text, stage)


def transmit(smtp: smtplib.SMTP, envelope: Envelope, before_end: Callable[[], None] = lambda: None) -> Reply:
    """Send one envelope over an open connection, and wait for it; what the relay said last.

    `before_end` is called when nothing but the message itself is left to send. Never raises for what the relay does;
    a connection that is of no more use (`lost`, or 421) is for the caller to close.
    """
    steps, replies = dialogue(smtp, envelope), Replies()
    heard: list[Reply] = []
    try:
        step = next(steps)
        while True:
            if step is None:
                before_end()
            else:
                heard = _exchange(smtp, step, replies)
            step = steps.send(heard)
    except StopIteration as end:
        last: Reply = end.value
        return last


def _exchange(smtp: smtplib.SMTP, step: Say, replies: Replies) -> list[Reply]:
    heard: list[Reply] = []
    try:
        if smtp.sock is None:
            raise smtplib.SMTPServerDisconnected(_("it is not open"))
        smtp.sock.sendall(step.data)
        for stage in step.stages:
            while (reply := replies.next(stage)) is None:
                data = smtp.sock.recv(_LONGEST_REPLY)
                if not data:
                    raise smtplib.SMTPServerDisconnected(_("no reply"))
                replies.feed(data)
            heard.append(reply)
            if _is_end(reply):
                break
    except OSError as error:  # a time-out, a reset, TLS; smtplib's own errors are OSErrors too
        heard.append(lost(error, step.stages[len(heard)]))
    return heard


def lost(error: OSError, stage: Stage) -> Reply:
    """What stands for the reply that did not come."""
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Reply(0, _("The relay closed the connection: %(why)s") % {"why": error}, stage)
    return Reply(0, f"{type(error).__name__}: {error}", stage)
