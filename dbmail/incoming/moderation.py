"""Held messages: shown as text to a person, who lets them pass or not."""

import re
from email.message import Message
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..addresses import Mailbox, normalise
from ..delivery.caps import LINES, beginning, parsed
from ..delivery.header_block import readable
from ..exceptions import DbmailError
from ..models import IncomingMessage, TextOfEmail
from ..models.choices import word_of
from ..rendering.text import text_from_html
from .facts import Envelope
from .gate import act, preview
from .route import Plan
from .rules import Decision, Verdict

#: Bytes of a message that are shown, from its beginning.
_READ = 100_000
#: The opening tag of a list in HTML.
_LISTS = re.compile(r"<[ou]l\b", re.IGNORECASE)
#: HTML with more lists than this is shown as source: html2text takes the square of their nesting in time.
_MOST_LISTS = 300
#: Signs that turn the order of what is read (the "bidi" controls), and control characters: shown by their numbers.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
#: The < of a tag that never ends.
_UNENDED_TAG = re.compile(r"<(?=[^<>]*(?:<|\Z))")


def legible(raw: bytes) -> str:
    """The words of every part that a reader may be shown, and the names of the others. Never raises.

    HTML stands here with the addresses that its links lead to; where there are several parts, a line on top names
    them all, and another says where only the beginning was read.
    """
    try:
        parts = [part for part in parsed(raw, _READ).walk() if _is_leaf(part)]
        texts = list(filter(None, map(_text, parts)))
        names = [" ".join(f"[{_name(part)}]" for part in parts)] if len(parts) > 1 or not texts else []
        if beginning(raw, _READ, LINES) != raw:
            names.insert(0, _("(Only the beginning is shown: more follows, other parts and attachments perhaps.)"))
        return _UNSEEN.sub(_named, "\n\n".join(names + texts))
    except Exception:  # Python's parser fails in many ways on what is no valid message; its bytes can be read
        return _UNSEEN.sub(_named, raw[:_READ].decode("utf-8", "replace"))


def _named(found: re.Match[str]) -> str:
    return f"<U+{ord(found[0]):04X}>"


def _is_leaf(part: Message) -> bool:
    return not part.is_multipart()


def _name(part: Message) -> str:
    kind, name = part.get_content_type(), part.get_filename()
    return f"{kind[:100]}: {readable(name.encode('utf-8', 'replace'))[:200]}" if name else kind[:100]


def _text(part: Message) -> str:
    kind = part.get_content_type()
    content = part.get_payload(decode=True)
    if not kind.startswith("text/") or not isinstance(content, bytes):
        return ""
    try:
        text = content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        text = content.decode("utf-8", "replace")
    if kind != "text/html" or len(_LISTS.findall(text)) > _MOST_LISTS:
        return text
    # Tags that never end keep the parser of HTML busy for minutes; a person sees them as they are.
    return text_from_html(_UNENDED_TAG.sub("&lt;", text))


class NotHeld(DbmailError):
    """The message is not waiting for a moderator (any more)."""


class StillHeld(DbmailError):
    """The message cannot be sent on, whoever approves it."""


class NotReplayable(DbmailError):
    """The message cannot be decided on again."""


def approve(message: IncomingMessage, by: Any) -> Decision:
    """Send a held message on, to those whom its address stands for now, in the name of the user `by`.

    A loop is dropped all the same: look at the returned decision. Raises NotHeld where the message does not wait (any
    more), so that approving twice sends once, and StillHeld where it cannot be sent on.
    """
    _still_held(message)
    decision = act(message, approved=True)
    if decision.rule == "duplicate":
        raise NotHeld(_("Message %(number)s has been decided by another already.") % {"number": message.pk})
    if decision.verdict == Verdict.HOLD:
        raise StillHeld(
            _("Message %(number)s stays held: %(reason)s") % {"number": message.pk, "reason": decision.reason}
        )
    IncomingMessage.objects.filter(pk=message.pk).update(moderated_by=by, moderated_at=timezone.now())
    return decision


def reject(message: IncomingMessage, by: Any, note: str = "") -> None:
    """Keep a held message from going anywhere; its author is told nothing. Raises NotHeld."""
    done = IncomingMessage.objects.filter(pk=message.pk, state=IncomingMessage.State.HELD).update(
        state=IncomingMessage.State.DROPPED,
        decision="moderator",
        reason=note or _("A moderator rejected it."),
        moderated_by=by,
        moderated_at=timezone.now(),
    )
    if not done:
        raise NotHeld(_("Message %(number)s is not held.") % {"number": message.pk})


def replay(message: IncomingMessage) -> Decision:
    """Decide on a stored message again, by the present rows and rosters. Who has a copy gets no second one.

    For messages that were refused, dropped or failed by mistake, and for recipients who were missing. Raises
    NotReplayable, and whatever deciding raises (the message's row then says why).
    """
    message.refresh_from_db()
    problem = _why_not_again(message)
    if problem:
        raise NotReplayable(problem)
    # Only one of two who replay it at the same moment changes the state; the other finds it changed.
    reopened = IncomingMessage.objects.filter(pk=message.pk, state=message.state).update(
        state=IncomingMessage.State.RECEIVED
    )
    if not reopened:
        raise NotReplayable(_("Message %(number)s is being decided on by another.") % {"number": message.pk})
    message.refresh_from_db()
    return act(message)


def prospect(message: IncomingMessage) -> tuple[Plan, list[Mailbox]]:
    """What `replay` would do now, and who would get a first copy by it. Changes nothing; raises NotReplayable."""
    problem = _why_not_again(message)
    if problem:
        raise NotReplayable(problem)
    plan = preview(
        Envelope(message.local_part, message.domain, message.sender, message.queue_id), bytes(message.raw), message.pk
    )
    if plan.decision.verdict != Verdict.SEND:
        return plan, []
    served = set(TextOfEmail.objects.filter(forward__incoming=message).values_list("address", flat=True))
    return plan, [box for box in plan.recipients if normalise(box.address) not in served]


def _why_not_again(message: IncomingMessage) -> str:
    values = {"number": message.pk}
    if message.state == IncomingMessage.State.HELD:
        return _("Message %(number)s is held: approve or reject it.") % values
    if not message.raw:
        return _("Message %(number)s has been purged: there is nothing to decide on.") % values
    if message.decision == "size":
        return _("Message %(number)s was too large: only its beginning was kept.") % values
    return ""


def _still_held(message: IncomingMessage) -> None:
    message.refresh_from_db()
    if message.state != IncomingMessage.State.HELD:
        state = word_of(message.get_state_display())
        raise NotHeld(_("Message %(number)s is not held: %(state)s.") % {"number": message.pk, "state": state})
    if not message.raw:
        raise NotHeld(_("Message %(number)s has been purged: there is nothing to send.") % {"number": message.pk})
