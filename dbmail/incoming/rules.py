"""May this message be acted on, and how? Small rules from facts to a decision with its reason; no database.

Rules of a message are asked before a row is looked for, rules of a row when a handler has taken the message.
Each returns None where it has nothing to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..addresses import ascii_domain, domain_matches
from .authentication import vouched_by
from .facts import Envelope, Facts

#: Values of a row's who_may_post, in its own words.
_MAY_POST = {
    "registered": gettext_noop("registered users"),
    "members": gettext_noop("the list's members, its teachers and staff"),
    "staff": gettext_noop("staff, and the teachers of a class list"),
    "nobody": gettext_noop("nobody: each message waits for a moderator"),
}
#: Exit codes of sysexits.h, as an MTA's pipe transport understands them.
EX_OK, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM = 0, 65, 67, 69, 75, 77
#: More Received fields than this mean that a message goes round in circles (RFC 5321, 6.3). Each server adds one; an
#: honest way needs about ten, forwards included. The mail server gives up later: Exim at 30, Postfix at 50.
MAX_RECEIVED = 25


class Verdict(StrEnum):
    SEND = "send"
    TAKE = "take"  # meant for dbmail itself: a report, an unsubscription
    HOLD = "hold"
    DROP = "drop"
    REJECT = "reject"

    @property
    def word(self) -> str:
        """The verdict in words, in the active language."""
        return _(_WORDS[self])


_WORDS = {
    Verdict.SEND: gettext_noop("send it on"),
    Verdict.TAKE: gettext_noop("take it in"),
    Verdict.HOLD: gettext_noop("hold it"),
    Verdict.DROP: gettext_noop("drop it"),
    Verdict.REJECT: gettext_noop("reject it"),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a message, the name of the rule that said so, and why in words."""

    verdict: Verdict
    rule: str
    reason: str
    exit_code: int = EX_OK


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that rules depend on."""

    max_size: int
    max_recipients: int
    own_domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database knows of the author's address. It counts only if the address is vouched for."""

    is_registered: bool = False
    is_staff: bool = False
    is_member: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """What the row and its handler ask for."""

    is_list: bool
    who_may_post: str
    refuse: bool
    admin_hold: bool
    recipients: int
    #: "same" or "changed": this list has had a message of this Message-ID, with this content or another.
    seen_before: str = ""


def list_id(envelope: Envelope) -> str:
    """The List-Id of an address (RFC 2919), without its angle brackets."""
    local_part = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in envelope.local_part)
    return f"{local_part}.{ascii_domain(envelope.domain)}".lower()


# Rules of a message


def too_large(envelope: Envelope, facts: Facts, limits: Limits) -> Decision | None:
    if facts.size > limits.max_size:
        reason = _("%(size)d bytes, %(limit)d are allowed.") % {"size": facts.size, "limit": limits.max_size}
        return Decision(Verdict.REJECT, "size", reason, EX_DATAERR)
    if not facts.size:
        return Decision(Verdict.REJECT, "empty", _("There is no message."), EX_DATAERR)
    return None


def own_loop(envelope: Envelope, facts: Facts, limits: Limits) -> Decision | None:
    for own in (envelope, envelope.untagged):
        if own.recipient in facts.loops:
            said = _("Its X-Loop says that it has been at %(address)s before.") % {"address": own.recipient}
            return Decision(Verdict.DROP, "loop", said)
        if list_id(own) in facts.list_ids:
            said = _("It comes from our own list %(name)s.") % {"name": list_id(own)}
            return Decision(Verdict.DROP, "loop", said)
    return None


def too_many_hops(envelope: Envelope, facts: Facts, limits: Limits) -> Decision | None:
    if facts.received > MAX_RECEIVED:
        said = _("%(number)d Received fields: it is going round in circles.") % {"number": facts.received}
        return Decision(Verdict.DROP, "hops", said)
    return None


# Rules of a row


def repeated(envelope: Envelope, facts: Facts, limits: Limits, route: Route, who: Standing) -> Decision | None:
    if not (route.is_list and route.seen_before):
        return None
    verdict = Verdict.DROP if route.seen_before == "same" else Verdict.HOLD
    said = _("This list has had a message %(name)r already.") % {"name": facts.message_id}
    return Decision(verdict, "repeated", said)


def automatic(envelope: Envelope, facts: Facts, limits: Limits, route: Route, who: Standing) -> Decision | None:
    """Answers of machines go to no list; other mail of machines goes there when a person says so."""
    if not route.is_list:
        return None
    if not envelope.sender:
        return Decision(Verdict.DROP, "null-sender", _("A bounce or notice (null envelope sender) goes to no list."))
    if facts.is_auto_reply:
        return Decision(Verdict.DROP, "auto-reply", _("An automatic reply or report goes to no list."))
    if facts.auto_submitted != "no":
        return Decision(Verdict.HOLD, "automatic", _("Auto-Submitted is %(value)s.") % {"value": facts.auto_submitted})
    if facts.precedence in ("bulk", "junk", "list"):
        return Decision(Verdict.HOLD, "automatic", _("Precedence is %(value)s.") % {"value": facts.precedence})
    if facts.list_ids:
        return Decision(
            Verdict.HOLD, "automatic", _("It comes from the list %(name)s.") % {"name": min(facts.list_ids)}
        )
    return None


def authorship(envelope: Envelope, facts: Facts, limits: Limits, route: Route, who: Standing) -> Decision | None:
    """One author; and one of our own domain only where our MTA vouches for it, or anyone could speak for us."""
    if not facts.author:
        return Decision(Verdict.HOLD, "author", _("From is missing, doubled, or not one address."))
    domain = facts.author.domain
    is_ours = domain == envelope.domain.lower() or any(domain_matches(domain, own) for own in limits.own_domains)
    if is_ours and not vouched_by(domain, facts.results):
        said = _("From is of %(domain)s, our own, and our MTA does not vouch for it.") % {"domain": domain}
        return Decision(Verdict.HOLD, "spoofed", said)
    return None


def posting(envelope: Envelope, facts: Facts, limits: Limits, route: Route, who: Standing) -> Decision | None:
    """Who may post, by the row; a From that nobody vouches for is nobody's."""
    allowed = {
        "anyone": True,
        "registered": who.is_registered or who.is_staff,
        "members": who.is_member or who.is_staff,
        "staff": who.is_staff,
    }.get(route.who_may_post, False)
    if route.who_may_post == "anyone":
        return None
    if allowed and facts.author and vouched_by(facts.author.domain, facts.results):
        return None
    said = (
        _("Who may post: %(who)s. Our MTA does not vouch for the author.")
        if allowed
        else _("Who may post: %(who)s. The author is not among them.")
    )
    reason = said % {"who": _(_MAY_POST.get(route.who_may_post, route.who_may_post))}
    if route.refuse and route.who_may_post != "nobody" and not allowed:
        return Decision(Verdict.REJECT, "posting", reason, EX_NOPERM)
    return Decision(Verdict.HOLD, "posting", reason)


def moderated(envelope: Envelope, facts: Facts, limits: Limits, route: Route, who: Standing) -> Decision | None:
    if route.admin_hold:
        return Decision(Verdict.HOLD, "moderated", _("Every message to this address waits for a moderator."))
    if route.recipients > limits.max_recipients:
        said = _("%(number)d recipients, %(limit)d are allowed without a moderator.")
        values = {"number": route.recipients, "limit": limits.max_recipients}
        return Decision(Verdict.HOLD, "recipients", said % values)
    return None


MESSAGE_RULES: tuple[Callable[[Envelope, Facts, Limits], Decision | None], ...] = (too_large, own_loop, too_many_hops)
ROW_RULES: tuple[Callable[[Envelope, Facts, Limits, Route, Standing], Decision | None], ...] = (
    repeated,
    automatic,
    authorship,
    posting,
    moderated,
)


def judge_message(envelope: Envelope, facts: Facts, limits: Limits) -> Decision | None:
    """The first objection to the message itself, or None."""
    return next(filter(None, (rule(envelope, facts, limits) for rule in MESSAGE_RULES)), None)


def judge_row(
    envelope: Envelope, facts: Facts, limits: Limits, route: Route, who: Standing, *, approved: bool = False
) -> Decision:
    """What happens to a message that a handler has taken. A moderator's approval outweighs every hold but one: what
    cannot be read cannot be sent on."""
    if facts.unreadable:
        return Decision(Verdict.HOLD, "unreadable", facts.unreadable)
    for rule in ROW_RULES:
        decision = rule(envelope, facts, limits, route, who)
        if decision and not (approved and decision.verdict != Verdict.DROP):
            return decision
    return Decision(Verdict.SEND, "approved" if approved else "clear", _("Nothing speaks against it."))
