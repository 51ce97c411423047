"""The limits of one rendering: size and time, checked at every node and every turn of a loop."""

from time import monotonic
from typing import Any

from django.template.base import Node, NodeList, TextNode, TokenType, VariableNode
from django.template.context import Context
from django.template.defaulttags import (
    AutoEscapeControlNode,
    CommentNode,
    CycleNode,
    FirstOfNode,
    ForNode,
    IfNode,
    NowNode,
    RegroupNode,
    ResetCycleNode,
    TemplateTagNode,
    URLNode,
    VerbatimNode,
    WidthRatioNode,
    WithNode,
)
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..conf import config
from ..exceptions import RenderFailed
from .guard import Missing, Refused, Shown, guard
from .text_template import mark

#: Characters of a token, or of another library's error, that our error quotes.
MAX_SAID = 500


class Budget:
    """What one rendering may still use. `size` is in characters, `seconds` counts from now."""

    __slots__ = ("deadline", "held", "refused", "shown", "size", "values")

    def __init__(self, size: int, seconds: float) -> None:
        self.size = size
        self.deadline = monotonic() + seconds
        #: Characters that wait to become output.
        self.held = 0
        #: In a rendering with marks: what each mark stands for.
        self.values: list[str] | None = None
        #: Characters in `values`.
        self.shown = 0
        #: What the guard refused, for {% if %}: it takes whatever goes wrong in a comparison for False.
        self.refused: Refused | None = None

    def check(self, more: int = 0) -> None:
        """Raises RenderFailed if time is over, or `more` characters on top of those held are too many."""
        if self.held + more > self.size or self.shown > self.size:
            raise RenderFailed(_("Rendering was stopped: more than %(limit)d characters.") % {"limit": self.size})
        if monotonic() > self.deadline:
            limit = config().text_limits.seconds
            raise RenderFailed(_("Rendering was stopped: more than %(limit)s seconds.") % {"limit": limit})


class LimitedContext(Context):
    budget: Budget


def budget_of(context: Context) -> Budget:
    budget = getattr(context, "budget", None)
    if budget is None:  # a context that a tag made for itself: {% verbatim %} does
        budget = Budget(config().text_limits.characters, config().text_limits.seconds)
        context.budget = budget  # type: ignore[attr-defined]
    return budget


def limited_context(values: dict[str, Any], *, html: bool) -> LimitedContext:
    # Guarded here too: some libraries' tags read the context themselves instead of resolving a variable.
    shown = {}
    for name, value in values.items():
        try:
            shown[name] = guard(value)
        except Missing:
            continue
        except Refused:
            shown[name] = Shown(value)  # says so where the text looks at it
    context = LimitedContext(shown, autoescape=html)
    context.budget = Budget(config().text_limits.characters, config().text_limits.seconds)
    return context


class LimitedNodeList(NodeList):
    """A node list that stops when the rendering has used up its budget, and says which token failed."""

    def render(self, context: Context) -> SafeString:
        budget = budget_of(context)
        before = held = budget.held
        parts: list[Any] = []
        for node in self:
            try:
                text: Any = node.render_annotated(context)
            except RenderFailed:
                raise
            except Refused as error:
                raise RenderFailed(_refusal(node, error)) from error
            except Exception as error:  # a property, method or filter of the project may raise anything
                raise RenderFailed(_failure(node, error)) from error
            if budget.refused is not None:
                raise RenderFailed(_refusal(node, budget.refused))
            held += len(text)
            if budget.values is not None and type(node) is VariableNode:
                budget.values.append(text)
                budget.shown += len(text)
                text = mark(len(budget.values) - 1)
            parts.append(text)
            # Assigned, not added to: what nodes inside held has become `text`.
            budget.held = held
            if type(node) is not TextNode or held > budget.size:
                budget.check()
        budget.held = before
        return SafeString("".join(parts))


class LoopBody(Node):
    """The body of a {% for %}; its output stays held while the loop goes on."""

    child_nodelists = ("nodelist",)

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> str:
        text = self.nodelist.render(context)
        budget = budget_of(context)
        budget.held += len(text)
        budget.check()
        return text


# Nodes that pass on what their children render without looking at it, or have none.
KEEPING_NODES = frozenset(
    [
        AutoEscapeControlNode,
        CommentNode,
        CycleNode,
        FirstOfNode,
        ForNode,
        IfNode,
        NowNode,
        RegroupNode,
        ResetCycleNode,
        TemplateTagNode,
        TextNode,
        URLNode,
        VariableNode,
        VerbatimNode,
        WidthRatioNode,
        WithNode,
        LoopBody,
    ]
)


def _refusal(node: Node, error: Refused) -> str:
    if node.token is None:
        return str(error)
    return _("Line %(line)d: %(message)s") % {"line": node.token.lineno, "message": error}


def _failure(node: Node, error: Exception) -> str:
    token = node.token
    said = f"{type(error).__name__}: {error}"[:MAX_SAID]
    if token is None:
        return said
    is_block = token.token_type == TokenType.BLOCK
    contents = token.contents if len(token.contents) <= MAX_SAID else f"{token.contents[:MAX_SAID]}…"
    shown = f"{{% {contents} %}}" if is_block else f"{{{{ {contents} }}}}"
    failed = _("Line %(line)d: %(token)s failed with %(error)s")
    return failed % {"line": token.lineno, "token": shown, "error": said}
