"""Stored queries: a Q as canonical JSON and back, applied to the live database. Nothing is pickled or evaluated."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import EmptyResultSet, FieldError, FullResultSet, ValidationError
from django.db import Error
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from ..blame import Blame, blame
from ..exceptions import UnresolvableQuery, UnstorableQuery
from ..models.audience import PersistentQueryFilter
from ..people import has_activity

#: How a stored value of each type is read again; `_dump_value` writes them.
_READ: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": parse_duration,
    "decimal": Decimal,
    "uuid": UUID,
}


def create_from_q(model: type[Model], q: Q, description: str = "") -> PersistentQueryFilter:
    """The row for `q` over `model`; raises UnstorableQuery if it cannot be stored or does not fit the model."""
    text = dump_query(q)
    try:
        _compile(model, load_query(text))
    except UnresolvableQuery as error:
        raise UnstorableQuery(str(error)) from error
    row, _created = PersistentQueryFilter.objects.get_or_create(
        item_model=model._meta.label,
        sha1_hash=_sha1(text),
        defaults={"q_filter": text, "useful_name": description},
    )
    if description and row.useful_name != description:
        row.useful_name = description
        row.save(update_fields=["useful_name"])
    return row


def set_q(row: PersistentQueryFilter, q: Q, description: str = "") -> None:
    row.q_filter = dump_query(q)
    row.sha1_hash = _sha1(row.q_filter)
    if description:
        row.useful_name = description


def get_q(row: PersistentQueryFilter, restrict_to_active: bool = True) -> Q:
    q = load_query(row.q_filter)
    return q & Q(is_active=True) if restrict_to_active else q


def matching(row: PersistentQueryFilter, model: type[Model]) -> "QuerySet[Any]":
    if row.item_model != model._meta.label:
        said = _("Audience %(number)s finds %(found)s objects, not %(wanted)s.")
        raise UnresolvableQuery(said % {"number": row.pk, "found": row.item_model, "wanted": model._meta.label})
    return _compile(model, get_q(row, restrict_to_active=has_activity(model)))


def _compile(model: type[Model], q: Q) -> "QuerySet[Any]":
    """The objects that `q` selects, each once. A look-up that does not resolve shows here, not later."""
    try:
        # A subquery instead of DISTINCT: joins cannot repeat a row, and any column may be selected or ordered by.
        found = model._default_manager.filter(pk__in=model._default_manager.filter(q).order_by().values("pk"))
        str(found.query)
    except (EmptyResultSet, FullResultSet):
        return found
    except (FieldError, ValueError, TypeError, ValidationError) as error:
        said = _("The query does not fit %(model)s: %(error)s")
        raise UnresolvableQuery(said % {"model": model._meta.label, "error": error}) from error
    return found


@contextmanager
def answered() -> Iterator[None]:
    """Around where the objects that `matching` finds are read. Raises UnresolvableQuery where the database says what
    is wrong with the query; its own error where it says nothing at all now, which is no fault of the query."""
    try:
        yield
    except Error as error:
        if blame(error) is not Blame.OWN:
            raise
        said = _("The database cannot find this audience: %(error)s. A simpler query helps, or one with fewer values.")
        raise UnresolvableQuery(said % {"error": f"{type(error).__name__}: {error}".strip()}) from error


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def dump_query(q: Q) -> str:
    """`q` as canonical JSON: equal Qs give equal text. Raises UnstorableQuery that names the culprit.

    A query set given as a value is evaluated here: what is kept is the list of keys (or of the one
    column of its values_list) at this moment.
    """
    return json.dumps(_dump_q(q), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load_query(text: str) -> Q:
    """The Q in `text`. Raises UnresolvableQuery if it is no such JSON."""
    try:
        return _load_q(json.loads(text))
    except (ValueError, TypeError, KeyError, LookupError, ArithmeticError, RecursionError) as error:
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
