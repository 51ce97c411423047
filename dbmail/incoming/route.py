"""Plan what happens to a message: which row takes it, who gets it, what the rules say. Changes nothing."""

import inspect
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message

from django.utils.translation import gettext as _

from ..addresses import Mailbox, check_address, normalise, parse_mailbox
from ..conf import config
from ..delivery.header_block import HeaderBlock, readable_message, split
from ..exceptions import AddressError, DbmailError, SettingError
from ..models import EmailList
from ..people import active_accounts, has_address, is_staff
from .facts import Envelope, Facts, read
from .match import BadPattern, Match, SlowPattern, match
from .own_addresses import Returned, Unsubscribe, judge, own_purpose
from .receivers import BaseHandler, handler_class
from .rules import EX_NOUSER, Decision, Limits, Route, Standing, Verdict, judge_message, judge_row
from .store import seen_before

log = logging.getLogger(__name__)


def standing(author: Mailbox | None, members: Iterable[Mailbox], owners: Iterable[str]) -> Standing:
    """Whether the author is a user, staff (or an owner of the list), or among `members`."""
    if author is None:
        return Standing()
    address = normalise(author.address)
    users = active_accounts(has_address(author.address))
    is_owner = any(normalise(owner) == address for owner in owners)
    return Standing(
        is_registered=bool(users),
        is_staff=is_owner or any(map(is_staff, users)),
        is_member=any(normalise(member.address) == address for member in members),
    )


class RowUnusable(DbmailError):
    """A row of EmailList could not be asked, so we cannot say for sure that there is no such address."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row that was asked, and what came of it in words."""

    seq: int
    regex: str
    handler: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done with a message: `--explain` prints it, the gate obeys it."""

    decision: Decision
    header: HeaderBlock
    facts: Facts
    #: The envelope as it matched: without the +tag where only that did.
    envelope: Envelope
    handler: BaseHandler | None = None
    recipients: tuple[Mailbox, ...] = ()
    steps: tuple[Step, ...] = ()
    #: What the message is meant for if it came to an address of dbmail's own (bounces, unsubscribe); else None.
    purpose: Returned | Unsubscribe | None = None

    @property
    def row(self) -> EmailList | None:
        return self.handler.handler if self.handler else None


def make_plan(
    envelope: Envelope, raw: bytes, *, approved: bool = False, size: int | None = None, but: int | None = None
) -> Plan:
    """What to do with the message `raw` for this envelope. Raises RowUnusable, and whatever a handler raises.

    `approved`: a moderator has let it pass. `size`: the message's true size in bytes, where `raw` is cut. `but`: the
    key of the message's own row, which does not count as an earlier message.
    """
    header, body = split(raw)
    facts = read(header, len(raw) if size is None else size, config().incoming.authserv_ids)
    limits = Limits(
        config().incoming.max_size,
        config().incoming.max_recipients,
        config().from_domains,
    )
    objection = judge_message(envelope, facts, limits)
    if objection:
        return Plan(objection, header, facts, envelope)
    purpose = own_purpose(envelope, facts, raw)
    if purpose:
        return Plan(judge(purpose), header, facts, envelope, purpose=purpose)
    steps: list[Step] = []
    taken = _taker(envelope, header, steps)
    if taken is None:
        said = _("No row takes %(address)s.") % {"address": envelope.recipient}
        decision = Decision(Verdict.REJECT, "unknown", said, EX_NOUSER)
        return Plan(decision, header, facts, envelope, steps=tuple(steps))
    handler, matched = taken
    recipients = _usable(handler, matched)
    row = handler.handler
    route = Route(
        is_list=not handler.preserve_headers,
        who_may_post=row.who_may_post or handler.who_may_post,
        refuse=row.refuse,
        admin_hold=row.admin_hold,
        recipients=len(recipients),
        seen_before="" if approved else seen_before(matched, facts, header, body, envelope.queue_id, but),
    )
    who = standing(facts.author, recipients, handler.owners)
    decision = judge_row(matched, facts, limits, route, who, approved=approved)
    if not recipients and decision.verdict == Verdict.SEND:
        decision = Decision(Verdict.HOLD, "recipients", _("None of its recipients has a valid address."))
    return Plan(decision, header, facts, matched, handler, recipients, tuple(steps))


def _taker(envelope: Envelope, header: HeaderBlock, steps: list[Step]) -> tuple[BaseHandler, Envelope] | None:
    """The first handler that takes the message, and the envelope it matched; fills `steps`.

    All rows are asked with the whole local part first, then, if none took it, without its +tag.
    """
    message = readable_message(header)
    rows = list(EmailList.objects.all())
    unusable: list[int] = []
    candidates = [envelope] if envelope.untagged == envelope else [envelope, envelope.untagged]
    for candidate in candidates:
        for row in rows:
            try:
                handler, outcome = _ask(row, candidate, message)
            except (BadPattern, SlowPattern, SettingError, TypeError) as error:
                log.error("Row %s of EmailList is skipped: %s", row.pk, error)
                unusable.append(row.pk)
                handler, outcome = None, _("skipped: %(error)s") % {"error": error}
            steps.append(Step(row.seq, row.regex, row.handler, f"{candidate.local_part}: {outcome}"))
            if handler:
                return handler, candidate
    if unusable:
        said = _("Nobody takes %(address)s, but rows %(rows)s could not be asked.")
        raise RowUnusable(said % {"address": envelope.recipient, "rows": unusable})
    return None


def _ask(row: EmailList, envelope: Envelope, message: Message) -> tuple[BaseHandler | None, str]:
    """The row's handler if it takes the message (else None), and what happened in words.

    Raises TypeError if the groups of the row's expression do not fit the handler's `process`.
    """
    found: Match | None = match(row.regex, envelope.local_part, envelope.domain.lower())
    if found is None:
        return None, _("does not match")
    handler = handler_class(row.handler)(row, message)
    handler.domain = envelope.domain.lower()
    inspect.signature(handler.process).bind(envelope.local_part, *found.groups, **found.named)
    try:
        handler.process(envelope.local_part, *found.groups, **found.named)
    except TypeError as error:  # the handler's own mistake, not the row's
        said = _("The handler %(name)s failed: %(error)s")
        raise RuntimeError(said % {"name": row.handler, "error": error}) from error
    return (handler, _("takes it")) if handler.send else (None, _("matches, but the handler does not want it"))


def _usable(handler: BaseHandler, envelope: Envelope) -> tuple[Mailbox, ...]:
    """The handler's recipients: each address once, without invalid ones and the list's own."""
    found: dict[str, Mailbox] = {}
    unusable = 0
    for recipient in handler.recipients:
        try:
            if isinstance(recipient, str):
                box = parse_mailbox(recipient)
            else:
                box = Mailbox(check_address(recipient[0].strip()), recipient[1] or "")
        except AddressError:
            unusable += 1
            continue
        if normalise(box.address) != envelope.recipient:
            found.setdefault(normalise(box.address), box)
    if unusable:
        log.warning("Row %s: %d of its recipients have no valid address.", handler.handler.pk, unusable)
    return tuple(found.values())
