"""What a check has to say, and how that is shown to a person and to a program."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ..dns.sentence import Sentence, parts


class Level(StrEnum):
    """How good a finding is, from best to worst."""

    OK = "ok"
    #: It may go wrong, or could not be looked at.
    WARNING = "warning"
    #: It is wrong: mail is lost or refused, or a rule of a mailbox provider is broken.
    FAILURE = "failure"

    @property
    def exit_code(self) -> int:
        """0, 1 or 2, as monitoring plugins have it."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check says. Its strings may be Sentences, which the admin translates."""

    level: Level
    #: The check's NAME.
    check: str
    #: What it is about: a domain, an address, a server.
    about: str
    #: What was seen.
    title: str
    #: What to do about it; "" if nothing.
    advice: str = ""
    #: What to publish in DNS, as a line of a zone file; "" if nothing.
    record: str = ""
    #: Address of a page with the rule that it rests on; "" if there is none.
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: the strings in English, and in `sentences` what to translate them from, by the field's name."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        sentences = {name: parts(value) for name, value in said.items() if isinstance(value, Sentence)}
        return {**said, "sentences": sentences}


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of all; OK if there are none."""
    return max((finding.level for finding in findings), key=lambda level: level.exit_code, default=Level.OK)


#: How a line of `as_text` begins: columns of the same width.
_MARKS = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.FAILURE: "FAILURE"}


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each finding, below it what to do and what to publish; at the end how many of each level."""
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
