"""What a template may see of a Python object. Every look-up, on every kind of object, comes through here.

The rule is a list of what is shown, not of what is hidden: a value of a kind that is not known to be
harmless (a module, a class, a function, a file, a database connection) is as if it were not there.
Rows that a text must not read are more than that, an error: whoever wrote the text has to hear of it.
"""

import types
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from inspect import iscoroutinefunction, signature
from itertools import islice
from typing import Any

from django.core.files.base import File
from django.db.models import Manager, Model, QuerySet
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesIterable,
    ValuesListIterable,
)
from django.utils.functional import empty
from django.utils.translation import gettext as _

from ..conf import config
from ..exceptions import RenderFailed
from .names import is_hidden
from .relations import Way, closed, is_closed, refusal, shut, static_attribute, way_of
from .shapes import Screen, Shape, shape_of

#: What a text may ask of a file.
_FILE_NAMES = frozenset(["name", "size", "url"])
#: What a text may ask of an enumeration class, besides its members.
_ENUM_NAMES = frozenset(["choices", "labels", "names", "values"])
#: The methods of a query that a text may call.
_QUERY_READS = frozenset(
    ["all", "count", "distinct", "earliest", "exists", "first", "last", "latest", "none", "ordered", "reverse"]
)
#: Every name that Django itself gives to queries and managers.
_QUERY_NAMES = frozenset(dir(QuerySet)) | frozenset(dir(Manager))
#: Methods that a relation's manager has besides those; all of them write.
_RELATED_WRITES = frozenset(["add", "clear", "create", "get_or_create", "remove", "set", "update_or_create"])
_QUERY_NEVER = _QUERY_NAMES | _RELATED_WRITES | {f"a{name}" for name in _RELATED_WRITES}
_LONGEST_ITERATION = 10_000
# The modules of lists whose methods Python or Django wrote, also for classes of the project's that come from them.
_LIST_MODULES = frozenset(["builtins", "collections", "collections.abc"])
#: Stands for every account while the text is shown to anybody: see `public.py`. None where it goes to a recipient.
STAND_IN: ContextVar[Any] = ContextVar("dbmail_stand_in", default=None)


class Missing(Exception):
    """There is no such thing, or none that a template may see. Django's templates show it as empty."""

    silent_variable_failure = True


class Refused(Exception):
    """There is such a thing, and no text may read it. The message says so to whoever wrote the text."""


def guard(value: Any) -> Any:
    """`value` in a form that can be printed, looped over and given to filters. Raises Missing."""
    shape = shape_of(type(value))
    if shape is Shape.PLAIN or shape is Shape.SHOWN or shape is Shape.ENUM:
        return value
    if shape is Shape.MODEL:
        return _row(value)
    if shape is Shape.QUERY:
        _check_query(value)
        return Rows(value) if _has_models(value) else _values(value)
    if shape is Shape.TEXT:
        return str(value)
    if shape is Shape.LAZY:
        return guard(_awake(value))
    if shape is Shape.MAPPING:
        return {key: item for key, item in _guarded_pairs(value.items()) if not _is_hidden_key(key)}
    if shape is Shape.ROW:
        named = zip(value._fields, _each(value), strict=True)
        return value._make(None if is_hidden(name) else item for name, item in named)
    if shape is Shape.LIST:
        return list(_each(value)) if not isinstance(value, tuple) else tuple(_each(value))
    if shape is Shape.ITERATOR:
        return _few(value)
    if shape in (Shape.OBJECT, Shape.FILE):
        return Shown(value)
    raise Missing(f"A {type(value).__name__} is not shown in mail.")


def look_up(value: Any, name: str) -> Any:
    """The item or attribute `name` of `value`, called if it is a method without arguments.

    The answer is not guarded yet: it is for the next look-up or for `guard`. Raises Missing, and
    whatever a property or method of the project raises.
    """
    if is_hidden(name):
        raise Missing(f"{name!r} is not shown in mail.")
    return find(value, name)


def find(value: Any, name: str) -> Any:
    """`look_up` of a name that is known not to be hidden."""
    shape = shape_of(type(value))
    if shape is Shape.SHOWN:
        return value._find(name)
    if shape is Shape.MODEL:
        return _find_on_row(value, name)
    if shape is Shape.LAZY:
        return find(_awake(value), name)
    if shape is Shape.QUERY:
        return _look_up_query(value, name)
    if shape is Shape.MAPPING:
        for key in (name, _number(name)):
            if key is not None and key in value:
                return call(value[key])
    if shape in (Shape.LIST, Shape.PLAIN) and isinstance(value, Sequence) and (number := _number(name)) is not None:
        return _item(value, number)
    if shape is Shape.ITERATOR:
        raise Missing("What is read once has no names in mail.")
    if shape in (Shape.MAPPING, Shape.ROW, Shape.LIST, Shape.TEXT):
        # Their methods (items, values, count) answer for the guarded copy, not for what it leaves out.
        if shape is Shape.ROW and name in value._fields:
            return call(getattr(value, name))
        safe = guard(value)
        if (number := _number(name)) is not None:
            return _item(safe, number)
        # A project's own list may have attributes beside its items.
        is_own = shape is Shape.LIST and not hasattr(safe, name) and _is_own_of_list(value, name)
        return call(_attribute(value if is_own else safe, name))
    if shape is Shape.NEVER or (shape is Shape.FILE and name not in _FILE_NAMES):
        raise Missing(f"{name!r} of a {type(value).__name__} is not shown in mail.")
    if shape is Shape.ENUM and name not in _ENUM_NAMES and name not in value.__members__:
        raise Missing(f"{value.__name__} has no member {name!r}.")
    if shape is Shape.OBJECT and (number := _number(name)) is not None and hasattr(type(value), "__getitem__"):
        return _item(value, number)
    return call(_attribute(value, name))


def call(value: Any) -> Any:
    """What `value` returns if it is a function or method that needs no argument and alters no data."""
    if (
        type(value) is str
        or not callable(value)
        or shape_of(type(value)) in (Shape.SHOWN, Shape.MODEL, Shape.QUERY, Shape.ENUM)
    ):
        return value
    if isinstance(value, type) or getattr(value, "alters_data", False):
        raise Missing(f"{getattr(value, '__name__', value)!s} is not called by mail.")
    if getattr(value, "do_not_call_in_templates", False):
        return value
    if iscoroutinefunction(value):
        raise Missing("An async method is not called by mail.")
    try:
        return value()
    except TypeError:
        try:
            signature(value).bind()
        except (TypeError, ValueError):  # it needs arguments, or does not say
            raise Missing("A method that needs arguments is not called by mail.") from None
        raise


class Shown(Screen):
    """An object that templates see: attributes by `look_up`, its text by its own `__str__` only."""

    __slots__ = ("_object",)

    def __init__(self, value: Any) -> None:
        self._object = value

    def _find(self, name: str) -> Any:
        return find(self._object, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return guard(look_up(self, name))
        except (Missing, Refused) as error:
            raise AttributeError(str(error)) from None

    def __str__(self) -> str:
        shown = self._object
        shape = shape_of(type(shown))
        if shape not in (Shape.OBJECT, Shape.FILE, Shape.MODEL):
            return str(guard(shown))
        # A table that no text reads may still have rows that say themselves what a text sees of them: the broadcast.
        if shape is Shape.MODEL and not (is_closed(type(shown)) and hasattr(shown, "get_msg_vars")):
            return str(_row(shown))
        # Without a text of its own an object shows its repr: an address, or all fields of a dataclass.
        return "" if type(shown).__str__ is object.__str__ else str(shown)

    __repr__ = __str__

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self._object, File):
            raise TypeError(_("The content of a file is not shown in mail."))
        return _few(iter(self._object))

    def __reversed__(self) -> Iterator[Any]:
        return reversed(list(self))

    def __len__(self) -> int:
        return len(self._object)

    def __bool__(self) -> bool:
        return bool(self._object)

    def __eq__(self, other: object) -> bool:
        return bool(self._object == (other._object if isinstance(other, Shown) else other))

    def __hash__(self) -> int:
        return hash(self._object)


class Rows(Shown):
    """A query of models: what it can be asked, and its rows, of which no more are read than a mail may have."""

    __slots__ = ("_read",)

    def __init__(self, query: Any) -> None:
        super().__init__(query)
        self._read: list[Any] | None = None

    def _find(self, name: str) -> Any:
        return _look_up_query(self._object, name)

    @property
    def _first(self) -> list[Any]:
        """One row more than a mail may have, if there is one."""
        if self._read is None:
            self._read = _first_rows(self._query)
        return self._read

    @property
    def _query(self) -> Any:
        return self._object if isinstance(self._object, QuerySet) else self._object.all()

    def __iter__(self) -> Iterator[Any]:
        return iter(_checked(self._first))

    def __len__(self) -> int:
        return len(_checked(self._first))

    def __bool__(self) -> bool:
        return bool(self._first)

    def __getitem__(self, index: Any) -> Any:
        first = index.start if isinstance(index, slice) else index
        last = index.stop if isinstance(index, slice) else index
        forward = last is not None and min(first or 0, last) >= 0 and getattr(index, "step", None) is None
        if not forward:
            return _checked(self._first)[index]
        if self._read is not None and last < len(self._read):
            return self._read[index]
        found = self._query[index]
        return Rows(found) if isinstance(found, QuerySet) else guard(found)

    def __str__(self) -> str:
        return f"<QuerySet {self._first[:20]}>"

    __repr__ = __str__

    def __contains__(self, item: object) -> bool:
        item = item._object if isinstance(item, Shown) else item
        if item in self._first or len(self._first) <= config().text_limits.rows:
            return item in self._first
        return bool(self._query.contains(item))


def _row(value: Any) -> Any:
    """A model instance as it is, if a text may read its table. Raises Refused."""
    if is_closed(type(value)):
        raise Refused(closed(type(value)))
    return as_seen(value)


def as_seen(value: Any) -> Any:
    """`value`, or what stands for every account where anybody reads."""
    stand_in = STAND_IN.get()
    return stand_in if stand_in is not None and isinstance(value, type(stand_in)) else value


def _find_on_row(row: Any, name: str) -> Any:
    model = type(row)
    way = way_of(model, name)
    if way is Way.SHUT or way is Way.CLOSED:
        raise Refused(refusal(model, name))
    if way is Way.HIDDEN:
        raise Missing(f"{name!r} of a model is not shown in mail.")
    if STAND_IN.get() is not None:
        if way is Way.BACK:
            raise Missing(f"{name!r} is not shown to everybody.")
        row = as_seen(row)
    found = call(_attribute(row, name))
    if way is Way.OTHER and shape_of(type(found)) is Shape.QUERY:
        raise Refused(shut(model, name))
    return found


def _check_query(query: Any) -> None:
    """Raises Refused or Missing if no text may ask this query anything."""
    if query.model is not None and is_closed(query.model):
        raise Refused(closed(query.model))
    if STAND_IN.get() is not None:
        raise Missing("Rows of a query are not shown to everybody.")


def _has_models(query: Any) -> bool:
    return not isinstance(query, QuerySet) or query._iterable_class is ModelIterable


def _look_up_query(query: Any, name: str) -> Any:
    _check_query(query)
    if not _has_models(query):
        return find(_values(query), name)
    number = _number(name)
    if number is not None and isinstance(query, QuerySet):
        return _item(query, number)
    if name not in _QUERY_READS and (name in _QUERY_NEVER or not _is_own_method(query, name)):
        raise Missing(f"{name!r} of a query is not shown in mail.")
    return call(_attribute(query, name))


def _is_own_method(query: Any, name: str) -> bool:
    """Whether the project wrote this method, on its manager or on its query set."""
    classes = type(query).__mro__ + getattr(query, "_queryset_class", object).__mro__
    return any(
        isinstance(vars(cls).get(name), types.FunctionType) and not cls.__module__.startswith("django.")
        for cls in classes
    )


def _values(query: "QuerySet[Any]") -> list[Any]:
    """Rows of values without their secret columns."""
    if query._iterable_class in (ValuesIterable, NamedValuesListIterable):
        return _checked(_first_rows(query))
    sql = query.query
    columns = [*sql.extra_select, *sql.values_select, *sql.annotation_select, *(query._fields or ())]  # type: ignore[attr-defined]
    if query._iterable_class not in (ValuesListIterable, FlatValuesListIterable) or any(
        is_hidden(part) for column in columns for part in str(column).split("__") if part
    ):
        raise Missing("A list of values with a secret column is not shown in mail.")
    return _checked(_first_rows(query))


def _first_rows(query: Any) -> list[Any]:
    """One row more than a mail may have, if there is one: so much is read, however many there are."""
    rows = query._result_cache
    return list(_each((query if rows is None else rows)[: config().text_limits.rows + 1]))


def _checked(rows: list[Any]) -> list[Any]:
    limit = config().text_limits.rows
    if len(rows) > limit:
        said = _(
            "Rendering was stopped: a query has more than %(limit)d rows. Show fewer of them, or have a programmer "
            'raise DBMAIL["TEXT_LIMITS"]["ROWS"].'
        )
        raise RenderFailed(said % {"limit": limit})
    return rows


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        # An AttributeError from inside a property is a fault to report, not a missing name.
        if isinstance(static_attribute(type(value), name), property):
            raise
        raise Missing(f"A {type(value).__name__} has no {name!r}.") from None


def _is_own_of_list(value: Any, name: str) -> bool:
    """Whether the project wrote this attribute of its own kind of list; what Python wrote may change the list."""
    written = [base for base in type(value).__mro__ if name in vars(base)]
    return written[0].__module__ not in _LIST_MODULES if written else True


def _item(value: Any, number: int) -> Any:
    try:
        return call(value[number])
    except (IndexError, KeyError, TypeError):
        raise Missing(f"There is no item {number}.") from None


def _number(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdigit() and len(name) < 10 else None


def _is_hidden_key(key: Any) -> bool:
    return is_hidden(key) if isinstance(key, str) else shape_of(type(key)) is not Shape.PLAIN


def _guarded_pairs(pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    for key, item in pairs:
        try:
            yield key, guard(item)
        except Missing:
            continue


def _each(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        try:
            yield guard(item)
        except Missing:
            yield None


def _few(items: Iterator[Any]) -> Iterator[Any]:
    yield from _each(islice(items, _LONGEST_ITERATION))
    if next(items, items) is not items:
        raise RenderFailed(_("A loop over more than %(limit)d items was stopped.") % {"limit": _LONGEST_ITERATION})


def _awake(value: Any) -> Any:
    if value._wrapped is empty:
        value._setup()
    return value._wrapped


def has_name(model: type[Model], name: str) -> bool:
    """Whether a template finds `name` on instances of `model`, as far as the class can tell."""
    if hasattr(model, "get_msg_vars"):
        return True  # it answers for names of its own
    return hasattr(model, name) and not is_hidden(name) and way_of(model, name) is not Way.HIDDEN
