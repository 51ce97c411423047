"""A text part derived once from HTML with marks in it, for all mails that differ at the marks only.

html2text is by far the slowest step of rendering. Nearly all mails of one broadcast have the same HTML
around other values. So the values are set as marks, the text of the marked HTML is derived once, and
each mail's values are put where the marks came out. That gives what deriving each mail's text gives,
because a value is only put there if it is
- in a place where its characters alone count: in text, or in a quoted attribute (a link, or one that text
  does not show), never in a tag, beside a half-written entity, or where a link's text is compared with its URL;
- made of characters that neither the HTML parser nor html2text looks at.
For any other place or value there is no template, and the text is derived from the mail itself.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from .text import read_html

#: Stand around the number of a value. From Unicode's private use area: neither space, letter nor markup.
OPEN, CLOSE = "\ue000", "\ue001"

#: A mark, with its number.
_MARK = re.compile(f"{OPEN}([0-9]+){CLOSE}")
#: A mark in a place where its value could become part of a tag or an entity.
_UNSAFE_BEFORE = re.compile(f"<[/!?]?{OPEN}|&[#\\w.-]*{OPEN}")
#: A quoted attribute value.
_QUOTED = re.compile(r"=\s*(?:\"[^\"]*\"|'[^']*')")
#: Attributes that the text part never shows.
_UNSEEN = frozenset("align bgcolor border class color height id src style valign width".split())  # noqa: SIM905
#: Values that html2text shows as they are, in text.
_SAFE_TEXT = re.compile(r"[^\W_](?:(?:[\w,.:;@+!?()%=#/-]| (?! ))*[^\W_])?")
#: Values that html2text shows as they are, in an attribute.
_SAFE_ATTRIBUTE = re.compile(r"[^\W_][\w./:?=%~+@,#-]*")


def mark(number: int) -> str:
    """What stands for the value with this number."""
    return f"{OPEN}{number}{CLOSE}"


@dataclass(frozen=True, slots=True)
class Pieces:
    """Text between marks (one more than there are marks), and the number of each mark."""

    texts: tuple[str, ...]
    numbers: tuple[int, ...]

    def fill(self, values: list[str]) -> str:
        filled = [self.texts[0]]
        for number, text in zip(self.numbers, self.texts[1:], strict=True):
            filled += (values[number], text)
        return "".join(filled)


def split(marked: str) -> Pieces:
    """`marked` taken apart at its marks."""
    parts = _MARK.split(marked)
    return Pieces(tuple(parts[::2]), tuple(map(int, parts[1::2])))


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """The text of HTML that has marks in it, and which of its values stand in an attribute."""

    pieces: Pieces
    in_attribute: frozenset[int]

    def fill(self, values: list[str]) -> str | None:
        """The text part for these values (as they stand in the HTML); None if it has to be derived from the mail."""
        for number, value in enumerate(values):
            if number in self.in_attribute:
                if not _SAFE_ATTRIBUTE.fullmatch(value):
                    return None
            elif not _SAFE_TEXT.fullmatch(value) or "://" in value:
                return None
        return self.pieces.fill(values)


def text_template(marked: str) -> TextTemplate | None:
    """The text template of HTML with marks in it; None where deriving each mail's text could give another result."""
    count = len(_MARK.findall(marked))
    if marked.count(OPEN) != count or marked.count(CLOSE) != count or _UNSAFE_BEFORE.search(marked):
        return None
    places = _Places()
    text = read_html(marked)
    try:
        places.feed(marked)
        places.close()
    except AssertionError:  # the parser gives up
        return None
    if text is None or places.refused or len(places.in_text) + len(places.in_attribute) != count:
        return None
    return TextTemplate(split(text), frozenset(places.in_attribute))


class _Places(HTMLParser):
    """Where the marks stand, as the parser that html2text uses sees it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.in_text: list[int] = []
        self.in_attribute: list[int] = []
        self.refused = False
        self._link: str | None = None  # the URL of a link whose text has not begun

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if OPEN in _QUOTED.sub("", self.get_starttag_text() or ""):
            self.refused = True
        names = [name for name, _ in attrs]
        for name, value in attrs:
            found = _marks(value or "")
            if found and (names.count(name) > 1 or (name not in _UNSEEN and (tag, name) != ("a", "href"))):
                self.refused = True
            self.in_attribute += found
            if (tag, name) == ("a", "href"):
                self._link = value or ""
            elif (tag, name) == ("img", "alt"):
                self._text(value or "")

    def handle_data(self, data: str) -> None:
        self.in_text += _marks(data)
        self._text(data)

    def handle_comment(self, data: str) -> None:
        self.in_text += _marks(data)

    def _text(self, data: str) -> None:
        # html2text writes <URL> where a link's text is its URL: that must not depend on a value.
        if "://" in data and (OPEN in data or OPEN in (self._link or "")):
            self.refused = True
        if data:
            self._link = None


def _marks(text: str) -> list[int]:
    return [int(number) for number in _MARK.findall(text)]
