"""In whose name a broadcast goes out."""

from typing import NamedTuple

from django.conf import settings

from ..addresses import Mailbox, parse_mailbox
from ..delivery.sender import allowed, check_sender
from ..exceptions import AddressError
from ..models import MessageRequest


class Author(NamedTuple):
    """The mailbox in From, and the one that answers go to where that is another."""

    sender: Mailbox
    reply_to: Mailbox | None = None


def author(request: MessageRequest) -> Author:
    """The request's sender; without one its creator, who stands in Reply-To where From may not hold the address.

    Raises AddressError, SenderNotAllowed for a sender that was entered and cannot be used.
    """
    if request.sender and request.sender.strip():
        return Author(check_sender(request.sender))
    default = check_sender(settings.DEFAULT_FROM_EMAIL)
    creator = request.creator
    try:
        own = parse_mailbox(getattr(creator, creator.get_email_field_name()) or "")
    except AddressError:
        return Author(default)
    own = Mailbox(own.address, creator.get_full_name() if hasattr(creator, "get_full_name") else "")
    return Author(own) if allowed(own) else Author(default, reply_to=own)
