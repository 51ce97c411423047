"""What a template may see of a Python object. Every look-up, on every kind of object, comes through here.

The rule is a list of what is shown, not of what is hidden: a value of a kind that is not known to be
harmless (a module, a class, a function, a file, a database connection) is as if it were not there.
"""

import types
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from inspect import iscoroutinefunction, signature
from itertools import islice
from typing import Any

from django.core.files.base import File
from django.db.models import Manager, Model, QuerySet
from django.db.models.manager import ManagerDescriptor
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesIterable,
    ValuesListIterable,
)
from django.utils.functional import empty
from django.utils.translation import gettext as _

from ..exceptions import RenderFailed
from .kinds import Kind, Screen, kind_of
from .names import is_hidden

_FILE_NAMES = frozenset(["name", "size", "url"])
_ENUM_NAMES = frozenset(["choices", "labels", "names", "values"])
# Model's own methods are for programs: refresh_from_db, full_clean, save and so on.
_MODEL_NAMES = frozenset(dir(Model)) - {"pk"}
_QUERY_READS = frozenset(
    ["all", "count", "distinct", "earliest", "exists", "first", "last", "latest", "none", "ordered", "reverse"]
)
_QUERY_NAMES = frozenset(dir(QuerySet)) | frozenset(dir(Manager))
_RELATED_WRITES = frozenset(["add", "clear", "create", "get_or_create", "remove", "set", "update_or_create"])
_QUERY_NEVER = _QUERY_NAMES | _RELATED_WRITES | {f"a{name}" for name in _RELATED_WRITES}
_LONGEST_ITERATION = 100_000


class Missing(Exception):
    """There is no such thing, or none that a template may see. Django's templates show it as empty."""

    silent_variable_failure = True


def guard(value: Any) -> Any:
    """`value` in a form that can be printed, looped over and given to filters. Raises Missing."""
    kind = kind_of(type(value))
    if kind in (Kind.PLAIN, Kind.SHOWN, Kind.MODEL, Kind.ENUM):
        return value
    if kind is Kind.QUERY:
        return _rows(value) if isinstance(value, QuerySet) else value
    if kind is Kind.TEXT:
        return str(value)
    if kind is Kind.LAZY:
        return guard(_awake(value))
    if kind is Kind.MAPPING:
        return {key: item for key, item in _guarded_pairs(value.items()) if not _is_hidden_key(key)}
    if kind is Kind.ROW:
        named = zip(value._fields, _each(value), strict=True)
        return value._make(None if is_hidden(name) else item for name, item in named)
    if kind is Kind.LIST:
        return list(_each(value)) if not isinstance(value, tuple) else tuple(_each(value))
    if kind is Kind.ITERATOR:
        return _few(value)
    if kind in (Kind.OBJECT, Kind.FILE):
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
    kind = kind_of(type(value))
    if kind is Kind.SHOWN:
        return value._find(name)
    if kind is Kind.MODEL:
        if _is_for_programs(type(value), name):
            raise Missing(f"{name!r} of a model is not shown in mail.")
        return call(_attribute(value, name))
    if kind is Kind.LAZY:
        return find(_awake(value), name)
    if kind is Kind.QUERY:
        return _look_up_query(value, name)
    if kind is Kind.MAPPING:
        for key in (name, _number(name)):
            if key is not None and key in value:
                return call(value[key])
    if kind in (Kind.LIST, Kind.PLAIN) and isinstance(value, Sequence) and (number := _number(name)) is not None:
        return _item(value, number)
    if kind in (Kind.MAPPING, Kind.ROW, Kind.LIST, Kind.ITERATOR, Kind.TEXT):
        # Their methods (items, values, count) answer for the guarded copy, not for what it leaves out.
        if kind is Kind.ROW and name in value._fields:
            return call(getattr(value, name))
        safe = guard(value)
        if (number := _number(name)) is not None:
            return _item(safe, number)
        # A project's own list may have attributes beside its items.
        return call(_attribute(value if kind is Kind.LIST and not hasattr(safe, name) else safe, name))
    if kind is Kind.NEVER or (kind is Kind.FILE and name not in _FILE_NAMES):
        raise Missing(f"{name!r} of a {type(value).__name__} is not shown in mail.")
    if kind is Kind.ENUM and name not in _ENUM_NAMES and name not in value.__members__:
        raise Missing(f"{value.__name__} has no member {name!r}.")
    if kind is Kind.OBJECT and (number := _number(name)) is not None and hasattr(type(value), "__getitem__"):
        return _item(value, number)
    return call(_attribute(value, name))


def call(value: Any) -> Any:
    """What `value` returns if it is a function or method that needs no argument and alters no data."""
    if (
        type(value) is str
        or not callable(value)
        or kind_of(type(value)) in (Kind.SHOWN, Kind.MODEL, Kind.QUERY, Kind.ENUM)
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
        except Missing as error:
            raise AttributeError(str(error)) from None

    def __str__(self) -> str:
        shown = self._object
        if kind_of(type(shown)) not in (Kind.OBJECT, Kind.FILE, Kind.MODEL):
            return str(guard(shown))
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


def _look_up_query(query: Any, name: str) -> Any:
    if isinstance(query, QuerySet) and query._iterable_class is not ModelIterable:
        return find(_rows(query), name)
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


def _rows(query: "QuerySet[Any]") -> Any:
    """A query set of models as it is; rows of values without their secret columns."""
    if query._iterable_class is ModelIterable:
        return query
    if query._iterable_class in (ValuesIterable, NamedValuesListIterable):
        return list(_each(query))
    sql = query.query
    columns = [*sql.extra_select, *sql.values_select, *sql.annotation_select, *(query._fields or ())]  # type: ignore[attr-defined]
    if query._iterable_class not in (ValuesListIterable, FlatValuesListIterable) or any(
        is_hidden(part) for column in columns for part in str(column).split("__") if part
    ):
        raise Missing("A list of values with a secret column is not shown in mail.")
    return list(_each(query))


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        # An AttributeError from inside a property is a fault to report, not a missing name.
        if isinstance(_static(type(value), name), property):
            raise
        raise Missing(f"A {type(value).__name__} has no {name!r}.") from None


@lru_cache(maxsize=4096)
def _is_for_programs(model: type[Model], name: str) -> bool:
    """Whether `name` is one of Model's own methods, or a manager."""
    return name in _MODEL_NAMES or isinstance(_static(model, name), ManagerDescriptor)


def _static(cls: type, name: str) -> Any:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _item(value: Any, number: int) -> Any:
    try:
        return call(value[number])
    except (IndexError, KeyError, TypeError):
        raise Missing(f"There is no item {number}.") from None


def _number(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdigit() and len(name) < 10 else None


def _is_hidden_key(key: Any) -> bool:
    return is_hidden(key) if isinstance(key, str) else kind_of(type(key)) is not Kind.PLAIN


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
    return hasattr(model, name) and not is_hidden(name) and not _is_for_programs(model, name)
