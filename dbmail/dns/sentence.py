"""Sentences in English that a screen can show in another language. Nothing here needs Django."""

from collections.abc import Sequence
from typing import Any


class Sentence(str):
    """An English string that remembers what it was made of, so that it can be translated later.

    Import it as `_`, so that makemessages finds its texts: `_("MX %(host)s has no address.", host=name)`.
    """

    #: The text before the values were put in: what a translation is looked up by.
    text: str
    #: What was put in, by name: strings, numbers or other sentences.
    values: dict[str, Any]

    def __new__(cls, text: str, /, **values: Any) -> "Sentence":
        sentence = super().__new__(cls, text % values if values else text)
        sentence.text, sentence.values = text, values
        return sentence


def listed(texts: Sequence[str]) -> str:
    """The texts with commas between them; those that are sentences stay translatable. There must be one at least."""
    first, *rest = texts
    return Sentence("%(first)s, %(rest)s", first=first, rest=listed(rest)) if rest else first


def parts(value: Any) -> Any:
    """A sentence as JSON from which it can be translated, {text, values}; anything else as it is."""
    if not isinstance(value, Sentence):
        return value
    return {"text": value.text, "values": {name: parts(each) for name, each in value.values.items()}}
