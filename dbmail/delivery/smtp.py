"""The SMTP dialogue for one mail (RFC 5321), with PIPELINING (RFC 2920) where the relay offers it."""

import re
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .message import Envelope

#: Bytes; RFC 5321, 4.5.3.1.5 has 512, some servers write a novel.
_LONGEST_REPLY = 8192


class Stage(StrEnum):
    """How far a dialogue had come when the reply was given, or the line broke."""

    CONNECT = "connect"
    LOGIN = "login"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "end of data"


@dataclass(frozen=True, slots=True)
class Reply:
    """The relay's last word on one mail. `code` is 0 where there was none: the line broke."""

    code: int
    text: str
    stage: Stage
    host: str = ""

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
        return f"{self.code} {self.text}" if self.code else f"{self.text} (at {self.stage})"


def transmit(smtp: smtplib.SMTP, envelope: Envelope, before_end: Callable[[], None] = lambda: None) -> Reply:
    """Send one envelope over an open connection; what the relay said last.

    `before_end` is called when nothing but the message itself is left to send: from then on the mail may be taken,
    whatever becomes of us. Never raises for what the relay does; a connection that is of no more use
    (`lost`, or 421) is for the caller to close. With several recipients, the mail goes if one is taken.
    """
    dialogue = _Dialogue(smtp, envelope, before_end)
    try:
        return dialogue.run()
    except smtplib.SMTPServerDisconnected as error:
        return Reply(0, f"The relay closed the connection: {error}", dialogue.stage)
    except OSError as error:  # a time-out, a reset, TLS; smtplib's own errors are OSErrors too
        return Reply(0, f"{type(error).__name__}: {error}", dialogue.stage)


class _Dialogue:
    def __init__(self, smtp: smtplib.SMTP, envelope: Envelope, before_end: Callable[[], None]) -> None:
        self.smtp, self.envelope, self.before_end = smtp, envelope, before_end
        self.stage = Stage.MAIL
        # As smtplib does: what is left of its own replies is read from the same file.
        self.sock: Any = smtp.sock
        self.file: Any = smtp.file or (self.sock and self.sock.makefile("rb"))
        smtp.file = self.file

    def run(self) -> Reply:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("it is not open")
        unfit = self._unfit()
        if unfit:
            return unfit
        commands = [
            (Stage.MAIL, f"MAIL FROM:<{self.envelope.return_path}>{self._options()}"),
            *((Stage.RCPT, f"RCPT TO:<{address}>") for address in self.envelope.recipients),
            (Stage.DATA, "DATA"),
        ]
        refusal = self._pipelined(commands) if self.smtp.has_extn("pipelining") else self._in_turn(commands)
        if refusal:
            if refusal.code != 421:
                self._command("RSET")
            return refusal
        self.before_end()
        self.stage = Stage.END
        data = self.envelope.data
        data = data if data.endswith(b"\r\n") else data + b"\r\n"
        if b"\r\n." in data or data.startswith(b"."):
            data = re.sub(rb"(?m)^\.", b"..", data)
        self._say(data + b".\r\n")
        return self._reply()

    def _unfit(self) -> Reply | None:
        """Why this relay cannot take the mail at all, by what it said in EHLO."""
        limit = self.smtp.esmtp_features.get("size", "")
        if limit.isdigit() and 0 < int(limit) < len(self.envelope.data):
            size = len(self.envelope.data)
            return Reply(552, f"5.3.4 The mail has {size} bytes, the relay takes {limit}.", Stage.RCPT)
        if self._international() and not self.smtp.has_extn("smtputf8"):
            return Reply(553, "5.6.7 The relay does not take addresses that are not ASCII.", Stage.RCPT)
        return None

    def _international(self) -> bool:
        return not all(map(str.isascii, (self.envelope.return_path, *self.envelope.recipients)))

    def _options(self) -> str:
        options = [f"SIZE={len(self.envelope.data)}"] if self.smtp.has_extn("size") else []
        # Asked for only where they are needed (RFC 6152, 6531); what we make ourselves is 7-bit.
        if not self.envelope.data.isascii() and self.smtp.has_extn("8bitmime"):
            options.append("BODY=8BITMIME")
        if self._international():
            options.append("SMTPUTF8")
        return "".join(f" {option}" for option in options)

    def _command(self, line: str) -> Reply:
        self._say(f"{line}\r\n".encode())
        return self._reply()

    def _say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _reply(self) -> Reply:
        """One reply, of as many lines as it has (RFC 5321, 4.2.1)."""
        lines = []
        while True:
            line = self.file.readline(_LONGEST_REPLY)
            if not line[:3].isdigit() or not line.endswith(b"\n"):
                raise smtplib.SMTPServerDisconnected(f"no SMTP reply but {line[:100]!r}")
            lines.append(line[4:].strip().decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), "\n".join(lines), self.stage)

    def _in_turn(self, commands: list[tuple[Stage, str]]) -> Reply | None:
        """The reply that ended the transaction before the message, or None."""
        refused: list[Reply] = []
        for self.stage, line in commands:
            if self.stage is Stage.DATA and len(refused) == len(self.envelope.recipients):
                return refused[0]
            reply = self._command(line)
            if self.stage is Stage.RCPT and reply.code >= 400 and reply.code != 421:
                refused.append(reply)
            elif reply.code >= 400:
                return reply
        return None

    def _pipelined(self, commands: list[tuple[Stage, str]]) -> Reply | None:
        """As `_in_turn` in one write; a DATA that was accepted for nobody is ended empty (RFC 2920, 3.1)."""
        self._say("".join(f"{line}\r\n" for _, line in commands).encode())
        replies = []
        for self.stage, _ in commands:
            reply = self._reply()
            if reply.code == 421:
                return reply
            replies.append(reply)
        mail, *rcpts, data = replies
        refusal = None
        if mail.code >= 400:
            refusal = mail
        elif all(reply.code >= 400 for reply in rcpts):
            refusal = rcpts[0]
        if refusal and data.code < 400:
            self._say(b".\r\n")
            self._reply()
        return refusal or (data if data.code >= 400 else None)
