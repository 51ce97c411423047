"""A Q as canonical JSON and back. Nothing is pickled, nothing is evaluated.

A Q is {"connector", "negated", "children"}; a child is another such object or [look-up, value].
A value that JSON lacks is {"type": ..., "value": ...}.
"""

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from ..exceptions import UnresolvableQuery, UnstorableQuery

_READ: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": parse_duration,
    "decimal": Decimal,
    "uuid": UUID,
}


def dump(q: Q) -> str:
    """`q` as canonical JSON: equal Qs give equal text. Raises UnstorableQuery that names the culprit.

    A query set given as a value is evaluated here: what is kept is the list of keys (or of the one
    column of its values_list) at this moment.
    """
    return json.dumps(_dump_q(q), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load(text: str) -> Q:
    """The Q in `text`. Raises UnresolvableQuery if it is no such JSON."""
    try:
        return _load_q(json.loads(text))
    except (ValueError, TypeError, KeyError, LookupError, ArithmeticError) as error:
        raise UnresolvableQuery(_("The stored query cannot be read: %(error)s") % {"error": error}) from error


def _dump_q(q: Q) -> dict[str, Any]:
    children: list[Any] = []
    for child in q.children:
        if isinstance(child, Q):
            children.append(_dump_q(child))
        elif isinstance(child, tuple) and len(child) == 2 and isinstance(child[0], str):
            children.append([child[0], _dump_value(child[0], child[1])])
        else:
            said = _("A %(type)s cannot be stored in a query; use look-ups and values.")
            raise UnstorableQuery(said % {"type": type(child).__name__})
    return {"connector": q.connector, "negated": q.negated, "children": children}


def _dump_value(lookup: str, value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Promise):
        value = str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        said = _("%(lookup)s=%(value)r cannot be stored: JSON has no such number.")
        raise UnstorableQuery(said % {"lookup": lookup, "value": value})
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Model):
        if value.pk is None:
            said = _("%(lookup)s=%(value)r cannot be stored: save that object first.")
            raise UnstorableQuery(said % {"lookup": lookup, "value": value})
        return _dump_value(lookup, value.pk)
    if isinstance(value, QuerySet):
        # One column only: a row of several could not stand in a look-up either.
        flat = [row if not isinstance(row, tuple) else row[0] if len(row) == 1 else row for row in value]
        return [_dump_value(lookup, row) for row in flat]
    if isinstance(value, set | frozenset):
        return sorted((_dump_value(lookup, item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, list | tuple | range):
        return [_dump_value(lookup, item) for item in value]
    if isinstance(value, datetime):
        if settings.USE_TZ and timezone.is_naive(value):
            said = _("%(lookup)s=%(value)r cannot be stored: give the datetime a time zone.")
            raise UnstorableQuery(said % {"lookup": lookup, "value": value})
        return {"type": "datetime", "value": value.isoformat()}
    if isinstance(value, date | time):
        return {"type": "date" if isinstance(value, date) else "time", "value": value.isoformat()}
    if isinstance(value, timedelta):
        return {"type": "timedelta", "value": duration_iso_string(value)}
    if isinstance(value, Decimal | UUID):
        return {"type": type(value).__name__.lower(), "value": str(value)}
    said = _("%(lookup)s holds a %(type)s, which cannot be stored; give the value itself, not an expression.")
    raise UnstorableQuery(said % {"lookup": lookup, "type": type(value).__name__})


def _load_q(stored: dict[str, Any]) -> Q:
    if stored["connector"] not in (Q.AND, Q.OR, Q.XOR) or not isinstance(stored["negated"], bool):
        raise ValueError(_("%(value)r is not a connector") % {"value": stored["connector"]})
    children: list[Any] = []
    for child in stored["children"]:
        if isinstance(child, dict):
            children.append(_load_q(child))
        else:
            lookup, value = child
            if not isinstance(lookup, str):
                raise TypeError(_("%(value)r is not a look-up") % {"value": lookup})
            children.append((lookup, _load_value(value)))
    # Set by hand: Q(*children) takes no negation of a query without children.
    restored = Q()
    restored.children = children
    restored.connector = stored["connector"]
    restored.negated = stored["negated"]
    return restored


def _load_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_load_value(item) for item in value]
    if isinstance(value, dict):
        return _READ[value["type"]](value["value"])
    return value
