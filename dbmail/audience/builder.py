"""Audiences that a person puts together from allowed fields: a tree of conditions <-> Q.

A group is {"match": "all" | "any" | "none", "rows": [...]}; a row is {"field", "is", "value"} or another group.
At the top `match` may also be "everyone" (with an active account) or "nobody".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from math import isfinite
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import DecimalField, Field, ForeignKey, IntegerField, Q
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..exceptions import UnresolvableQuery, UnstorableQuery
from . import stored_query
from .fields import AudienceField, audience_fields

_MAX_DEPTH, _MAX_ROWS = 3, 50
NOBODY: dict[str, Any] = {"match": "nobody"}


@dataclass(frozen=True, slots=True)
class Condition:
    """How a value is compared: a look-up, whether it is negated, and the value where the person gives none."""

    label: Any
    lookup: str
    negated: bool = False
    fixed: tuple[Any, ...] = ()


_EMPTY = Condition(gettext_lazy("is empty"), "isnull", fixed=(True,))
_FILLED = Condition(gettext_lazy("is not empty"), "isnull", fixed=(False,))
_CHOICE = {
    "is": Condition(gettext_lazy("is"), "exact"),
    "is_not": Condition(gettext_lazy("is not"), "exact", negated=True),
    "empty": _EMPTY,
    "filled": _FILLED,
}
#: kind of field -> name -> condition
CONDITIONS: Mapping[str, Mapping[str, Condition]] = {
    "text": {
        "is": Condition(gettext_lazy("is"), "iexact"),
        "is_not": Condition(gettext_lazy("is not"), "iexact", negated=True),
        "contains": Condition(gettext_lazy("contains"), "icontains"),
        "starts": Condition(gettext_lazy("starts with"), "istartswith"),
        "empty": Condition(gettext_lazy("is empty"), "exact", fixed=("",)),
        "filled": Condition(gettext_lazy("is not empty"), "exact", negated=True, fixed=("",)),
    },
    "number": {
        "is": Condition(gettext_lazy("is"), "exact"),
        "is_not": Condition(gettext_lazy("is not"), "exact", negated=True),
        "less": Condition(gettext_lazy("is less than"), "lt"),
        "least": Condition(gettext_lazy("is at least"), "gte"),
        "empty": _EMPTY,
        "filled": _FILLED,
    },
    "date": {
        "before": Condition(gettext_lazy("is before"), "lt"),
        "since": Condition(gettext_lazy("is on or after"), "gte"),
        "empty": _EMPTY,
        "filled": _FILLED,
    },
    "boolean": {
        "yes": Condition(gettext_lazy("is yes"), "exact", fixed=(True,)),
        "no": Condition(gettext_lazy("is no"), "exact", fixed=(False,)),
    },
    "choice": _CHOICE,
    "relation": _CHOICE,
}


def to_q(tree: Any) -> Q:
    """The Q of a tree. Raises UnstorableQuery, in words for the person who built it."""
    match = tree.get("match") if isinstance(tree, dict) else None
    if match == "everyone":
        return Q()
    if match == "nobody":
        return Q(pk__in=[])
    return _group(tree, {field.path: field for field in audience_fields()}, 1)


def _group(tree: Any, fields: Mapping[str, AudienceField], depth: int) -> Q:
    if not isinstance(tree, dict) or tree.get("match") not in ("all", "any", "none"):
        raise UnstorableQuery(_("Choose who gets the message."))
    rows = tree.get("rows")
    if not isinstance(rows, list) or not rows:
        raise UnstorableQuery(_("Add at least one condition."))
    if depth > _MAX_DEPTH or len(rows) > _MAX_ROWS:
        raise UnstorableQuery(_("There are too many conditions."))
    if not all(isinstance(row, dict) for row in rows):
        raise UnstorableQuery(_("Choose a field in each condition."))
    parts = [_group(row, fields, depth + 1) if "match" in row else _row(row, fields) for row in rows]
    q = Q(*parts, _connector=Q.AND if tree["match"] == "all" else Q.OR)
    return ~q if tree["match"] == "none" else q


def _row(row: Mapping[str, Any], fields: Mapping[str, AudienceField]) -> Q:
    field = fields.get(str(row.get("field")))
    if field is None:
        raise UnstorableQuery(_("Choose a field in each condition."))
    condition = CONDITIONS[field.kind].get(str(row.get("is")))
    if condition is None:
        raise UnstorableQuery(_("Choose how %(field)s is compared.") % {"field": field.label})
    value = condition.fixed[0] if condition.fixed else _value(field, row.get("value"))
    q = Q((f"{field.path}__{condition.lookup}", value))
    return ~q if condition.negated else q


def _value(field: AudienceField, given: Any) -> Any:
    """What the person entered, as the column wants it."""
    text = str(given if given is not None else "").strip()
    if not text:
        raise UnstorableQuery(_("Enter a value for %(field)s.") % {"field": field.label})
    if field.kind == "date":
        try:
            day = parse_date(text)
        except ValueError:
            day = None
        if day is None or not 1 < day.year < 9999:  # further out, it cannot be told in every time zone
            raise UnstorableQuery(_("Enter a date for %(field)s.") % {"field": field.label})
        if not field.has_time:
            return day
        midnight = datetime.combine(day, time.min)
        # Only aware datetimes can be stored where the project uses time zones.
        return timezone.make_aware(midnight) if settings.USE_TZ else midnight
    if "\0" in text:
        raise UnstorableQuery(_("Enter a value for %(field)s.") % {"field": field.label})
    column = _column(field)
    try:
        value = column.to_python(text)
        if isinstance(column, DecimalField):
            column.run_validators(value)  # more digits than it has cannot be looked for
        _check_range(column, value)
        return value
    except ValidationError:
        raise UnstorableQuery(
            _("%(value)s is no value for %(field)s.") % {"value": text[:50], "field": field.label}
        ) from None


def _check_range(column: "Field[Any, Any]", value: Any) -> None:
    """Raises ValidationError for a number that its column cannot hold, which some databases refuse to look for."""
    if isinstance(value, float) and not isfinite(value):
        raise ValidationError("not finite")
    if isinstance(value, int) and isinstance(column, IntegerField):
        least, most = connection.ops.integer_field_range(column.get_internal_type())
        if (least is not None and value < least) or (most is not None and value > most):
            raise ValidationError("out of range")


def _column(field: AudienceField) -> "Field[Any, Any]":
    column: Any = field.column
    if isinstance(column, ForeignKey):
        return column.target_field
    if column.is_relation:
        return column.related_model._meta.pk
    return column


def from_q(q: Q) -> dict[str, Any] | None:
    """The tree that gives `q`, None where a person could not have built it (a program made it)."""
    if not q.children and not q.negated:
        return {"match": "everyone"}
    if q.children == [("pk__in", [])] and not q.negated:
        return dict(NOBODY)
    fields = {field.path: field for field in audience_fields()}
    return _tree(q, fields) or _tree(Q(q), fields)


def _tree(q: Q, fields: Mapping[str, AudienceField]) -> dict[str, Any] | None:
    if q.negated:
        if q.connector == Q.AND and len(q.children) == 1 and isinstance(q.children[0], Q):
            q = q.children[0]
        if q.connector != Q.OR and len(q.children) != 1:
            return None
        match = "none"
    else:
        match = "all" if q.connector == Q.AND else "any" if q.connector == Q.OR else ""
    rows = []
    for child in q.children:
        row = _row_of(child, fields)
        if row is None and isinstance(child, Q):
            row = _tree(child, fields)
        if row is None or not match:
            return None
        rows.append(row)
    return {"match": match, "rows": rows} if rows else None


def _row_of(child: Any, fields: Mapping[str, AudienceField]) -> dict[str, Any] | None:
    negated = False
    while isinstance(child, Q):
        if len(child.children) != 1:
            return None
        negated ^= child.negated
        child = child.children[0]
    path, value = child
    path, _sep, lookup = path.rpartition("__") if path not in fields else (path, "", "exact")
    if path not in fields and f"{path}__{lookup}" in fields:
        path, lookup = f"{path}__{lookup}", "exact"
    field = fields.get(path)
    if field is None:
        return None
    for name, condition in CONDITIONS[field.kind].items():
        if (condition.lookup, condition.negated) != (lookup, negated):
            continue
        if condition.fixed:
            if condition.fixed[0] == value and type(condition.fixed[0]) is type(value):
                return {"field": path, "is": name, "value": ""}
        elif isinstance(value, str | int | float) or hasattr(value, "isoformat"):
            return {"field": path, "is": name, "value": _entered(field, value)}
    return None


def _entered(field: AudienceField, value: Any) -> str:
    if isinstance(value, datetime):
        local = timezone.localtime(value) if timezone.is_aware(value) else value
        return local.date().isoformat()
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def words(tree: Mapping[str, Any]) -> str:
    """A tree as a sentence."""
    if tree["match"] == "everyone":
        return _("Everyone with an active account")
    if tree["match"] == "nobody":
        return _("Nobody yet")
    return _phrase(tree, {field.path: field for field in audience_fields()})


def _phrase(tree: Mapping[str, Any], fields: Mapping[str, AudienceField]) -> str:
    parts = []
    for row in tree["rows"]:
        if "match" in row:
            parts.append(f"({_phrase(row, fields)})")
            continue
        field = fields[row["field"]]
        shown = dict(field.choices()).get(row["value"], row["value"])
        parts.append(" ".join(filter(None, [field.label, str(CONDITIONS[field.kind][row["is"]].label), shown])))
    if tree["match"] == "none":
        return _("Not: %(conditions)s") % {"conditions": _(" or ").join(parts)}
    return (_(" and ") if tree["match"] == "all" else _(" or ")).join(parts)


def tree_of(stored: str) -> dict[str, Any] | None:
    """The tree of a stored query (JSON), None where there is none or it cannot be read."""
    try:
        return from_q(stored_query.load_query(stored))
    except UnresolvableQuery:
        return None


def parse_tree(text: str) -> Any:
    """JSON from the page. Raises UnstorableQuery for what is none, or holds what no database takes."""
    try:
        tree = json.loads(text, parse_constant=_no_number, object_pairs_hook=_no_key_twice)
        json.dumps(tree, ensure_ascii=False).encode()  # half a character (a lone surrogate) is none
    except (ValueError, RecursionError):
        tree = None
    if tree is None:
        raise UnstorableQuery(_("The audience cannot be read. Choose it anew."))
    return tree


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)
