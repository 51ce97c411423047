"""Findings for a person, and for a program."""

import json
from collections.abc import Iterable, Sequence

from .finding import Finding, Level, worst

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
