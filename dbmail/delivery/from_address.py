"""In whose name a mail goes out, and whose name may stand in From."""

from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext as _

from ..addresses import Mailbox, domain_matches, parse_mailbox
from ..conf import config
from ..exceptions import AddressError, SenderNotAllowed
from ..models import MessageRequest
from ..people import address_of, name_of


def check_sender(text: str) -> Mailbox:
    """The mailbox in `text`, if its domain is one of DBMAIL["FROM_DOMAINS"].

    Raises AddressError if it is no address, SenderNotAllowed if it is another organisation's: mail that
    claims to come from there fails DMARC (RFC 7489) and harms the reputation of everything else we send.
    """
    mailbox = parse_mailbox(text)
    if not allowed(mailbox):
        domains = ", ".join(config().from_domains)
        raise SenderNotAllowed(
            _(
                "%(address)s cannot stand in From: its domain is none that this site sends for (%(domains)s). "
                "Use an address there and put the other one into Reply-To, or add to DBMAIL[FROM_DOMAINS]."
            )
            % {"address": mailbox.address, "domains": domains}
        )
    return mailbox


def allowed(mailbox: Mailbox) -> bool:
    """Whether the mailbox's domain is one of DBMAIL["FROM_DOMAINS"]."""
    return any(domain_matches(mailbox.domain, domain) for domain in config().from_domains)


class Author(NamedTuple):
    """The mailbox in From, and the one in Reply-To, None where replies go to From."""

    sender: Mailbox
    reply_to: Mailbox | None = None


def author(request: MessageRequest) -> Author:
    """Who stands in From: the request's sender or, if it has none, its creator.

    A creator whose address From may not hold stands in Reply-To, and DEFAULT_FROM_EMAIL in From. Raises AddressError
    or SenderNotAllowed for a sender (or DEFAULT_FROM_EMAIL) that cannot be used.
    """
    if request.sender and request.sender.strip():
        return Author(check_sender(request.sender))
    default = check_sender(settings.DEFAULT_FROM_EMAIL)
    creator = request.creator
    try:
        own = parse_mailbox(address_of(creator))
    except AddressError:
        return Author(default)
    own = Mailbox(own.address, name_of(creator))
    return Author(own) if allowed(own) else Author(default, reply_to=own)
