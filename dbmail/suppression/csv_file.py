"""The suppression table as CSV (RFC 4180), out and in again."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from django.contrib.auth import get_user_model
from django.utils.dateparse import parse_datetime

from ..addresses import check_address, normalise
from ..csv_cells import harmless, original
from ..exceptions import AddressError, DbmailError
from ..models.suppression import Suppression
from ..times import project_time
from .entries import NewSuppression

COLUMNS = ("address", "scope", "reason", "source", "created_at", "expires_at", "created_by")
#: A spreadsheet takes a cell that begins so for a formula; the text of a server's refusal can be anything.


class Writable(Protocol):
    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be imported, counted from 1 as an editor does, and why."""

    line: int
    problem: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.problem}"


class BadFile(DbmailError, ValueError):
    """A CSV file with lines that cannot be imported; nothing was."""

    def __init__(self, lines: list[BadLine]) -> None:
        super().__init__("\n".join(map(str, lines)))
        self.lines = lines


def write(file: Writable, rows: Iterable[Suppression]) -> int:
    """Write a header and a line for each row; how many rows."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    number = 0
    for row in rows:
        ends = row.expires_at.isoformat() if row.expires_at else ""
        by = row.created_by.get_username() if row.created_by else ""
        cells = (row.address, row.scope, row.reason, row.source, row.created_at.isoformat(), ends, by)
        writer.writerow(map(harmless, cells))
        number += 1
    return number


def read(text: str) -> list[NewSuppression]:
    """The entries of a CSV file with a header; only `address` must be there. Raises BadFile that names every bad line.

    Without a scope it is all mail, without a reason "manual", without a time now. Lines of blanks are passed over.
    """
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",")
    entries, bad = [], []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        problem = _header_problem(header)
        if problem:
            raise BadFile([BadLine(1, problem)])
        for start, cells in _lines(reader):
            try:
                entries.append(_entry(header, cells))
            except (AddressError, ValueError) as error:
                bad.append(BadLine(start, str(error)))
    except csv.Error as error:
        bad.append(BadLine(reader.line_num, f"This is not CSV: {error}."))
    if bad:
        raise BadFile(bad)
    return _with_users(entries)


def _lines(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank, with the number of their first."""
    start = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield start, cells
        start = reader.line_num + 1


def _header_problem(header: list[str]) -> str:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        return f"There is no column {unknown[0]!r}. Known: {', '.join(COLUMNS)}."
    if "address" not in header:
        return "The first line must name the columns, among them address."
    return "A column is named twice." if len({*header}) < len(header) else ""


def _entry(header: list[str], cells: list[str]) -> NewSuppression:
    if len(cells) > len(header):
        raise ValueError(f"It has {len(cells)} cells, the header {len(header)}.")
    values = dict(zip(header, (original(cell.strip()) for cell in cells), strict=False))
    if any("\0" in value for value in values.values()):
        raise ValueError("It holds a NUL character.")
    scope = values.get("scope") or Suppression.ALL
    if len(scope) > 64:
        raise ValueError(f"The scope {scope[:20]!r}... is longer than 64 characters.")
    reason = values.get("reason") or Suppression.Reason.MANUAL
    if reason not in Suppression.Reason.values:
        raise ValueError(f"There is no reason {reason!r}. Known: {', '.join(Suppression.Reason.values)}.")
    return NewSuppression(
        address=normalise(check_address(values.get("address", ""))),
        scope=scope,
        reason=reason,
        source=values.get("source", ""),
        created_at=_time(values.get("created_at", "")),
        expires_at=_time(values.get("expires_at", "")),
        created_by=values.get("created_by") or None,
    )


def _time(text: str) -> datetime | None:
    if not text:
        return None
    found = parse_datetime(text)
    if found is None or not 1 < found.year < 9999:  # further out, it cannot be told in every time zone
        raise ValueError(f"{text!r} is no time; write 2030-12-31 18:00 or 2030-12-31T18:00+01:00.")
    return project_time(found)


def _with_users(entries: list[NewSuppression]) -> list[NewSuppression]:
    """User names replaced by users; a name that is not known here any more is left out."""
    model = get_user_model()
    names = {entry.created_by for entry in entries if entry.created_by}
    if not names:
        return entries
    users = {user.get_username(): user for user in model.objects.filter(**{f"{model.USERNAME_FIELD}__in": names})}
    return [replace(entry, created_by=users.get(entry.created_by)) for entry in entries]
