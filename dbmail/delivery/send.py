"""One mail at once, past the queue: notices, confirmations, whatever a person waits for."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from ..addresses import Mailbox, normalise, one_line, parse_mailbox
from ..conf import check_category
from ..exceptions import MailRefused
from ..models.suppression import Suppression
from ..people import address_of
from ..suppression.entries import suppressed
from . import headers as header_rules
from . import return_path as return_paths
from .connection import close_smtp, configured_backend, open_smtp, speaks_smtp
from .from_address import check_sender
from .message import Mail
from .smtp import transmit

log = logging.getLogger(__name__)


def send_mail(
    subject: str,
    message: str,
    from_email: str,
    recipient_list: str | Iterable[str],
    fail_silently: bool = False,
    bcc: Iterable[str] | None = None,
    return_path: str | None = None,
    extra_headers: Mapping[str, str] | None = None,
    user: Any = None,
    *,
    transactional: bool = False,
    category: str = "",
) -> int:
    """Send one mail now; 1, or 0 where nobody was left to send it to (or it failed silently).

    `message` with an `<html` tag goes out as HTML with a text part beside it. An address that comes twice, in
    whatever case, gets one copy. `return_path` is the envelope sender, DBMAIL["BOUNCES"] if not given; "<>" is
    the null sender. Suppressed addresses are left out, unless the mail is `transactional`: one that the person asked
    for or must have, such as a password reset. `category` is one of DBMAIL["CATEGORIES"]: who left it, or all mail,
    is left out. `user` adds List-Unsubscribe headers for that user's address; so does a category where the mail has
    one recipient. They leave the category, or all mail where there is none.

    Raises SenderNotAllowed, AddressError, HeaderNotAllowed, UnknownCategory before anything is sent;
    RelayUnavailable, MailRefused or the backend's own exception where it could not be; with `fail_silently` these
    are logged instead.
    """
    check_category(category)
    if category and transactional:
        raise ValueError("A transactional mail goes out whatever people have left, so it has no category.")
    scope = category or Suppression.ALL
    to, hidden = _recipients(recipient_list, bcc or (), None if transactional else scope)
    sender = check_sender(from_email)
    headers = header_rules.check_special_headers(extra_headers or {})
    if not to and not hidden:
        return 0
    leaving = _address_of(user, to or hidden) if user is not None or (category and len(to + hidden) == 1) else ""
    own = header_rules.unsubscribe_headers(leaving, scope) if leaving else {}
    mail = Mail(
        subject=one_line(subject),
        body=message,
        sender=sender,
        to=to,
        bcc=hidden,
        return_path=_envelope_sender(return_path),
        headers={name: value for name, value in headers.items() if name not in own},
        own_headers=own,
    )
    try:
        _deliver(mail)
    except Exception:
        if not fail_silently:
            raise
        log.exception("A mail could not be sent, and the caller wants to go on")
        return 0
    return 1


def _envelope_sender(given: str | None) -> str:
    if given == "<>":
        return ""
    return parse_mailbox(given).address if given else return_paths.plain()


def _recipients(
    recipient_list: str | Iterable[str], bcc: Iterable[str], scope: str | None
) -> tuple[tuple[Mailbox, ...], tuple[Mailbox, ...]]:
    """The mailboxes for To and Bcc, each address once over both, without those that left mail of `scope` (if any)."""
    given = [recipient_list] if isinstance(recipient_list, str) else list(recipient_list)
    boxes: dict[str, tuple[Mailbox, bool]] = {}
    for text, is_hidden in [*((text, False) for text in given), *((text, True) for text in bcc)]:
        box = parse_mailbox(text)
        boxes.setdefault(normalise(box.address), (box, is_hidden))
    left_out = suppressed(boxes, scope) if scope else {}
    kept = [pair for address, pair in boxes.items() if address not in left_out]
    return tuple(box for box, is_hidden in kept if not is_hidden), tuple(box for box, is_hidden in kept if is_hidden)


def _address_of(user: Any, to: tuple[Mailbox, ...]) -> str:
    """The address that an unsubscribe is for: the user's own if the mail goes there, else the first it goes to."""
    own = address_of(user)
    return own if normalise(own) in {normalise(box.address) for box in to} else to[0].address


def _deliver(mail: Mail) -> None:
    backend = configured_backend()
    if not speaks_smtp(backend):
        backend.send_messages([mail.email_message()])
        return
    envelope = mail.for_smtp()
    reply = transmit(open_smtp(backend), envelope)
    close_smtp(backend, politely=not reply.lost)
    if not reply.accepted:
        raise MailRefused(_("The relay did not take the mail: %(reply)s") % {"reply": reply}, reply)
