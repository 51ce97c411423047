"""The survey of a draft's audience: what becomes of the text and the addresses of one person after the other.

It is done in pieces: each goes as far as its time allows and says where it stopped.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from ..addresses import Mailbox, normalise
from ..audience.sendto import addresses_for, kinds_of
from ..audience.stored_query import answered
from ..conf import config
from ..exceptions import DbmailError
from ..models import MessageRequest, Suppression
from ..models.mail import copy_key
from ..rendering.engine import CompiledTemplate, compile_template
from ..rendering.message import MessageRenderer
from ..rendering.text import is_html
from ..rendering.variables import load_variables, request_context
from ..suppression.entries import suppressed
from .reach import KINDS, Keys, Seen, Tally, key_of, reach_of

#: People that are read from the database at a time.
_CHUNK = 500


@dataclass(slots=True)
class Piece:
    """The part of a survey that was done in one go."""

    seen: Seen = field(default_factory=Seen)
    #: The mails of these people.
    keys: Keys = field(default_factory=Keys)
    #: Key of the last person surveyed, behind whom the next piece goes on; None when everyone has been.
    after: Any = None


def survey_piece(request: MessageRequest, after: Any = None, seconds: float = 2.0) -> Piece:
    """Survey the people of `request` behind the key `after` for about `seconds`, and one of them at least.

    If the text cannot be rendered for anybody, only addresses are counted. Raises DbmailError if the audience cannot
    be read.
    """
    deadline = time.monotonic() + seconds
    piece = Piece(after=after)
    users = request.recipients.getList(get_user_model()).order_by("pk")
    surveyor = _surveyor_of(request)
    while True:
        rest = users if piece.after is None else users.filter(pk__gt=piece.after)
        with answered():
            chunk = list(rest[:_CHUNK])
        in_time = _survey_chunk(piece, chunk, request, surveyor, deadline)
        if in_time and len(chunk) < _CHUNK:
            piece.after = None
        if not in_time or piece.after is None or not chunk or time.monotonic() > deadline:
            break
    piece.seen.reach = reach_of(piece.keys)
    return piece


def survey_people(request: MessageRequest, people: Iterable[Any]) -> Seen:
    """What becomes of the text for these people; their addresses are left out."""
    seen, surveyor = Seen(), _surveyor_of(request)
    for user in people:
        if surveyor:
            surveyor.add(user, seen)
    return seen


def _survey_chunk(
    piece: Piece, users: Sequence[Any], request: MessageRequest, surveyor: "_Surveyor | None", deadline: float
) -> bool:
    """Add one person after the other to `piece`, the first even if time is over. Returns whether all were added."""
    boxes: dict[str, dict[Any, list[Mailbox]]] = {}
    troubled: dict[Any, str] = {}
    wanted = kinds_of(request.sendto_fn_name)
    for kind in KINDS:
        if kind == "self" or config().contacts:
            boxes[kind], troubles = addresses_for(users, f"send_to_{kind}")
            if kind in wanted:
                troubled |= troubles
    keys: dict[str, set[int]] = {}
    in_time = True
    for user in users:
        same = surveyor.add(user, piece.seen) if surveyor else ""
        own: dict[str, list[int]] = {}
        for kind, found in boxes.items():
            own[kind] = []
            for box in found[user.pk]:
                address = normalise(box.address)
                own[kind].append(key_of(f"{address}\0{same}"))
                keys.setdefault(address, set()).add(own[kind][-1])
        piece.keys.add_person(own)
        if user.pk in troubled:
            piece.seen.unresolved.note(str(user.pk))
        elif not any(own.get(kind) for kind in wanted):
            piece.seen.without_address.note(str(user.pk))
        piece.seen.people += 1
        piece.after = user.pk
        if time.monotonic() > deadline and user is not users[-1]:
            in_time = False
            break
    for address in suppressed(keys, request.category or Suppression.ALL):
        piece.keys.suppressed.extend(keys[address])
    return in_time


def _surveyor_of(request: MessageRequest) -> "_Surveyor | None":
    try:
        return _Surveyor(request)
    except DbmailError:
        return None  # the checks of the text report what is wrong with it


class _Surveyor:
    """Renders the mail, and each variable in it, for one person after the other."""

    def __init__(self, request: MessageRequest) -> None:
        self.request = request
        self.renderer = MessageRenderer(request)
        self.variables = load_variables(request)
        self.constant: set[str] | None = None
        self.templates = variable_templates(request)

    def add(self, user: Any, seen: Seen) -> str:
        """Note in `seen` what becomes of the text for `user`.

        Returns a string that is equal for two people whose mails are one copy if they share an address.
        """
        key = str(user.pk)
        try:
            rendered = self.renderer.render(user)
        except DbmailError as error:
            seen.failures_for(str(error)).note(key)
            return key
        if not rendered.body.strip():
            seen.failures_for(_("Nothing of it is left for them.")).note(key)
            return key
        seen.note_size(len(rendered.body.encode("utf-8", "replace")), key)
        context = request_context(self.request, user, self.variables) if self.templates else {}
        if self.constant is None:  # variables that are the same for everybody are rendered once
            constant = {name for name in self.templates if self._is_constant(name.partition(".")[0])}
            self.constant = {name for name in constant if _is_empty(self.templates[name], context)}
            self.templates = {name: template for name, template in self.templates.items() if name not in constant}
        for name in [
            *self.constant,
            *(name for name, template in self.templates.items() if _is_empty(template, context)),
        ]:
            seen.empty.setdefault(name, Tally()).note(key)
        return copy_key(rendered.subject, rendered.body) if config().merge_families else key

    def _is_constant(self, root: str) -> bool:
        return root != "user" and not hasattr(self.variables.get(root), "get_msg_vars")


def _is_empty(template: CompiledTemplate, context: dict[str, Any]) -> bool:
    try:
        return template.render(context).strip() in ("", "None")
    except DbmailError:
        return False  # rendering the mail reports the failure


def variable_templates(request: MessageRequest) -> dict[str, CompiledTemplate]:
    """A template for each variable that the text shows: `user.first_name` -> {{ user.first_name }}."""
    found: dict[str, CompiledTemplate] = {}
    for source, html in ((request.subject or "", False), (request.msgtext or "", is_html(request.msgtext or ""))):
        compiled = compile_template(source, html=html)
        for use in compiled.uses:
            name = ".".join(use.path)
            if use.path[0] not in compiled.bound and name not in found:
                found[name] = compile_template("{{ %s }}" % name, html=False)  # noqa: UP031 - braces are the template's
    return found


def people_in(request: MessageRequest) -> int:
    """How many people the audience of `request` has now. Raises UnresolvableQuery."""
    with answered():
        return int(request.recipients.getList(get_user_model()).count())
