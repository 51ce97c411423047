"""A project's layout around a body. It is the project's own template, found by its loaders and trusted."""

import re
from dataclasses import dataclass

from django.template.exceptions import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from ..conf import config
from ..exceptions import LayoutError
from ..suppression.tokens import PLACEHOLDER, VARIABLE
from .text import is_html
from .text_template import CLOSE, OPEN, mark

# Where the body goes, and the subject in an outline.
_BODY, _SUBJECT = f"{OPEN}body{CLOSE}", f"{OPEN}subject{CLOSE}"
_MARKS = re.compile(f"[{OPEN}{CLOSE}]")
_TAG = re.compile(r"<[a-z!/]", re.IGNORECASE)
_EMPTY_LINES = re.compile(r"(\n[ \t]*\n\s*)")


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before and after the body; nothing where a broadcast has no layout.

    `outline` is the same with a mark for the subject, and `subject` what stands at that mark, if all that the
    layout does with the subject is to show it. Mails of many subjects then have one outline.
    """

    before: str = ""
    after: str = ""
    outline: tuple[str, str] = ("", "")
    subject: tuple[str, ...] = ()

    def around(self, body: str) -> str:
        return f"{self.before}{body}{self.after}"

    def marked(self, body: str, number: int) -> str:
        """The outline around a body with marks in it; the mark `number` is the subject's."""
        before, after = self.outline
        return f"{before}{body}{after}".replace(_SUBJECT, mark(number))


class Layout:
    """The layout in the template `path`. Raises LayoutError where it is broken, or no HTML document with a body."""

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        try:
            self._template = get_template(path)
        except TemplateDoesNotExist as error:
            said = _("The layout %(name)r: there is no template %(template)s.")
            raise LayoutError(said % {"name": name, "template": error}) from error
        except Exception as error:  # libraries' tags may raise anything while they are compiled
            said = _("The layout %(name)r (%(path)s): %(error)s")
            values = {"name": name, "path": path, "error": f"{type(error).__name__}: {error}"}
            raise LayoutError(said % values) from error
        self._outline = self._render(_SUBJECT)
        self._last: tuple[str, Frame] | None = None

    def frame(self, subject: str) -> Frame:
        """The layout with this subject. It is rendered anew only where the last mail had another one."""
        if self._last is None or self._last[0] != subject:
            self._last = (subject, self._frame(_MARKS.sub("", subject)))
        return self._last[1]

    @property
    def source(self) -> str:
        """The template as it is written, where its engine tells."""
        return str(getattr(getattr(self._template, "template", None), "source", ""))

    def _frame(self, subject: str) -> Frame:
        real = self._render(subject)
        shown = str(escape(subject))
        if (self._outline[0].replace(_SUBJECT, shown), self._outline[1].replace(_SUBJECT, shown)) == real:
            return Frame(*real, self._outline, (shown,))
        return Frame(*real, real)

    def _render(self, subject: str) -> tuple[str, str]:
        """What stands before and after the body."""
        context = {"body": mark_safe(_BODY), "subject": subject, VARIABLE: PLACEHOLDER}  # noqa: S308 - our own mark
        try:
            html = self._template.render(context)
        except Exception as error:  # the project's own tags and templates may raise anything
            said = _("The layout %(name)r failed: %(error)s")
            raise LayoutError(said % {"name": self._name, "error": f"{type(error).__name__}: {error}"}) from error
        before, *after = html.split(_BODY)
        if len(after) != 1:
            said = _("The layout %(name)r must show {{ body }} once, not %(times)d times.")
            raise LayoutError(said % {"name": self._name, "times": len(after)})
        if not is_html(before):
            said = _("The layout %(name)r must be a whole document, with an <html> tag.")
            raise LayoutError(said % {"name": self._name})
        return before, after[0]


def layout_of(name: str, source: str) -> Layout | None:
    """The layout `name` for a body with this source; None for "". Raises LayoutError."""
    if not name:
        return None
    known = config().layouts
    if name not in known:
        said = _('DBMAIL["LAYOUTS"] has no layout %(name)r. Known: %(known)s.')
        if not known:
            said = _('DBMAIL["LAYOUTS"] has no layout %(name)r. It has none.')
        raise LayoutError(said % {"name": name, "known": ", ".join(known)})
    layout = Layout(name, known[name][1])
    if is_html(source):
        said = _(
            "The body is a whole document, with an <html> tag of its own, and cannot be set in the layout %(name)r. "
            "Take the layout away, or leave only what stands in <body>."
        )
        raise LayoutError(said % {"name": name})
    return layout


def fragment(source: str) -> str:
    """A body as HTML for a layout: text without any tag keeps its paragraphs and lines, as a reader expects."""
    if _TAG.search(source):
        return source
    # Line numbers stay: errors name them.
    parts = _EMPTY_LINES.split(source.strip("\n"))
    parts[::2] = [f"<p>{part}</p>".replace("\n", "<br>\n") for part in parts[::2]]
    return "".join(parts)
