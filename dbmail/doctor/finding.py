"""What a check has to say, and how that is shown to a person and to a program."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ..dns.sentence import Sentence, parts


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


_MARKS = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.FAILURE: "FAILURE"}


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each finding with what to do and the record below it, and a sum at the end."""
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.level]} {finding.about}: {finding.check}: {finding.title}")
        lines += [f"        {text}" for text in _details(finding)]
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    return "\n".join([*lines, "", ", ".join(f"{number} {level}" for level, number in counts.items())])


def _details(finding: Finding) -> Iterable[str]:
    if finding.advice:
        yield f"-> {finding.advice}"
    if finding.record:
        yield f"   {finding.record}"
    if finding.source:
        yield f"   {finding.source}"


def as_json(findings: Sequence[Finding]) -> str:
    """`{"level": worst, "findings": [{level, check, about, title, advice, record, source, sentences}, ...]}`"""
    return json.dumps({"level": worst(findings), "findings": [finding.as_dict() for finding in findings]}, indent=2)
