"""The settings as a table for docs/settings.md."""

import dataclasses
from collections.abc import Iterator

from .fields import Group, Setting, example_of, settings_of
from .moved import GONE, MOVED
from .settings import Config, Outside
from .source import as_python

_HEAD = "| key | type | default | meaning | example |\n|-|-|-|-|-|\n"


def tables() -> dict[str, str]:
    """Markdown by the name of its place in the document: the keys of DBMAIL, the settings beside it, and old names."""
    moved = {old: f'`{outer}["{inner}"]`' for old, (outer, inner) in MOVED.items()}
    old = moved | dict.fromkeys(sorted(GONE), "a constant beside the code that it bounds: remove it")
    return {
        "DBMAIL": _HEAD + "".join(_rows(Config)),
        "outside": _HEAD + "".join(_rows(Outside)),
        "old names": "| was | is now |\n|-|-|\n" + "".join(f"| `{key}` | {now} |\n" for key, now in old.items()),
    }


def fill(document: str) -> str:
    """`document` with each table between its two marks."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: written by scripts/document_settings -->\n", f"<!-- end of {name} -->"
        before, _begin, rest = document.partition(begin)
        _old, _end, after = rest.partition(end)
        document = before + begin + table + end + after
    return document


def _rows(cls: type[Group], outer: str = "") -> Iterator[str]:
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type] # each is a dataclass
    for key, (name, declared) in settings_of(cls).items():
        shown = f'{outer}["{key}"]' if outer else key
        field = fields[name]
        default = field.default if field.default is not dataclasses.MISSING else None
        yield _row(f"`{shown}`", declared, _default(declared, default))
        if declared.group:
            yield from _rows(declared.group, shown)


def _row(shown: str, declared: Setting, default: str) -> str:
    kind = declared.kind.type if declared.kind else "dict"
    cells = [shown, kind, default, declared.help, f"`{example_of(declared)}`"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(declared: Setting, default: object) -> str:
    if declared.otherwise:
        return declared.otherwise
    if declared.group:
        return "as below"
    return f"`{as_python(default)}`" if default or default in (0, False) else "none"
