"""Django's own tags and filters without those that reach outside or can be made to fill the memory."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.template import defaultfilters, defaulttags
from django.template.exceptions import TemplateSyntaxError
from django.template.library import Library
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from ..conf import config
from ..exceptions import RenderFailed
from .guard import Missing, guard, look_up
from .names import is_hidden

TAGS = tuple(
    """autoescape comment cycle filter firstof for if ifchanged now regroup resetcycle spaceless
    templatetag url verbatim widthratio with""".split()  # noqa: SIM905 - read as a list of words
)
#: Widest field and most decimal places that a filter makes.
MAX_WIDTH = 1000
#: Longest argument of a filter that repeats it or takes it apart.
MAX_ARGUMENT = 1000
#: Longest text or list that goes into a filter whose time grows faster than its input, or that takes it apart.
MAX_SLOW_INPUT = 100_000

_WIDTH = ("center", "floatformat", "ljust", "rjust", "wordwrap")
_SHORT_ARGUMENT = ("cut", "date", "pluralize", "stringformat", "time", "urlencode", "yesno")
_SLOW = (
    "escapeseq",
    "join",
    "linenumbers",
    "phone2numeric",
    "safeseq",
    "slugify",
    "striptags",
    "title",
    "truncatechars_html",
    "truncatewords_html",
    "unordered_list",
    "urlize",
    "urlizetrunc",
    "wordwrap",
)


def library() -> Library:
    """The tags and filters of every mail template."""
    built = Library()
    built.tags.update({name: defaulttags.register.tags[name] for name in TAGS})
    for name, function in defaultfilters.register.filters.items():
        if name != "pprint":  # it shows the inside of objects
            built.filters[name] = _OWN.get(name) or _limited(name, function)
    return built


def check_argument(name: str, value: Any) -> None:
    """Raises TemplateSyntaxError for a constant argument that the filter `name` would refuse for every recipient."""
    if name in ("dictsort", "dictsortreversed") and isinstance(value, str):
        for part in value.split("."):
            if is_hidden(part):
                hidden = _("Mail does not sort by “%(value)s”: “%(part)s” is a secret or private name.")
                raise TemplateSyntaxError(hidden % {"value": value, "part": part})
    try:
        _check(name, "", (value,))
    except RenderFailed as error:
        raise TemplateSyntaxError(str(error)) from None


def _check(name: str, value: Any, arguments: tuple[Any, ...]) -> None:
    for argument in arguments:
        if isinstance(argument, str) and name in _SHORT_ARGUMENT and len(argument) > MAX_ARGUMENT:
            long = _("The argument of |%(filter)s is longer than %(limit)d characters.")
            raise RenderFailed(long % {"filter": name, "limit": MAX_ARGUMENT})
        numbers = re.findall(r"\d+", str(argument)) if name in (*_WIDTH, "stringformat") else ()
        if any(len(number) > 9 or int(number) > MAX_WIDTH for number in numbers):
            wide = _("|%(filter)s makes at most %(limit)d characters, not “%(argument)s”.")
            raise RenderFailed(wide % {"filter": name, "limit": MAX_WIDTH, "argument": str(argument)[:20]})
    if name in _SLOW and isinstance(value, str | list | tuple) and len(value) > MAX_SLOW_INPUT:
        slow = _("|%(filter)s takes at most %(limit)d characters.")
        if not isinstance(value, str):
            slow = _("|%(filter)s takes at most %(limit)d items.")
        raise RenderFailed(slow % {"filter": name, "limit": MAX_SLOW_INPUT})


def _limited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` itself, or with its arguments checked first where they can make it grow or dawdle."""
    if name not in {*_WIDTH, *_SHORT_ARGUMENT, *_SLOW}:
        return function

    @wraps(function)
    def checked(value: Any, *arguments: Any, **named: Any) -> Any:
        _check(name, value, arguments)
        return function(value, *arguments, **named)

    return checked


@wraps(defaultfilters.join)
def _join(value: Any, arg: Any, autoescape: bool = True) -> Any:
    """Django's join, measured before it is made: a long list by a long string is the product of both."""
    _check("join", value, ())
    try:
        items = [str(item) for item in value] if not autoescape else [conditional_escape(item) for item in value]
    except TypeError:  # as Django's: what is no list stays as it is
        return value
    by = conditional_escape(arg) if autoescape else str(arg)
    limit = config().text_limits.characters
    if sum(map(len, items)) + len(by) * len(items) > limit:
        raise RenderFailed(_("|join makes more than %(limit)d characters.") % {"limit": limit})
    return mark_safe(by.join(items))  # noqa: S308 - escaped above wherever the template escapes


def _sorted_by(value: Any, arg: Any, *, reverse: bool) -> Any:
    def key(item: Any) -> Any:
        for part in str(arg).split("."):
            item = look_up(item, part)
        return guard(item)

    try:
        return sorted(value, key=key, reverse=reverse)
    except (AttributeError, Missing, TypeError):  # as Django's: what cannot be sorted is shown as nothing
        return ""


@wraps(defaultfilters.dictsort)
def _dictsort(value: Any, arg: Any) -> Any:
    return _sorted_by(value, arg, reverse=False)


@wraps(defaultfilters.dictsortreversed)
def _dictsortreversed(value: Any, arg: Any) -> Any:
    return _sorted_by(value, arg, reverse=True)


_OWN: dict[str, Callable[..., Any]] = {
    "dictsort": _dictsort,
    "dictsortreversed": _dictsortreversed,
    "join": _join,
}
