"""Reports about mail of ours: delivery status (RFC 3464, 6533), complaints (RFC 5965), and bounces in other words."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from importlib.util import find_spec

from django.utils.translation import gettext as _

from ..addresses import normalise, one_line
from ..delivery.caps import Excess, beginning, parsed
from ..processes import interpreter

#: Enhanced status codes (RFC 3463) that say the address itself is no good, now and later.
BAD_ADDRESS = re.compile(r"5\.1\.(?:[0-3]|6|10)|5\.2\.1")
#: Any enhanced status code in a text, in its three numbers (RFC 3463).
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
#: Characters of the other server's words that are kept.
_LONGEST_TEXT = 1000
#: Recipients that are read from one report.
_MOST_RECIPIENTS = 100
#: Parts inside parts that are followed.
_DEEPEST = 20
#: Processor seconds that flufl.bounce may use on one message, in its own process.
_SECONDS = 1
#: Seconds of the clock after which that process is ended: a busy machine gives it less than a whole processor.
_PATIENCE = 15
#: Bytes of an odd bounce that are read: its server says why before it returns the message.
_READ = 200_000
#: Lines of an odd bounce that are read.
_LINES = 3_000
#: Failed addresses that are taken from one odd bounce.
_MOST = 100
#: An enhanced status code in running text: 5.1.1, but not the 5.1.1 in 192.5.1.1 or in version 5.1.1.2.
_ODD_STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
# Arguments: where to look for modules, as JSON, and seconds. The message is on its stdin; it answers with the
# addresses that failed for now, and those that failed for good.
_CHILD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
sys.path[:] = json.loads(sys.argv[1])
from email import message_from_bytes
from flufl.bounce import all_failures
found = all_failures(message_from_bytes(sys.stdin.buffer.read()))
print(json.dumps([sorted(a if isinstance(a, str) else a.decode("latin-1") for a in kind) for kind in found]))
"""


class Kind(StrEnum):
    """What happened, in anymail's words (see MailEvent.Type)."""

    BOUNCED = "bounced"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a report says of one recipient."""

    #: The recipient, normalised; "" where the report does not show it.
    address: str
    kind: Kind
    #: Whether the address will never work. A full mailbox or a policy does not make it so.
    is_hard: bool = False
    #: Enhanced status code, "5.1.1", or "".
    status: str = ""
    #: The other server's words, on one line.
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report, and what it tells of the mail that it is about (the "returned message")."""

    #: How it was written: "dsn" (RFC 3464), "arf" (RFC 5965), or "bounce" for a bounce in other words.
    source: str
    outcomes: tuple[Outcome, ...]
    #: Message-ID of the returned message without its angle brackets; "" where the report does not show it.
    message_id: str = ""
    #: Return path of the returned message; "" where the report does not show it.
    return_path: str = ""


def parse(raw: bytes) -> Report | None:
    """The report that `raw` (a whole message) holds, or None if it is not a DSN or ARF report.

    Raises Excess where the message has too many parts, and nothing else.
    """
    try:
        parts = _parts(parsed(raw))
        return _dsn(parts) or _arf(parts)
    except Excess:
        raise
    except Exception:  # the parser meets whatever strangers send; what it cannot read is no report
        return None


def _parts(message: Message, depth: int = 0) -> list[Message]:
    """The parts of a report, without the parts of the message that it returns."""
    if depth > _DEEPEST:
        return []
    kind = message.get_content_type()
    if kind.startswith("multipart/") and message.is_multipart():
        found: list[Message] = []
        for part in message.get_payload()[:50]:  # type: ignore[index]
            found += _parts(part, depth + 1)  # type: ignore[arg-type]
        return found
    return [message]


def _of_kind(parts: list[Message], *kinds: str) -> Message | None:
    return next((part for part in parts if part.get_content_type() in kinds), None)


def _dsn(parts: list[Message]) -> Report | None:
    status = _of_kind(parts, "message/delivery-status", "message/global-delivery-status")
    if status is None:
        return None
    outcomes: dict[tuple[str, Kind], Outcome] = {}
    for block in _blocks(status)[: _MOST_RECIPIENTS + 1]:
        outcome = _outcome(block)
        if outcome:
            outcomes.setdefault((outcome.address, outcome.kind), outcome)
    if not outcomes:
        return None
    return Report("dsn", tuple(outcomes.values()), *_returned(parts))


def _blocks(status: Message) -> list[Message]:
    """The per-message block and those of the recipients.

    For message/delivery-status, `email` parses each block as a message of its own. For message/global-delivery-status
    it parses only the first one and leaves the others in its body as text.
    """
    payload = status.get_payload()
    blocks = [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else [status]
    found = [block for block in blocks if block is not status]
    for block in blocks:
        body = None if block.is_multipart() else block.get_payload(decode=True)
        texts = re.split(rb"\r?\n\r?\n", body.strip()) if isinstance(body, bytes) else []
        found += [parsed(text) for text in texts[:_MOST_RECIPIENTS] if text]
    return found


def _outcome(block: Message) -> Outcome | None:
    # The address as we wrote it comes first: the final one may be where the recipient forwards to.
    address = _typed(block, "Original-Recipient") or _typed(block, "Final-Recipient")
    action = _text(block, "Action").lower().partition(" ")[0].partition(";")[0]
    if "@" not in address or not action:
        return None
    text = _typed(block, "Diagnostic-Code")
    status = _enhanced(_text(block, "Status")) or _enhanced(text)
    kinds = {
        "failed": Kind.BOUNCED,
        "delayed": Kind.DEFERRED,
        "delivered": Kind.DELIVERED,
        "relayed": Kind.DELIVERED,
        "expanded": Kind.DELIVERED,
    }
    kind = kinds.get(action, Kind.UNKNOWN)
    if kind is Kind.BOUNCED and _enhanced(text).startswith("5") and status.endswith(".0.0"):
        status = _enhanced(text)  # the general code beside a particular one
    is_hard = kind is Kind.BOUNCED and bool(BAD_ADDRESS.fullmatch(status))
    return Outcome(normalise(address)[:320], kind, is_hard, status, text[:_LONGEST_TEXT])


def _arf(parts: list[Message]) -> Report | None:
    feedback = _of_kind(parts, "message/feedback-report")
    if feedback is None:
        return None
    fields = _inner(feedback)
    kind_of_feedback = _text(fields, "Feedback-Type").lower()
    message_id, return_path = _returned(parts)
    kinds = {"opt-out": Kind.UNSUBSCRIBED, "not-spam": Kind.UNKNOWN}
    kind = kinds.get(kind_of_feedback, Kind.COMPLAINED)
    recipients = [one_line(str(value)).strip("<> ") for value in fields.get_all("Original-Rcpt-To", [])]
    text = one_line(f"{kind_of_feedback} {_text(fields, 'User-Agent')}")[:_LONGEST_TEXT]
    outcomes = tuple(
        Outcome(normalise(address)[:320], kind, text=text)
        for address in recipients[:_MOST_RECIPIENTS]
        if "@" in address
    )
    # Most providers leave the address out: the Message-ID then tells whose complaint it is.
    return Report("arf", outcomes or (Outcome("", kind, text=text),), message_id, return_path)


def _returned(parts: list[Message]) -> tuple[str, str]:
    """Message-ID and return path of the message that the report is about."""
    part = _of_kind(parts, "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
    if part is None:
        return "", ""
    inner = _inner(part)
    return _text(inner, "Message-ID").strip("<> "), _text(inner, "Return-Path").strip("<> ")


def _inner(part: Message) -> Message:
    """The fields inside a part, whether `email` has parsed them or left them as text."""
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return payload[0]
    body = part.get_payload(decode=True)
    return parsed(body if isinstance(body, bytes) else b"")


def _text(message: Message, name: str) -> str:
    return one_line(str(message.get(name, "")).encode("utf-8", "replace").decode("utf-8"))


def _typed(message: Message, name: str) -> str:
    """The value after its type: `rfc822; ann@home.test`, `smtp; 550 5.1.1 ...` (RFC 3464, 2.1.2)."""
    value = _text(message, name)
    kind, semicolon, rest = value.partition(";")
    text = rest.strip() if semicolon else value
    if kind.strip().lower() == "utf-8":  # RFC 6533, 3: \x{FC} stands for a character
        text = re.sub(r"\\x\{([0-9A-Fa-f]{1,6})\}", _character, text)
    return text.strip("<> ") if name.endswith("Recipient") else text


def _character(found: re.Match[str]) -> str:
    number = int(found.group(1), 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"


def _enhanced(text: str) -> str:
    found = _STATUS.search(text)
    return found.group(0) if found else ""


def parse_odd(raw: bytes) -> Report | None:
    """What a message to a signed return path says, or None where it is no bounce. Raises Excess, and nothing else.

    Only an enhanced status code in its text makes an address bad for good: words alone may mean anything.
    """
    if not _is_installed():
        return None
    raw = beginning(raw, _READ, _LINES)
    temporary, permanent = _failures(raw)
    if not (temporary or permanent):
        return None
    text = raw.decode("utf-8", "replace")
    line = next((line for line in text.splitlines() if _ODD_STATUS.search(line)), "")
    found = _ODD_STATUS.search(line)
    status = found.group(1) if found else ""
    outcomes = [
        Outcome(address, kind, kind is Kind.BOUNCED and bool(BAD_ADDRESS.fullmatch(status)), status, one_line(line))
        for kind, addresses in ((Kind.BOUNCED, permanent), (Kind.DEFERRED, temporary))
        for address in sorted(filter(None, map(_address, addresses)))[:_MOST]
    ]
    return Report("bounce", tuple(outcomes)) if outcomes else None


def _is_installed() -> bool:
    try:
        return find_spec("flufl.bounce") is not None
    except ImportError:  # not even the package around it
        return False


def _failures(raw: bytes) -> tuple[list[str], list[str]]:
    """The addresses that failed for now, and for good. Raises Excess where there is no answer in time."""
    try:
        done = subprocess.run(  # noqa: S603  (a fixed script; the message is data on its stdin)
            [interpreter(), "-I", "-c", _CHILD, json.dumps(sys.path), str(_SECONDS)],
            input=raw,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Excess(_("Whether it is a bounce could not be found out: %(error)s") % {"error": error}) from None
    if done.returncode < 0:
        raise Excess(_("Whether it is a bounce could not be found out within %(limit)d s.") % {"limit": _SECONDS})
    if done.returncode:  # its detectors meet whatever strangers send; what they cannot read is no bounce
        return [], []
    temporary, permanent = json.loads(done.stdout)
    return temporary, permanent


def _address(found: str) -> str:
    return normalise(one_line(found).strip("<> "))[:320] if "@" in found else ""
