"""A look over the audience of a draft, in pieces: each goes as far as its time allows and says where it stopped."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.crypto import salted_hmac

from ..addresses import normalise
from ..conf import config
from ..exceptions import DbmailError
from ..models import MessageRequest, Suppression
from ..recipients.sendto import addresses_for
from ..rendering.engine import CompiledTemplate, compile_template
from ..rendering.message import MessageRenderer
from ..rendering.text import is_html
from ..rendering.variables import load_variables, request_context
from ..unsubscribe.suppression import suppressed

KINDS = {"self": "send_to_self", "guardian": "send_to_guardian", "emergency": "send_to_emergency"}
_CHUNK = 500
_EXAMPLES = 5


@dataclass
class Survey:
    """What one piece saw.

    `addresses`: kind of contact -> one short key an address, which tells equal addresses and nothing else;
    `suppressed` the keys of those that get no mail; `empty`: variable -> recipients for whom it is empty;
    `after` the place to go on from, None at the end.
    """

    people: int = 0
    addresses: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    suppressed: list[str] = field(default_factory=list)
    without_address: int = 0
    unresolved: int = 0
    rendered: int = 0
    failed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    empty: dict[str, int] = field(default_factory=dict)
    biggest: int = 0
    after: Any = None


def survey(request: MessageRequest, after: Any = None, seconds: float = 2.0, rendering: bool = True) -> Survey:
    """Look at the people of `request` behind the key `after`, for about `seconds`.

    Raises DbmailError where the audience or the text is such that nobody could get it.
    """
    deadline = time.monotonic() + seconds
    seen = Survey()
    users = request.recipients.getList(get_user_model()).order_by("pk")
    look = _Look(request) if rendering else None
    while True:
        chunk = list((users.filter(pk__gt=after) if after is not None else users)[:_CHUNK])
        _addresses(seen, chunk, request)
        for user in chunk:
            seen.people += 1
            after = user.pk
            if look:
                look.at(user, seen)
        if len(chunk) < _CHUNK:
            return seen
        seen.after = after
        if time.monotonic() > deadline:
            return seen
        seen.after = None


def _addresses(seen: Survey, users: Sequence[Any], request: MessageRequest) -> None:
    keys: dict[str, str] = {}
    reached: set[Any] = set()
    wanted = _kinds_of(request.sendto_fn_name)
    for kind, name in KINDS.items():
        if kind != "self" and not config().contacts:
            continue
        found, troubles = addresses_for(users, name)
        for pk, boxes in found.items():
            for box in boxes:
                address = normalise(box.address)
                keys[address] = _key(address)
                seen.addresses[kind].append(keys[address])
            if boxes and kind in wanted:
                reached.add(pk)
        if kind in wanted:
            seen.unresolved += len(troubles)
    seen.suppressed += [keys[address] for address in suppressed(keys, request.category or Suppression.ALL)]
    seen.without_address += len(users) - len(reached)


def _kinds_of(sendto: str) -> list[str]:
    return [kind for kind in KINDS if kind in (sendto or "send_to_self").split("_")]


def _key(address: str) -> str:
    """Equal for equal addresses, and nobody learns an address from it."""
    return salted_hmac("dbmail.preflight", address, algorithm="sha256").hexdigest()[:12]


class _Look:
    """Renders the mail, and each variable that differs between people, for one person after the other."""

    def __init__(self, request: MessageRequest) -> None:
        self.request = request
        self.renderer = MessageRenderer(request)
        self.variables = load_variables(request)
        self.constant: set[str] | None = None
        self.looks = variable_templates(request)

    def at(self, user: Any, seen: Survey) -> None:
        try:
            rendered = self.renderer.render(user)
        except DbmailError as error:
            seen.failed += 1
            if len(seen.failures) < _EXAMPLES:
                seen.failures.append({"pk": str(user.pk), "why": str(error)})
            return
        seen.rendered += 1
        seen.biggest = max(seen.biggest, len(rendered.body.encode("utf-8", "replace")))
        context = request_context(self.request, user, self.variables) if self.looks else {}
        if self.constant is None:  # what is the same for everybody is looked at once
            constant = {name for name in self.looks if self._is_constant(name.partition(".")[0])}
            self.constant = {name for name in constant if _is_empty(self.looks[name], context)}
            self.looks = {name: look for name, look in self.looks.items() if name not in constant}
        for name in [*self.constant, *(name for name, look in self.looks.items() if _is_empty(look, context))]:
            seen.empty[name] = seen.empty.get(name, 0) + 1

    def _is_constant(self, root: str) -> bool:
        return root != "user" and not hasattr(self.variables.get(root), "get_msg_vars")


def _is_empty(template: CompiledTemplate, context: dict[str, Any]) -> bool:
    try:
        return template.render(context).strip() in ("", "None")
    except DbmailError:
        return False  # the mail itself says what fails


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
    return int(request.recipients.getList(get_user_model()).count())
