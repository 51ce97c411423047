"""Telling a person whom we know that an address does not exist; everybody else hears it from the mail server, or not.

An answer to whoever a From names would be mail to strangers that spammers choose (RFC 3834, 2).
"""

import logging
import re
from datetime import timedelta

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from ..addresses import normalise, parse_mailbox
from ..conf import config
from ..delivery.header_block import HeaderBlock, split
from ..delivery.send import send_mail
from ..models import IncomingMessage
from .authentication import vouched_by
from .facts import Facts, read
from .route import standing
from .rules import EX_OK, Decision, Verdict

log = logging.getLogger(__name__)

_RULE = "told"
_MESSAGE_ID = re.compile(r"[^\s<>@]{1,120}@[^\s<>@]{1,120}")


def tell_author(message: IncomingMessage, unknown: Decision) -> Decision:
    """What the mail server hears of a message for an unknown address: 0 where its author has been told by us,
    else `unknown` as it is. Never raises: a notice that cannot be sent leaves it to the mail server."""
    try:
        header, _body = split(bytes(message.raw))
        facts = read(header, len(message.raw), config().incoming.authserv_ids)
        if why_not(header, facts, message.sender) or not _is_known(facts) or _had_enough(facts):
            return unknown
        if not _send(message, facts):
            return unknown
    except Exception:
        log.exception("The author of message %s could not be told.", message.pk)
        return unknown
    reason = _("%(reason)s Its author was told.") % {"reason": unknown.reason}
    IncomingMessage.objects.filter(pk=message.pk).update(
        state=IncomingMessage.State.DROPPED, decision=_RULE, reason=reason, exit_code=EX_OK
    )
    return Decision(Verdict.DROP, _RULE, reason)


def why_not(header: HeaderBlock, facts: Facts, sender: str) -> str:
    """Why the author of such a message is told nothing, whoever it is; "" where nothing speaks against it."""
    if not sender:
        return "It has a null sender."
    if facts.author is None:
        return "It has not exactly one author."
    if facts.is_auto_reply or facts.auto_submitted != "no" or header.first("x-auto-response-suppress"):
        return "A machine sent it, or wants no answer from one."
    if facts.precedence in ("bulk", "junk", "list") or facts.list_ids:
        return "It comes from a list."
    ours = {normalise(parse_mailbox(text).address) for text in (config().support, config().bounces)}
    if normalise(facts.author.address) in ours | {normalise(parse_mailbox(settings.DEFAULT_FROM_EMAIL).address)}:
        return "It comes from an address of the site's own."
    return ""


def _is_known(facts: Facts) -> bool:
    """A user's address, and our own MTA vouches for it."""
    author = facts.author
    return (
        author is not None
        and bool(vouched_by(author.domain, facts.results))
        and standing(author, (), ()).is_registered
    )


def _had_enough(facts: Facts) -> bool:
    told = IncomingMessage.objects.filter(
        state=IncomingMessage.State.DROPPED,
        received_at__gte=timezone.now() - timedelta(days=1),
        decision=_RULE,
        author__icontains=facts.author.address if facts.author else "",
    )
    return told.count() >= config().incoming.notices


def _send(message: IncomingMessage, facts: Facts) -> bool:
    """Send the notice, whose own bounces go nowhere; False where the address gets no mail from us."""
    headers = {"Auto-Submitted": "auto-replied"}
    if _MESSAGE_ID.fullmatch(facts.message_id):
        headers |= {"In-Reply-To": f"<{facts.message_id}>", "References": f"<{facts.message_id}>"}
    context = {"recipient": message.recipient, "subject": facts.subject, "support": config().support}
    return bool(
        send_mail(
            (_("Undeliverable: %(subject)s") % {"subject": facts.subject})[:200],
            render_to_string("dbmail/notice_unknown.txt", context),
            settings.DEFAULT_FROM_EMAIL,
            [facts.author.address] if facts.author else [],
            return_path="<>",
            extra_headers=headers,
        )
    )
