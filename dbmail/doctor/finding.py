"""What a check has to say."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ..domains.sentence import Sentence, parts


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"

    @property
    def exit_code(self) -> int:
        """0, 1, 2, as monitoring plugins have it."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how good, which check, about what, what was seen, what to do and what to publish in DNS."""

    level: Level
    check: str
    about: str
    title: str
    advice: str = ""
    record: str = ""
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: strings in English, and in `sentences` what those to be translated were made of."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        sentences = {name: parts(value) for name, value in said.items() if isinstance(value, Sentence)}
        return {**said, "sentences": sentences}


def worst(findings: Iterable[Finding]) -> Level:
    return max((finding.level for finding in findings), key=lambda level: level.exit_code, default=Level.OK)
