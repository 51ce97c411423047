"""How much of a stranger's message is read, and the one door to Python's parser of mail.

That parser takes the square of the length of some header fields, asks every multipart around a line about that line,
and calls itself for each part inside a part. So it sees the beginning of a message only, no long fields, and gives
up at a number of parts. What is stored and passed on is always the message as it came.
"""

import re
from email import message_from_bytes
from email.message import Message
from email.policy import Compat32
from encodings import normalize_encoding
from encodings.aliases import aliases
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from ..exceptions import DbmailError

#: Bytes that the header of a message may have. Exim allows a megabyte.
HEADER = 500_000
#: Fields that a header may have.
FIELDS = 1_000
#: Bytes that one field may have; as much as Postfix allows.
FIELD = 100_000
#: Bytes from the beginning of a message that the parser sees.
BYTES = 500_000
#: Lines from the beginning of a message that the parser sees.
LINES = 20_000
#: Parts that a message may have.
PARTS = 500
#: Parts that may stand around one part.
DEPTH = 20
#: Characters of a field that the parser sees. A longer field is empty to it: cut, it could say something else.
PARSED_FIELD = 1_000

_LINE_END = re.compile(rb"\r\n?|\n")
# These need the square of the length, and no mail is written in them.
_SLOW = frozenset(["idna", "punycode"])
_CHARSETS = (frozenset(aliases) | frozenset(aliases.values()) | {"cp874", "koi8_u", "utf_8_sig"}) - _SLOW


class Excess(DbmailError):
    """There is too much of something in a message for it to be read; the text says of what."""


def parsed(raw: bytes, most: int = BYTES) -> Message:
    """The beginning of `raw`, as Python's parser reads it. Raises Excess where it has too many parts, or too deep."""
    return message_from_bytes(beginning(raw, most, LINES), policy=_policy)


def beginning(raw: bytes, most: int, lines: int) -> bytes:
    """The first so many bytes of `raw`, and so many lines of them."""
    last = next(islice(_LINE_END.finditer(raw, 0, most), lines - 1, None), None)
    return raw[: last.end() if last else most]


def charset(name: str | None) -> str:
    """`name` where it is a charset that mail is written in, else utf-8.

    Python remembers each name that it was ever asked for and does not know: in a process that stays up, a
    stranger's names would fill the memory.
    """
    return name if name and normalize_encoding(name).lower() in _CHARSETS else "utf-8"


class _Policy(Compat32):
    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value if len(value) <= PARSED_FIELD else ""


class _Part(Message):
    """A part that knows how many there are with it and around it."""

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        self.depth = 0
        self.parts = [1]  # one list for the whole message

    def get_param(self, param: str, failobj: Any = None, *args: Any, **kwargs: Any) -> Any:
        found = super().get_param(param, failobj, *args, **kwargs)
        if param != "charset" or found is failobj:
            return found
        return charset(found if isinstance(found, str) else found[2])

    def attach(self, payload: Any) -> None:
        payload.depth, payload.parts = self.depth + 1, self.parts
        self.parts[0] += 1
        if payload.depth > DEPTH:
            raise Excess(_("It has parts in parts, more than %(limit)d deep.") % {"limit": DEPTH})
        if self.parts[0] > PARTS:
            raise Excess(_("It has more than %(limit)d parts.") % {"limit": PARTS})
        super().attach(payload)


_policy = _Policy(message_factory=_Part)
