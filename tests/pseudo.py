"""A language in which every sentence that can be translated is in the wide letters of Unicode (U+FF21 and on).

An ASCII letter that is left on a page is then of a sentence that cannot be translated, or of data.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import django
from django.utils import translation
from django.utils.translation import trans_real

#: What stands for data in a text, and tags and entities: they stay as they are.
_KEPT = re.compile(r"%(?:\(\w+\))?[-\d.]*[a-zA-Z]|%%|<[^>]+>|&\w+;")
_WIDE = {ord(letter): ord(letter) + 0xFEE0 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}


def wide(text: str) -> str:
    """`text` as its translation; what is filled in later stands between the letters as it comes."""
    parts, last = [], 0
    for kept in _KEPT.finditer(text):
        parts += [text[last : kept.start()].translate(_WIDE), kept[0]]
        last = kept.end()
    return "".join([*parts, text[last:].translate(_WIDE)])


def speak_wide(monkeypatch: Any) -> None:
    """Have German be wide letters for all that it has a translation for, ours and Django's."""
    translation.activate("de")
    german = trans_real.translation("de")
    merged: dict[Any, str] = {}
    for catalog in reversed(german._catalog._catalogs):  # type: ignore[attr-defined]
        merged |= catalog
    plural = german._catalog._plurals[0]  # type: ignore[attr-defined]
    texts: dict[Any, str] = {}
    for key in [*merged, *_djangos_own()]:
        text = key[0] if isinstance(key, tuple) else key
        texts[key] = wide(text.rpartition("\x04")[2])
    catalog = trans_real.TranslationCatalog()
    catalog._catalogs, catalog._plurals = [texts], [plural]
    monkeypatch.setattr(german, "_catalog", catalog)
    monkeypatch.setattr(trans_real, "_default", german)


_FIELD = re.compile(r'^(msgctxt|msgid|msgid_plural) ((?:"(?:[^"\\]|\\.)*"\s*)+)', re.MULTILINE)


def _djangos_own() -> Iterator[Any]:
    """The keys of all sentences of Django's admin: what is new in it has no German yet."""
    source = Path(django.__file__).parent / "contrib/admin/locale/en/LC_MESSAGES/django.po"
    for entry in source.read_text().split("\n\n"):
        parts: dict[str, str] = {}
        for name, quoted in _FIELD.findall(entry):
            parts[name] = "".join(ast.literal_eval(line) for line in quoted.splitlines())
        if parts.get("msgid"):
            key = f"{parts['msgctxt']}\x04{parts['msgid']}" if "msgctxt" in parts else parts["msgid"]
            yield from [(key, 0), (key, 1)] if "msgid_plural" in parts else [key]


_SHOWN = {"title", "placeholder", "aria-label", "aria-description", "alt", "label"}
_NOT_SHOWN = {"script", "style", "code", "pre", "textarea"}
#: What stands in a data- attribute or in JSON and is for programs: a name, an address, JSON.
_FOR_PROGRAMS = re.compile(r"[a-z_.#]+|/.*|\{.*", re.DOTALL)


class _Words(HTMLParser):
    """What a person reads or hears of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _NOT_SHOWN:
            self._hidden.append(tag)
        given = dict(attributes)
        for name, value in attributes:
            is_word = name in _SHOWN or (name == "value" and given.get("type") in ("submit", "button"))
            is_for_a_script = name.startswith("data-") and not _FOR_PROGRAMS.fullmatch(value or "")
            if value and (is_word or is_for_a_script):
                self.found.append(value)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and self._hidden[-1] == tag:
            self._hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(data)


def words(html: str) -> list[str]:
    """All text nodes and attributes with words, white space collapsed."""
    parser = _Words()
    parser.feed(html)
    return [text for found in parser.found if (text := " ".join(found.split()))]


def strings(data: Any) -> Iterator[str]:
    """All words in what a page fetches as JSON."""
    if isinstance(data, str):
        if not _FOR_PROGRAMS.fullmatch(data):
            yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from strings(value)


def english(texts: Iterable[str], data: Iterable[str] = ()) -> list[str]:
    """Those of `texts` with letters that are neither wide nor of `data` (regular expressions)."""
    known = re.compile("|".join(data) or r"(?!)")
    return sorted({text for text in texts if re.search(r"[A-Za-z]{2}", known.sub("", text))})
