"""Sentences in English that a screen can show in another language. Nothing here needs Django."""

from collections.abc import Sequence
from typing import Any


class Sentence(str):
    """English, wherever a string is wanted; `text` and `values` are what it was made of, for a translation.

    Import it as `_`, so that makemessages finds its texts: `_("MX %(host)s has no address.", host=name)`. A value is a
    string, a number or another sentence.
    """

    text: str
    values: dict[str, Any]

    def __new__(cls, text: str, /, **values: Any) -> "Sentence":
        sentence = super().__new__(cls, text % values if values else text)
        sentence.text, sentence.values = text, values
        return sentence


def listed(texts: Sequence[str]) -> str:
    """With commas between them."""
    first, *rest = texts
    return Sentence("%(first)s, %(rest)s", first=first, rest=listed(rest)) if rest else first


def parts(value: Any) -> Any:
    """A sentence as JSON that it can be translated from: {text, values}; anything else as it is."""
    if not isinstance(value, Sentence):
        return value
    return {"text": value.text, "values": {name: parts(each) for name, each in value.values.items()}}
