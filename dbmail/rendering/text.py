"""The text part of an HTML mail, by html2text."""

import re
from html import unescape
from time import monotonic
from typing import Any

from html2text import HTML2Text

from ..conf import config

_HTML_TAG = re.compile(r"<html[\s>]", re.IGNORECASE)
_ESCAPED_URL = re.compile(r"\]\(<([^<>\n]*)>")
_TAG = re.compile(r"<[^<>]*>")
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
# Shown as their content alone: marks around words are noise to a person who reads text.
_UNMARKED = frozenset(["abbr", "code", "del", "kbd", "s", "strike", "tt"])
_IN_HEAD = frozenset(["base", "head", "html", "link", "meta", "noscript", "script", "style", "template", "title"])
_QUIET = frozenset(["head", "script", "style", "template", "title"])
#: What the text of one mail may hold, while it is made.
_CHARACTERS = 4_000_000
#: Lists and quotations deeper than this stand as deep as this: each level indents every line of those within.
_DEPTH = 20


def is_html(source: str) -> bool:
    """Whether a body is HTML: it has an <html> tag, with or without attributes, in any case."""
    found = _HTML_TAG.search(source)
    return found is not None and source.find(">", found.end() - 1) >= 0


def text_from_html(html: str) -> str:
    """`html` as a person would write it in plain text: links inline, images as their alt text, no wrapping.

    Takes no longer than the limit of time for a rendering, and a moment; then only the tags are taken away.
    """
    text = read_html(html)
    # HTML so broken that the parser gives up, or does not come to an end: its words are still worth sending.
    return _tidy(unescape(_TAG.sub("", html))) if text is None else text


def read_html(html: str) -> str | None:
    """The text of `html`; None if it is too broken for the parser, or takes too long."""
    closed, end, rest = html.rpartition(">")
    # No tag begins where none can end; at each of them the parser would look through all that follows.
    html = closed + end + rest.replace("<", "&lt;")
    try:
        return _tidy(_Reader().handle(html))
    except (AssertionError, IndexError, KeyError, TypeError, ValueError, _Endless):
        return None


def _tidy(text: str) -> str:
    """Without what html2text means for a Markdown reader: escapes in URLs, blanks at the end of lines."""
    text = _ESCAPED_URL.sub(lambda found: "](<" + re.sub(r"\\([\\\[\]()])", r"\1", found[1]) + ">", text)
    lines = [line.rstrip() for line in text.replace("\xa0", " ").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


class _Endless(Exception):
    """The time or the characters for one mail are used up."""


class _Reader(HTML2Text):
    def __init__(self) -> None:
        super().__init__(bodywidth=0)
        self._deadline = monotonic() + config().text_limits.seconds
        self._left = _CHARACTERS
        self.unicode_snob = True  # é stays é
        self.ignore_emphasis = True
        self.ignore_tables = True
        self.protect_links = True
        self.tag_callback = _on_tag  # type: ignore[assignment]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, [(name, value) for name, value in attrs if value is not None])

    def outtextf(self, s: str) -> None:
        self._left -= len(s)
        self.check()
        super().outtextf(s)

    def check(self) -> None:
        """Called at all that the parser finds. Raises _Endless."""
        if self._left < 0 or monotonic() > self._deadline:
            raise _Endless

    def handle_data(self, data: str, entity_char: bool = False) -> None:
        self.check()
        # True: html2text escapes "1." and "-" at the start of a line for Markdown otherwise.
        super().handle_data(data, True)


def _on_tag(reader: Any, tag: str, attrs: dict[str, str], start: bool) -> bool | None:
    """Called by html2text before each tag; True where that is all that there is to do."""
    reader.check()
    reader.blockquote = min(reader.blockquote, _DEPTH)
    if start and tag in ("ol", "ul") and len(reader.list) >= _DEPTH:
        return True
    if tag in _QUIET:
        # Counted here: a stray end tag must not hide the rest of the mail.
        reader.quiet = max(0, reader.quiet + (1 if start else -1))
        return True
    if start and reader.quiet and tag not in _IN_HEAD:
        reader.quiet = 0  # the head was never closed
    if tag in _UNMARKED:
        return True
    if tag in _HEADINGS and not reader.astack:
        reader.p()
        return True
    if tag in ("td", "th"):
        reader.o(" ", puredata=True)
    elif tag in ("table", "tr"):
        reader.pbr()
    if tag == "img":
        if start and attrs.get("alt"):
            reader.handle_data(attrs["alt"])
        return True
    return None
