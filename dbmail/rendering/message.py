"""One request's subject and body, compiled once and rendered for each recipient."""

from dataclasses import dataclass, replace
from typing import Any

from ..addresses import one_line
from ..models.broadcast import MessageRequest
from ..people import address_of
from ..suppression.tokens import PLACEHOLDER, VARIABLE, example, link_for
from .engine import compile_template
from .layout import Frame, fragment, layout_of
from .text import is_html, text_from_html
from .text_template import Pieces, TextTemplate, split, text_template
from .variables import load_variables, request_context

_NO_LAYOUT = Frame()


@dataclass(frozen=True, slots=True)
class Rendered:
    """One recipient's mail. `plaintext` is the text part of an HTML body, "" for a plain one.

    `frame` is what of the body is the layout's.
    """

    subject: str
    body: str
    plaintext: str = ""
    frame: Frame = _NO_LAYOUT

    @property
    def has_unsubscribe_link(self) -> bool:
        """Whether there is a place for one, which `to` or `as_example` fill."""
        return PLACEHOLDER in self.body or PLACEHOLDER in self.subject

    def to(self, address: str, scope: str) -> "Rendered":
        """As it goes to this address, with its own unsubscribe link."""
        return self._with_link(link_for(address, scope)) if self.has_unsubscribe_link else self

    def as_example(self) -> "Rendered":
        """With a link that unsubscribes nobody, since this is no mail to anybody."""
        return self._with_link(example()) if self.has_unsubscribe_link else self

    def _with_link(self, link: str) -> "Rendered":
        filled = {name: getattr(self, name).replace(PLACEHOLDER, link) for name in ("subject", "body", "plaintext")}
        return replace(self, **filled)


#: Different HTML around the values for which a text template is kept: branches of {% if %}, lengths of loops.
_MAX_SHAPES = 32


class MessageRenderer:
    """Renders one request. Raises TemplateRejected, MissingVariable, LayoutError or RenderFailed when it is made.

    What is the same for all recipients is rendered then, the rest for each of them.
    """

    def __init__(self, msgrequest: MessageRequest) -> None:
        source = msgrequest.msgtext or ""
        self.msgrequest = msgrequest
        self._layout = layout_of(msgrequest.layout, source)
        self.html = is_html(source) or self._layout is not None
        if self._layout:
            source = fragment(source)
        self._variables = load_variables(msgrequest)
        context = request_context(msgrequest, None, self._variables)
        same = {name for name, value in self._variables.items() if not hasattr(value, "get_msg_vars")} - {"user"}
        same |= {"request", "EMAIL_HOST_SENDER"}
        if VARIABLE not in self._variables:
            same.add(VARIABLE)
        self._subject = compile_template(msgrequest.subject or "", html=False).with_constants(context, same)
        self._body = compile_template(source, html=self.html).with_constants(context, same)
        self._shapes: dict[tuple[tuple[str, str], str], tuple[Pieces, TextTemplate | None]] = {}

    def render(self, user: Any) -> Rendered:
        """The mail for `user`, whatever address it goes to. Raises RenderFailed, LayoutError."""
        context = request_context(self.msgrequest, user, self._variables)
        subject = one_line(self._subject.render(context))
        if not self.html:
            return Rendered(subject, self._body.render(context))
        frame = self._layout.frame(subject) if self._layout else _NO_LAYOUT
        body, plaintext = self._with_text(context, frame)
        if not body.strip():
            return Rendered(subject, "")  # a layout alone is no mail
        body = frame.around(body)
        return Rendered(subject, body, text_from_html(body) if plaintext is None else plaintext, frame)

    def _with_text(self, context: dict[str, Any], frame: Frame) -> tuple[str, str | None]:
        """The HTML without its layout, and the text of both where a template has that; None where it has to be
        derived from this HTML."""
        if not self._body.can_mark:
            return self._body.render(context), None
        marked, values = self._body.render_marked(context)
        shape = self._shapes.get((frame.outline, marked))
        if shape is None:
            if len(self._shapes) >= _MAX_SHAPES:
                return split(marked).fill(values), None
            shape = (split(marked), text_template(frame.marked(marked, len(values))))
            self._shapes[frame.outline, marked] = shape
        pieces, text = shape
        return pieces.fill(values), text.fill([*values, *frame.subject]) if text else None


def parse_smart_text(msgrequest: MessageRequest, text: str, user: Any) -> str:
    """`text` rendered for `user` as a body of this request, with the link of the user's own address.

    Raises TemplateRejected, MissingVariable, RenderFailed.
    """
    rendered = Rendered("", compile_template(text, html=is_html(text)).render(request_context(msgrequest, user)))
    address = address_of(user)
    return (rendered.to(address, msgrequest.category or "all") if address else rendered.as_example()).body
