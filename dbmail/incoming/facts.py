"""What a message says about itself, read once from its header; nothing here is believed yet."""

import hashlib
import logging
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from ..addresses import Mailbox, normalise, one_line, parse_mailbox
from ..delivery.header_block import HeaderBlock, readable
from ..exceptions import AddressError
from .authentication import Result, results

logger = logging.getLogger(__name__)

#: Ours is a local part and a domain at the most; what is cut is none of ours.
_LONGEST_LIST_ID = 400


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the MTA said beside the message. `sender` is empty for the null sender."""

    local_part: str
    domain: str
    sender: str = ""
    queue_id: str = ""

    @property
    def recipient(self) -> str:
        # White space in a quoted local part is part of it, so nothing is stripped here.
        return f"{self.local_part.lower()}@{normalise(f'@{self.domain}')[1:]}"

    @property
    def untagged(self) -> "Envelope":
        """The same without a +tag."""
        local_part = self.local_part.partition("+")[0] or self.local_part
        return Envelope(local_part, self.domain, self.sender, self.queue_id)


@dataclass(frozen=True, slots=True)
class Facts:
    """The marks that the rules look at."""

    size: int = 0
    #: The one author, or None where From is missing, doubled, or not one address.
    author: Mailbox | None = None
    subject: str = ""
    message_id: str = ""
    received: int = 0
    list_ids: frozenset[str] = frozenset()
    loops: frozenset[str] = frozenset()
    auto_submitted: str = "no"
    precedence: str = ""
    is_auto_reply: bool = False
    results: tuple[Result, ...] = field(default=())
    #: Why the message cannot be acted on as it is, in words; "" where it can be read.
    unreadable: str = ""


def read(header: HeaderBlock, size: int, authserv_ids: tuple[str, ...] = ()) -> Facts:
    """The facts of a message with this header and `size` bytes. Never raises."""
    try:
        return _read(header, size, authserv_ids)
    except Exception as error:  # whatever a parser meets in it will be there again: a person looks, no server retries
        logger.exception("The header of a message cannot be read.")
        said = _("Its header cannot be read: %(error)s") % {"error": f"{type(error).__name__}: {error}"[:200]}
        return Facts(size=size, unreadable=said)


def _read(header: HeaderBlock, size: int, authserv_ids: tuple[str, ...]) -> Facts:
    return Facts(
        size=size,
        author=_author(header),
        subject=_text(header, "subject"),
        message_id=_text(header, "message-id").strip("<>"),
        received=len(header.all("received")),
        list_ids=frozenset(_list_id(_plain(f.value)) for f in header.all("list-id")),
        loops=frozenset(_plain(f.value).strip("<> ").lower() for f in header.all("x-loop")),
        auto_submitted=_word(_text(header, "auto-submitted")) or "no",
        precedence=_word(_text(header, "precedence")),
        is_auto_reply=_is_auto_reply(header),
        results=results(_authentication(header) if authserv_ids else [], authserv_ids),
        unreadable=header.excess,
    )


def content_hash(header: HeaderBlock, body: bytes, queue_id: str) -> str:
    """SHA-256 over what is equal when one message comes twice: trace fields differ each time, these do not.

    Without Message-ID and Date two different messages could look alike: there the MTA's queue id counts too.
    """
    digest = hashlib.sha256()
    for name in ("message-id", "date", "from", "subject"):
        for found in header.all(name):
            digest.update(name.encode() + b":" + b" ".join(found.value.split()) + b"\n")
    if not header.first("message-id") and not header.first("date"):
        digest.update(b"queue-id:" + queue_id.encode("utf-8", "replace") + b"\n")
    digest.update(b"\n")
    digest.update(body)
    return digest.hexdigest()


def claimed_sender(header: HeaderBlock) -> str:
    """The envelope sender as the header tells it, where the server said nothing: Return-Path, else From."""
    path = header.first("return-path")
    if path:
        return path.text.strip("<> ")
    author = _author(header)
    return author.address if author else ""


def _plain(value: bytes) -> str:
    """The value on one line, and whole: nothing in it is decoded, since nothing in such a field is encoded."""
    return one_line(value.decode("utf-8", "replace"))


def _text(header: HeaderBlock, name: str) -> str:
    found = header.first(name)
    return found.text if found else ""


def _authentication(header: HeaderBlock) -> list[str]:
    """As it came; without what a filter may not know for such a field, and our own server does not write."""
    fields = [field for field in header.all("authentication-results") if not field.is_mended]
    return [field.value.decode("utf-8", "replace") for field in fields if field.raw[len(field.name) :][:1] == b":"]


def _word(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def _author(header: HeaderBlock) -> Mailbox | None:
    fields = header.all("from")
    if len(fields) != 1:
        return None
    try:
        raw = b" ".join(fields[0].value.split())
        found = parse_mailbox(raw.decode("utf-8"))
    except (AddressError, UnicodeDecodeError):
        return _author_with_odd_name(fields[0].value)
    # An encoded name may hold anything, which parsers of addresses take for their own signs.
    shown = raw.rpartition(b"<")[0].strip(b' "') if b"=?" in raw else found.name.encode("utf-8")
    return Mailbox(found.address, readable(shown))


def _author_with_odd_name(value: bytes) -> Mailbox | None:
    """`8-bit or badly quoted name <ann@example.org>`: one pair of angle brackets, at the end, and no other @."""
    name, bracket, rest = value.strip().rpartition(b"<")
    if not bracket or not rest.endswith(b">") or b"@" in name or b"," in name or b"<" in name or b";" in name:
        return None
    try:
        return Mailbox(parse_mailbox(rest[:-1].decode("ascii")).address, readable(name.strip(b' "')))
    except (AddressError, UnicodeDecodeError):
        return None


def _list_id(text: str) -> str:
    inside = text.rpartition("<")[2].partition(">")[0]
    return inside.strip().lower()[:_LONGEST_LIST_ID]


def _is_auto_reply(header: HeaderBlock) -> bool:
    """Marks of answering machines: RFC 3834, and what was used before it."""
    return (
        _word(_text(header, "auto-submitted")) in ("auto-replied", "auto-notified")
        or _word(_text(header, "precedence")) == "auto_reply"
        or any(header.first(name) for name in ("x-autoreply", "x-autorespond", "x-autoresponse"))
        or _is_report(header)
    )


def _is_report(header: HeaderBlock) -> bool:
    """A delivery or disposition notification, whoever claims to have sent it."""
    kind = _text(header, "content-type").lower().replace(" ", "")
    return kind.startswith("multipart/report") and "report-type=" in kind
