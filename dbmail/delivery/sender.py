"""Whose name may stand in From."""

from django.utils.translation import gettext as _

from ..addresses import Mailbox, domain_matches, parse_mailbox
from ..conf import config
from ..exceptions import SenderNotAllowed


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
    return any(domain_matches(mailbox.domain, domain) for domain in config().from_domains)
