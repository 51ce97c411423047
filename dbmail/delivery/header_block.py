"""The header of a message as bytes: taken apart at the field boundaries, edited, put together. Never the body.

Python's `email` objects rewrite what they print, which breaks signatures; here a field that nobody edits
leaves as it came (RFC 5322, 2.2), but for what no server may be sent: a bare CR or NUL in a field is a space.
"""

import dataclasses
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from email.header import decode_header, make_header
from email.message import Message

from django.utils.translation import gettext as _

from ..addresses import one_line
from ..models import Forward
from . import caps
from .mime import encoded_words

_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_DOT_ATOM = re.compile(r"[^\s()<>@,;:\\\"\[\].\x00-\x1f\x7f]+(\.[^\s()<>@,;:\\\"\[\].\x00-\x1f\x7f]+)*")
#: Longest part of a field that is decoded for reading, in bytes, and most encoded words in it.
_READABLE = 4000
_ENCODED_WORDS = 100


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: its name in lower case, and its lines as they came, folded with CRLF."""

    name: str
    raw: bytes
    #: It came with a bare CR or NUL, which is a space here.
    is_mended: bool = dataclasses.field(default=False, compare=False)

    @property
    def value(self) -> bytes:
        """What follows the colon, folds and all."""
        return self.raw.partition(b":")[2]

    @property
    def text(self) -> str:
        """The value as a person reads it, on one line: encoded words decoded, broken bytes replaced."""
        return readable(self.value)


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The fields of a message in their order. Every edit gives a new block."""

    fields: tuple[Field, ...] = ()
    #: What there is too much of, in words: then `fields` are the first ones only.
    excess: str = ""

    def all(self, name: str) -> list[Field]:
        return [field for field in self.fields if field.name == name.lower()]

    def first(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name.lower()), None)

    def without(self, names: Iterable[str], unless: Iterable[str] = ()) -> "HeaderBlock":
        """Without the fields of these names, but for those in `unless`.

        A name that ends in a hyphen stands for all that begin with it.
        """
        exact = {name.lower() for name in names}
        prefixes = tuple(name for name in exact if name.endswith("-"))
        kept_anyway = set(unless)

        def goes(name: str) -> bool:
            return (name in exact or name.startswith(prefixes)) and name not in kept_anyway

        return HeaderBlock(tuple(field for field in self.fields if not goes(field.name)))

    def with_field(self, name: str, value: bytes | str) -> "HeaderBlock":
        """With one more field at the end. A str is encoded where needed; neither may bring a line of its own."""
        return HeaderBlock((*self.fields, make_field(name, value)))

    def with_only(self, name: str, value: bytes | str) -> "HeaderBlock":
        """With this field in place of all of its name: where the first of them stood, else at the end."""
        new = make_field(name, value)
        kept: list[Field] = []
        placed = False
        for field in self.fields:
            if field.name != new.name:
                kept.append(field)
            elif not placed:
                kept.append(new)
                placed = True
        return HeaderBlock(tuple(kept) if placed else (*kept, new))

    def as_bytes(self) -> bytes:
        """The block and the empty line after it, with CRLF."""
        return b"".join(field.raw + b"\r\n" for field in self.fields) + b"\r\n"


def split(raw: bytes, *, is_ours: bool = False) -> tuple[HeaderBlock, bytes]:
    """The header and the body of a message, as Exim divides them.

    The header ends at an empty line, or before a line that is no field. An mbox `From ` line on top is left out.
    Where there is too much of a stranger's header, it ends there, and says so in `excess`.
    """
    lines: list[list[bytes]] = []
    names: list[str] = []
    position = begin = 0
    while position < len(raw):
        end = raw.find(b"\n", position)
        following = len(raw) if end < 0 else end + 1
        line = raw[position : len(raw) if end < 0 else end].removesuffix(b"\r")
        if not line:
            return _block(names, lines), raw[following:]
        is_fold = line[:1] in (b" ", b"\t") and bool(lines)
        found = None if is_fold else _NAME.match(line)
        if is_fold or found:
            begin = begin if is_fold else position
            if not is_ours and (excess := _excess(len(names) + bool(found), following - begin, following)):
                return replace(_block(names, lines), excess=excess), raw[position:]
        if is_fold:
            lines[-1].append(line)
        elif found:
            names.append(found.group(1).decode("ascii").lower())
            lines.append([line])
        elif position > 0 or not line.startswith((b"From ", b">From ")):
            return _block(names, lines), raw[position:]
        position = following
    return _block(names, lines), b""


def _excess(fields: int, field: int, header: int) -> str:
    """What there is too much of at the end of a line, or "": `field` and `header` are bytes up to there."""
    if fields > caps.FIELDS:
        return _("Its header has more than %(limit)d fields.") % {"limit": caps.FIELDS}
    if field > caps.FIELD:
        return _("A field of its header has more than %(limit)d bytes.") % {"limit": caps.FIELD}
    if header > caps.HEADER:
        return _("Its header has more than %(limit)d bytes.") % {"limit": caps.HEADER}
    return ""


def readable_message(header: HeaderBlock) -> Message:
    """The fields for a handler to read; without Python's parser, which some fields would keep busy for minutes."""
    message = Message()
    for field in header.fields:
        name, _colon, value = field.raw.decode("ascii", "surrogateescape").partition(":")
        message[name.rstrip()] = value.lstrip(" \t")
    return message


def _block(names: list[str], lines: list[list[bytes]]) -> HeaderBlock:
    return HeaderBlock(
        tuple(Field(name, _joined(of_one), _is_odd(of_one)) for name, of_one in zip(names, lines, strict=True))
    )


def _is_odd(lines: list[bytes]) -> bool:
    return any(b"\r" in line or b"\0" in line for line in lines)


def _joined(lines: list[bytes]) -> bytes:
    """The lines of one field. One of white space alone is left out: others would take it for the header's end."""
    clean = [line.replace(b"\r", b" ").replace(b"\0", b" ") for line in lines]
    return b"\r\n".join([clean[0], *(line for line in clean[1:] if line.strip())])


def make_field(name: str, value: bytes | str) -> Field:
    """A field of ours. Line breaks in a str become spaces; in bytes only folds are let through."""
    if isinstance(value, str):
        value = encoded(one_line(value))
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\r\n(?![ \t])|\0", value):
        raise ValueError(f"A line break or NUL in a value of {name}.")
    lead = b"" if value[:1] in (b" ", b"\t", b"\r") else b" "
    return Field(name.lower(), name.encode("ascii") + b":" + lead + value)


def encoded(text: str, *, keep_last_space: bool = False) -> bytes:
    """`text` for a header field: as it is where it is ASCII, else in encoded words (RFC 2047)."""
    if text.isascii():
        return text.encode("ascii")
    if keep_last_space:  # white space between two encoded words is not shown: it has to be inside one
        text += " "
    return encoded_words(text, 10).encode("ascii")


def mailbox(address: str, name: str = "") -> bytes:
    """`"Name" <address>` for a header field; an address in UTF-8 stays so (RFC 6532)."""
    spec = address.encode("utf-8")
    name = one_line(name)[:80]
    if not name:
        return spec
    if name.isascii():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <'.encode("ascii") + spec + b">"
    return encoded(name) + b" <" + spec + b">"


def address_spec(local_part: str, domain: str) -> str:
    """local@domain, the local part in quotes where it needs them (RFC 5322, 3.4.1)."""
    if _DOT_ATOM.fullmatch(local_part):
        return f"{local_part}@{domain}"
    quoted = local_part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"@{domain}'


def readable(value: bytes) -> str:
    """The value of a field on one line, decoded; never raises. Cut after some 4,000 bytes."""
    raw = b" ".join(value[:_READABLE].split())
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    # Broken base64, a charset that it is not in: whatever the library raises, the raw text is shown.
    with suppress(Exception):
        if "=?" in text and text.count("=?") <= _ENCODED_WORDS:
            words = decode_header(text)
            if all(name is None or caps.charset(name) == name for _part, name in words):
                text = str(make_header(words))
    return one_line(text.encode("utf-8", "replace").decode("utf-8"))


def message_bytes(forward: Forward) -> bytes:
    """A copy as it leaves: the forward's header, then the body of the message, byte for byte.

    The header has CRLF; the body has the line ends that it came with.
    """
    _header, body = split(bytes(forward.incoming.raw), is_ours=True)  # as it was divided when it was passed on
    return bytes(forward.headers) + body


def wire_bytes(forward: Forward) -> bytes:
    """A copy as SMTP wants it: every line feed after a carriage return (RFC 5321, 2.3.8).

    Nothing else is changed but a carriage return before a dot: alone it would be the beginning of a line to some
    servers, and the dot then the end of the message, with commands of a stranger's after it.
    """
    with_crlf = message_bytes(forward).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return with_crlf.replace(b"\r.", b"\r\n.")
