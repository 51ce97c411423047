"""The header that a forwarded message leaves with: a list's, or an alias's.

A list speaks in its own name ("Ann via directors" at its own address), because the author's domain forbids
others to (DMARC) and readers' servers obey. An alias passes on what the author signed.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote

from ..addresses import Mailbox, addresses_in, ascii_domain, normalise, one_line, parse_mailbox
from ..delivery.header_block import HeaderBlock, address_spec, encoded, mailbox, readable
from ..exceptions import AddressError
from .facts import Envelope, Facts
from .rules import list_id

#: Written by one hop for itself, or telling who else got it: never passed on.
_PRIVATE = (
    "bcc",
    "apparently-to",
    "return-path",
    "envelope-to",
    "delivery-date",
    "errors-to",
    "x-envelope-to",
    "x-original-to",
)
#: Would have readers' programs answer to somebody, or tell mail programs that somebody else resent it.
_RECEIPTS = (
    "resent-",
    "disposition-notification-to",
    "disposition-notification-options",
    "return-receipt-to",
    "return-receipt-requested",
    "x-confirm-reading-to",
    "x-pmrqc",
    "generate-delivery-report",
)
#: What a list says itself.
_OF_LISTS = ("to", "cc", "sender", "list-", "precedence", "x-esp-sender", "mail-followup-to", "mail-reply-to")

_MAILTO = "@!$*+-._~"  # stand for themselves in a mailto: link (RFC 6068)
_LONGEST_LINE = 900  # RFC 5322, 2.1.1 allows 998


@dataclass(frozen=True, slots=True)
class ListStyle:
    """What a row and its handler ask of a list's copies."""

    #: Stand in brackets before the subject, once each, in this order.
    tags: tuple[str, ...] = ()
    #: `"Name" <address>` that stands in From, or "" for "Author via list".
    from_email: str = ""
    #: Named in To; empty: the list's own address stands there.
    to: tuple[Mailbox, ...] = ()
    #: Where people write who need help.
    support: str = ""


def for_alias(header: HeaderBlock, envelope: Envelope) -> HeaderBlock:
    """The header of a copy for a person's alias: nothing that a DKIM signature covers is changed."""
    kept = header.without(_PRIVATE).without(_RECEIPTS, unless=_signed_names(header))
    return _marked(kept, envelope)


def for_list(header: HeaderBlock, envelope: Envelope, facts: Facts, style: ListStyle) -> HeaderBlock:
    """The header of a list's copies: From, Reply-To, To, Subject and List-* are the list's own."""
    address = list_address(envelope)
    own = mailbox(address)
    block = header.without((*_PRIVATE, *_RECEIPTS, *_OF_LISTS))
    block = _with_author(block, facts, style, envelope, address)
    to = b",\r\n ".join(mailbox(box.address, box.name) for box in style.to) or own
    block = block.with_field("To", to)
    block = _with_tags(block, style.tags)
    block = block.with_field("List-Id", f"<{list_id(envelope)}>")
    block = block.with_field("List-Post", f"<mailto:{quote(address, safe=_MAILTO)}>")
    if style.support:
        help_address = parse_mailbox(style.support).address
        block = block.with_field("List-Help", f"<mailto:{quote(help_address, safe=_MAILTO)}>")
    return _marked(block.with_field("Precedence", "list"), envelope)


def list_address(envelope: Envelope) -> str:
    """The address that the message came to, as it stands in header fields."""
    return address_spec(envelope.local_part, ascii_domain(envelope.domain.lower()))


def _marked(block: HeaderBlock, envelope: Envelope) -> HeaderBlock:
    """With the marks by which we know our own, and what a message must have (RFC 5322, 3.6)."""
    block = block.without(("x-esp-sender",)).with_field("X-ESP-SENDER", "version 2")
    block = block.with_field("X-Loop", envelope.recipient.encode("utf-8"))
    if not block.first("message-id"):
        from ..models.mail import new_message_id

        block = block.with_field("Message-ID", f"<{new_message_id()}>")
    if not block.first("date"):
        block = block.with_field("Date", formatdate(usegmt=True))
    return block


def _with_author(block: HeaderBlock, facts: Facts, style: ListStyle, envelope: Envelope, address: str) -> HeaderBlock:
    if style.from_email:
        box = parse_mailbox(style.from_email)
        return block.with_only("From", mailbox(box.address, box.name))
    name = _name_of(facts.author)
    via = f"{name} via {envelope.local_part}" if name else envelope.local_part
    replies = _reply_to(block, facts.author)
    block = block.with_only("From", mailbox(address, via))
    block = block.without(("reply-to",))
    return block.with_field("Reply-To", b",\r\n ".join(replies)) if replies else block


def _name_of(author: Mailbox | None) -> str:
    """What the author is called; no address in it, or mail programs show that instead of ours."""
    if not author:
        return ""
    name = one_line(re.sub(r"\S*@\S*", " ", author.name))
    return name or author.address.rpartition("@")[0]


def _reply_to(block: HeaderBlock, author: Mailbox | None) -> list[bytes]:
    """Where the author wants answers, and the author."""
    wanted: dict[str, bytes] = {}
    found: list[tuple[str, str]] = []
    for field in block.all("reply-to")[:1]:
        with suppress(AddressError):  # too long to be where somebody wants answers
            found = addresses_in(b" ".join(field.value.split()).decode("utf-8", "replace"))
    for name, address in found:
        try:
            box = parse_mailbox(address)
        except AddressError:
            continue
        wanted[normalise(box.address)] = mailbox(box.address, readable(name.encode("utf-8", "replace")))
    if author:
        wanted.setdefault(normalise(author.address), mailbox(author.address, author.name))
    return list(wanted.values())[:10]


def _with_tags(block: HeaderBlock, tags: Iterable[str]) -> HeaderBlock:
    """Each tag in brackets before the subject, unless it stands in it already. The subject's bytes stay."""
    subject = block.first("subject")
    text = subject.text.lower() if subject else ""
    missing = [f"[{one_line(tag)}]" for tag in tags if one_line(tag) and f"[{one_line(tag)}]".lower() not in text]
    if not missing:
        return block
    rest = subject.value if subject else b""
    prefix = encoded(" ".join(missing), keep_last_space=rest.lstrip().startswith(b"=?"))
    if rest[:1] not in (b" ", b"\t", b"\r", b""):
        rest = b" " + rest
    if len(prefix) + len(rest.split(b"\r\n", 1)[0]) > _LONGEST_LINE and rest[:1] != b"\r":
        rest = b"\r\n" + rest
    return block.with_only("Subject", prefix + rest)


def _signed_names(header: HeaderBlock) -> set[str]:
    """Names of the fields that a DKIM signature covers (RFC 6376, the tag h=)."""
    names: set[str] = set()
    for signature in header.all("dkim-signature"):
        for tag in signature.value.decode("latin-1").split(";"):
            name, _, value = tag.partition("=")
            if name.strip() == "h":
                names.update(part.strip().lower() for part in value.split(":"))
    return names
