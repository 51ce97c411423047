"""The restricted template engine: Django's syntax, without a way out of the message.

No loaders, a fixed list of tags and filters, every look-up through the guard, and limits of size and time.
"""

import re
from collections.abc import Collection
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from time import monotonic
from typing import Any, ClassVar, NamedTuple

from django.template.base import (
    FilterExpression,
    Lexer,
    Node,
    NodeList,
    Origin,
    Parser,
    Template,
    TextNode,
    Token,
    TokenType,
    Variable,
    VariableDoesNotExist,
    VariableNode,
)
from django.template.context import Context
from django.template.defaulttags import ForNode, RegroupNode
from django.template.engine import Engine
from django.template.exceptions import TemplateSyntaxError
from django.template.library import Library, import_library
from django.utils.safestring import SafeData, mark_safe
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..conf import config
from ..conf.suggest import what_to_write
from ..exceptions import SettingError, TemplateRejected
from .guard import Missing, Refused, call, guard, look_up
from .limits import KEEPING_NODES, MAX_SAID, LimitedNodeList, LoopBody, budget_of, limited_context
from .names import is_secret
from .template_filters import check_argument, library
from .text_template import CLOSE, OPEN

_CONSTANTS = frozenset(["True", "False", "None"])
#: Attributes in which nodes (Django's and libraries') keep the name of a variable that they set.
_BINDING_ATTRIBUTES = ("asvar", "target_var", "var_name", "variable_name", "variable")
#: Longest tag, or variable with its filters, in characters: nobody writes longer ones, and they are slow to parse.
MAX_TOKEN = 5000
#: Characters that the lexer may read for nothing: from each unclosed opening it reads to the end of the line.
_MAX_UNCLOSED = 100_000_000
#: Openings of the template syntax and what closes them.
_PAIRS = (("{{", "}}"), ("{%", "%}"), ("{#", "#}"))
#: Django tags that mail templates refuse, and why.
_REFUSED = {
    "block": gettext_noop("mail templates do not extend one another"),
    "extends": gettext_noop("mail templates do not extend one another"),
    "include": gettext_noop("mail templates include no files"),
    "load": gettext_noop("the libraries of this site need no such tag, and no others can be used"),
}


class Use(NamedTuple):
    """One look-up in a template: its names (`user`, `first_name`), line (from 1) and token."""

    path: tuple[str, ...]
    line: int
    token: str


@dataclass(frozen=True)
class CompiledTemplate:
    """A template that was accepted; it may be rendered any number of times."""

    template: Template
    #: Whether variables are escaped.
    html: bool
    #: Every look-up in the template.
    uses: tuple[Use, ...]
    #: Names that tags of the template set, and True, False, None.
    bound: frozenset[str]

    @property
    def variables(self) -> set[str]:
        """Root names that the context has to have: those that no tag of the template sets."""
        return {use.path[0] for use in self.uses if use.path[0] not in self.bound}

    def with_constants(self, context: dict[str, Any], names: Collection[str]) -> "CompiledTemplate":
        """This template with the variables of `names`, as they are in `context`, filled in wherever they stand
        outside of all tags: for variables that are the same for every recipient. Raises RenderFailed."""
        fixed = frozenset(names) - self.bound
        limited = limited_context(context, html=self.html)
        nodes = LimitedNodeList()
        for node in self.template.nodelist:
            if isinstance(node, VariableNode) and _roots(node) <= fixed:
                with limited.bind_template(self.template):  # Django's nodes ask it when something goes wrong
                    text = LimitedNodeList([node]).render(limited)
                node = node if OPEN in text or CLOSE in text else TextNode(text)
            if isinstance(node, TextNode) and nodes and isinstance(nodes[-1], TextNode):
                nodes[-1] = TextNode(nodes[-1].s + node.s)
            else:
                nodes.append(node)
        template = copy(self.template)
        template.nodelist = nodes
        return replace(self, template=template)

    def render(self, context: dict[str, Any]) -> str:
        """The text for this context. Raises RenderFailed, which names the token, for whatever goes wrong."""
        return str(self.template.render(limited_context(context, html=self.html)))

    @cached_property
    def can_mark(self) -> bool:
        """Whether what a variable shows always reaches the output as it is, so that a mark can stand for it."""
        nodes = self.template.nodelist.get_nodes_by_type(Node)
        return all(type(node) in KEEPING_NODES for node in nodes) and OPEN not in self.template.source

    def render_marked(self, context: dict[str, Any]) -> tuple[str, list[str]]:
        """The text with a mark for each variable that it shows, and what they show. Needs `can_mark`."""
        limited = limited_context(context, html=self.html)
        values: list[str] = []
        limited.budget.values = values
        text = str(self.template.render(limited))
        limited.budget.check(len(text))
        return text, values


def compile_template(source: str, *, html: bool) -> CompiledTemplate:
    """`source` compiled; variables are escaped iff `html`. Raises TemplateRejected with line and token."""
    engine = _engine(config().template_libraries)
    try:
        _check_openings(source)
        template = _MailTemplate(source, engine=engine)
    except RecursionError:
        raise TemplateRejected(_("The template nests its tags too deeply.")) from None
    except Exception as error:  # libraries' tags may raise anything; whatever it is, the template cannot be used
        token = getattr(error, "token", None)
        line = getattr(token, "lineno", None)
        message = re.sub(r" on line \d+", "", str(error)[: 2 * MAX_SAID])
        if not isinstance(error, TemplateSyntaxError):
            message = f"{type(error).__name__}: {message}"
        if line:
            message = in_line(line, message)
        raise TemplateRejected(message, line=line, token=(token.contents[:MAX_SAID] if token else None)) from error
    return CompiledTemplate(template, html, tuple(template.uses), frozenset(template.bound) | _CONSTANTS)


def in_line(line: int, message: str) -> str:
    """`message` with its place in front."""
    return _("Line %(line)d: %(message)s") % {"line": line, "message": message}


def _check_openings(source: str) -> None:
    """Raises TemplateSyntaxError for a source that would keep the lexer busy for minutes."""
    work = 0
    for line in source.split("\n"):
        for opening, closing in _PAIRS:
            behind = line[line.rfind(closing) + 1 :]
            work += behind.count(opening) * len(behind)
    if work > _MAX_UNCLOSED:
        raise TemplateSyntaxError(_("Too many “{{”, “{%” or “{#” that are not closed on their line."))


def _roots(node: VariableNode) -> set[str]:
    """The names in the context that an expression reads."""
    expression = node.filter_expression
    variables = [expression.var, *(argument for _name, arguments in expression.filters for _is, argument in arguments)]
    return {variable.lookups[0] for variable in variables if isinstance(variable, Variable) and variable.lookups}


class _MailEngine(Engine):
    default_builtins: ClassVar[list[str]] = []

    def get_template_builtins(self, builtins: list[str]) -> list[Library]:
        return [library(), *map(project_library, builtins)]


@lru_cache(maxsize=8)
def _engine(libraries: tuple[str, ...]) -> Engine:
    return _MailEngine(loaders=[], builtins=list(libraries))


def project_library(path: str) -> Library:
    """A library of DBMAIL["TEMPLATE_LIBRARIES"]. Raises SettingError."""
    try:
        return import_library(path)
    except Exception as error:  # the module may raise anything while it is imported
        said = _('DBMAIL["TEMPLATE_LIBRARIES"]: "%(path)s" is no template library: %(error)s')
        hint = what_to_write(path, _("Give the dotted path of the module that has `register` in it."))
        raise SettingError(said % {"path": path, "error": f"{str(error).rstrip('.')}."}, hint) from error


class _MailTemplate(Template):
    def compile_nodelist(self) -> NodeList:
        parser = _MailParser(Lexer(self.source).tokenize(), {}, self.engine.template_builtins, self.origin)
        nodelist = parser.parse()
        self.uses, self.bound = parser.uses, parser.bound
        return nodelist


class _MailParser(Parser):
    def __init__(self, tokens: list[Token], libraries: Any, builtins: Any, origin: Origin) -> None:
        super().__init__(tokens, libraries, builtins, origin)
        self.uses: list[Use] = []
        self.bound: set[str] = set()
        self.current: Token | None = None
        self._deadline = monotonic() + config().text_limits.seconds

    def next_token(self) -> Token:
        token = self.current = super().next_token()
        if token.token_type in (TokenType.VAR, TokenType.BLOCK) and len(token.contents) > MAX_TOKEN:
            raise self.error(token, _("A tag has at most %(limit)d characters.") % {"limit": MAX_TOKEN})
        if monotonic() > self._deadline:
            slow = _("It takes more than %(limit)s seconds to read the template: make it shorter.")
            raise self.error(token, slow % {"limit": config().text_limits.seconds})
        return token

    def parse(self, parse_until: Any = None) -> NodeList:
        nodelist = super().parse(parse_until)
        nodelist.__class__ = LimitedNodeList
        return nodelist

    def extend_nodelist(self, nodelist: NodeList, node: Node, token: Token) -> None:
        if isinstance(node, ForNode):
            self.bound.update(node.loopvars, ["forloop"])
            # A loop renders its nodes itself, one by one: as one node they are counted together.
            node.nodelist_loop = NodeList([LoopBody(node.nodelist_loop)])  # type: ignore[arg-type]
        if isinstance(node, RegroupNode):
            node.expression.__class__ = _TimedExpression
        self.bound.update(getattr(node, "extra_context", None) or ())
        for attribute in _BINDING_ATTRIBUTES:
            if isinstance(name := getattr(node, attribute, None), str):
                self.bound.add(name)
        super().extend_nodelist(nodelist, node, token)

    def compile_filter(self, token: str) -> FilterExpression:
        expression = _GuardedExpression(token, self)
        variables = [
            expression.var,
            *(argument for _name, arguments in expression.filters for _is, argument in arguments),
        ]
        is_filter_tag = self.current and self.current.contents.split(None, 1)[0] == "filter"
        for variable in variables:
            if not isinstance(variable, Variable) or variable.lookups is None:
                continue
            for part in variable.lookups:
                if is_secret(part):
                    secret = _("“%(variable)s” is not shown in mail: “%(part)s” is a secret name.")
                    raise TemplateSyntaxError(secret % {"variable": variable.var, "part": part})
            if variable.lookups[0] not in _CONSTANTS and not (is_filter_tag and variable.var == "var"):
                line = (self.current and self.current.lineno) or 1
                self.uses.append(Use(variable.lookups, line, self.current.contents if self.current else token))
        return expression

    def invalid_block_tag(self, token: Token, command: str, parse_until: Any = None) -> None:
        if command in _REFUSED:
            refused = _("{%% %(tag)s %%} is not allowed: %(why)s.")
            raise self.error(token, refused % {"tag": command, "why": _(_REFUSED[command])})
        if parse_until:
            unexpected = _("{%% %(tag)s %%} is not a tag of mail templates; expected here: %(expected)s.")
            raise self.error(token, unexpected % {"tag": command, "expected": ", ".join(parse_until)})
        raise self.error(token, _("{%% %(tag)s %%} is not a tag of mail templates.") % {"tag": command})

    def find_filter(self, filter_name: str) -> Any:
        if filter_name not in self.filters:
            raise TemplateSyntaxError(_("|%(filter)s is not a filter of mail templates.") % {"filter": filter_name})
        return self.filters[filter_name]


class _GuardedVariable(Variable):
    """A variable whose every look-up goes through the guard."""

    def _resolve_lookup(self, context: Context) -> Any:
        root, *names = self.lookups or ()
        try:
            current = context[root]
        except KeyError:
            raise VariableDoesNotExist("Failed lookup for [%s]", (self.var,)) from None
        try:
            current = call(current)
            for name in names:
                current = look_up(current, name)
            return guard(current)
        except Missing:
            raise VariableDoesNotExist("Failed lookup for [%s]", (self.var,)) from None
        except Refused as error:
            budget_of(context).refused = error
            raise
        except Exception as error:
            # Django's rule: an exception may say that it stands for nothing (ObjectDoesNotExist does).
            if getattr(error, "silent_variable_failure", False):
                return ""
            raise


class _GuardedExpression(FilterExpression):
    def __init__(self, token: str, parser: Parser) -> None:
        super().__init__(token, parser)
        if isinstance(self.var, Variable) and self.var.lookups is not None:
            self.var = _GuardedVariable(self.var.var)
        names = {id(function): name for name, function in parser.filters.items()}
        guarded = []
        for function, arguments in self.filters:
            for is_variable, argument in arguments:
                if not is_variable:
                    check_argument(names[id(function)], argument)
                elif argument.lookups is None:
                    check_argument(names[id(function)], argument.literal)
            guarded.append((function, [(v, _GuardedVariable(a.var) if v else a) for v, a in arguments]))
        self.filters = guarded

    def resolve(self, context: Context, ignore_failures: bool = False) -> Any:
        """As Django's, but what a filter made is measured, and an unknown argument is empty."""
        value = self.var
        if self.is_var:
            try:
                value = self.var.resolve(context)
            except VariableDoesNotExist:
                value = None if ignore_failures else ""
        for function, arguments in self.filters:
            values = [_argument(argument, is_variable, context) for is_variable, argument in arguments]
            if getattr(function, "expects_localtime", False):
                value = template_localtime(value, context.use_tz)
            if getattr(function, "needs_autoescape", False):
                made = function(value, *values, autoescape=context.autoescape)
            else:
                made = function(value, *values)
            if getattr(function, "is_safe", False) and isinstance(value, SafeData):
                made = mark_safe(made)  # noqa: S308 - the filter says that it keeps safe text safe
            value = made
            budget_of(context).check(len(value) if isinstance(value, (str, list, tuple)) else 0)
        return value


class _TimedExpression(_GuardedExpression):
    """One that a single tag resolves for each of many items."""

    def resolve(self, context: Context, ignore_failures: bool = False) -> Any:
        budget_of(context).check()
        return super().resolve(context, ignore_failures)


def _argument(argument: Any, is_variable: bool, context: Context) -> Any:
    if not is_variable:
        return mark_safe(argument)  # noqa: S308 - a constant of the template's author, as in Django
    try:
        return argument.resolve(context)
    except VariableDoesNotExist:
        return ""
