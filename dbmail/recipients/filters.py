"""Stored queries: made, read, and applied to the live database."""

import hashlib
from typing import Any

from django.core.exceptions import EmptyResultSet, FieldDoesNotExist, FieldError, FullResultSet, ValidationError
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from ..exceptions import UnresolvableQuery, UnstorableQuery
from ..models.filters import PersistentQueryFilter
from . import query_json


def create_from_q(model: type[Model], q: Q, description: str = "") -> PersistentQueryFilter:
    """The row for `q` over `model`; raises UnstorableQuery if it cannot be stored or does not fit the model."""
    text = query_json.dump(q)
    try:
        _compile(model, query_json.load(text))
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
    row.q_filter = query_json.dump(q)
    row.sha1_hash = _sha1(row.q_filter)
    if description:
        row.useful_name = description


def get_q(row: PersistentQueryFilter, restrict_to_active: bool = True) -> Q:
    q = query_json.load(row.q_filter)
    return q & Q(is_active=True) if restrict_to_active else q


def matching(row: PersistentQueryFilter, model: type[Model]) -> "QuerySet[Any]":
    if row.item_model != model._meta.label:
        said = _("Audience %(number)s finds %(found)s objects, not %(wanted)s.")
        raise UnresolvableQuery(said % {"number": row.pk, "found": row.item_model, "wanted": model._meta.label})
    return _compile(model, get_q(row, restrict_to_active=_has_activity(model)))


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


def _has_activity(model: type[Model]) -> bool:
    try:
        model._meta.get_field("is_active")
    except FieldDoesNotExist:
        return False
    return True


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
