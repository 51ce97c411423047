"""The two statements that run for every mail, written by hand: Django's ORM would take longer over them than all the
rest of the work (docs/performance.md has the figures)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import connection, models
from django.utils import timezone

from ..models import TextOfEmail

# Kinds of fields whose values every database driver takes as they are.
_AS_THEY_ARE = (models.CharField, models.TextField, models.IntegerField, models.BooleanField)


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert `rows`, each the values of the fields `names` in this order. Every other field must have a value
    of its own in the database, as a primary key has."""
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    prepare = [(index, _preparation(field)) for index, field in enumerate(fields)]
    needed = [(index, function) for index, function in prepare if function]
    values = [list(row) for row in rows]
    for row in values:
        for index, function in needed:
            row[index] = function(row[index])
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places})",  # noqa: S608 - names only
                values,
            )


def _preparation(field: Any) -> Callable[[Any], Any] | None:
    """What makes a value of `field` into one for the database; None if it is one already."""
    if isinstance(field, models.ForeignKey):
        return _preparation(field.target_field)
    if isinstance(field, _AS_THEY_ARE):
        return None
    return lambda value: None if value is None else field.get_db_prep_save(value, connection=connection)


def mark_sent(ids: Sequence[int]) -> None:
    """Without a look at who holds the claim: that a mail was sent is a fact, also after a lease ran out."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {connection.ops.quote_name(TextOfEmail._meta.db_table)} "  # noqa: S608 - names only
            "SET state = %s, sent = %s, last_reply = '', claimed_by = '', claimed_until = NULL "
            f"WHERE id IN ({', '.join(['%s'] * len(ids))})",
            [TextOfEmail.State.SENT.value, now, *ids],
        )
