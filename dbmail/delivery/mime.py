"""Mail as bytes: RFC 5322 header fields and MIME bodies (RFC 2045 to 2047), assembled from strings.

Django's message classes would do it too, at twenty to eighty times the cost; the tests hold every part of the result
against what Python's own parser reads. `message.email_message` is the same mail for backends that want a class.
"""

import base64
import binascii
import re
from email.header import Header
from email.utils import formataddr, getaddresses
from functools import lru_cache

from ..addresses import Mailbox, wire_address

#: Longest line that is allowed, in characters without CRLF (RFC 5322, 2.1.1).
_LINE = 998
#: Length at which header lines are folded, in characters.
_FOLD = 76
# A name without any of these needs neither quotes nor encoding (RFC 5322, 3.2.3; RFC 2047).
_SPECIAL = re.compile(r"[^A-Za-z0-9 '*+/_-]|=\?")
_ADDRESS_FIELDS = frozenset({"from", "reply-to"})


def encode_mailbox(mailbox: Mailbox) -> str:
    """A mailbox as it stands in a header field: name quoted or encoded (RFC 2047), domain in ASCII.

    A local part that is not ASCII stays as it is: only a relay with SMTPUTF8 takes it (RFC 6531, 6532).
    """
    address = wire_address(mailbox.address)
    if not mailbox.name:
        return address
    if not _SPECIAL.search(mailbox.name) and len(mailbox.name) < _FOLD:
        return f"{mailbox.name} <{address}>"
    if mailbox.name.isascii() and len(mailbox.name) < _LINE // 2 and "=?" not in mailbox.name:
        return formataddr((mailbox.name, address))
    # Long or foreign names: as many encoded words as it takes, one on each line.
    return f"{encoded_words(mailbox.name, 10)}\r\n <{address}>"


def encode_field(name: str, value: str) -> str:
    """`Name: value` folded and encoded, with its CRLF. `value` holds no line break."""
    if name.lower() in _ADDRESS_FIELDS:
        boxes = [encode_mailbox(Mailbox(address, display)) for display, address in getaddresses([value])]
        return f"{name}: " + ",\r\n ".join(boxes) + "\r\n"
    return f"{name}: {encode_text(value, len(name) + 2)}\r\n"


def encode_text(value: str, offset: int = 0) -> str:
    """Unstructured text, folded at blanks; encoded words where it is not ASCII or has no blank to fold at."""
    if value.isascii() and "=?" not in value:
        if len(value) + offset <= _FOLD:
            return value
        if max(map(len, value.split(" "))) + offset < _LINE - 1:
            return _folded(value, offset)
    return encoded_words(value, offset)


def _folded(value: str, offset: int) -> str:
    lines: list[str] = []
    current = ""
    for word in value.split(" "):
        # A line of white space alone would end the header for some readers: a blank stays with its word.
        if current.strip() and len(current) + len(word) + 1 + (offset if not lines else 1) > _FOLD and word:
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}" if current or lines else word
    return "\r\n ".join([*lines, current])


def encoded_words(value: str, offset: int) -> str:
    """`value` in encoded words (RFC 2047), the first line `offset` characters shorter than the others."""
    # A lone surrogate (a broken database, a careless import) has no bytes; it must not stop a mail.
    safe = value.encode("utf-8", "replace").decode("utf-8")
    return Header(safe, "utf-8", maxlinelen=_FOLD - 1, header_name="x" * max(offset - 2, 0)).encode(linesep="\r\n")


@lru_cache(maxsize=64)
def encode_fields(fields: tuple[tuple[str, str], ...]) -> str:
    """Fields that many mails have in common, folded and encoded once."""
    return "".join(encode_field(name, value) for name, value in fields)


def text_entity(kind: str, text: str) -> bytes:
    """A text/plain or text/html entity: its Content-* fields, an empty line, and the body in 7-bit ASCII."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    if not lines.endswith("\n"):
        lines += "\n"
    data = lines.encode("utf-8", "replace").replace(b"\0", b"")
    if data.isascii() and max(map(len, data.split(b"\n"))) <= _LINE:
        encoding, body = b"7bit", data.replace(b"\n", b"\r\n")
    elif sum(byte > 127 for byte in data[:4096]) * 3 > min(len(data), 4096):
        encoding, body = b"base64", base64.encodebytes(data.replace(b"\n", b"\r\n")).replace(b"\n", b"\r\n")
    else:
        encoding, body = b"quoted-printable", _quoted_printable(data)
    return (
        b"Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n" % (kind.encode(), encoding)
    ) + body


def _quoted_printable(data: bytes) -> bytes:
    # b2a_qp leaves line ends as they are and wraps with those of the first line it sees.
    return binascii.b2a_qp(data.replace(b"\n", b"\r\n"), istext=True)


def alternatives(boundary: str, text: str, html: str) -> bytes:
    """multipart/alternative (RFC 2046, 5.1.4): plain text first, the richer form last."""
    mark = boundary.encode()
    return b"".join(
        [
            b'Content-Type: multipart/alternative;\r\n boundary="%s"\r\n\r\n--%s\r\n' % (mark, mark),
            text_entity("plain", text),
            b"\r\n--%s\r\n" % mark,
            text_entity("html", html),
            b"\r\n--%s--\r\n" % mark,
        ]
    )
