"""What kind of thing a Python object is to a template; of a kind that is not known to be harmless it shows nothing."""

import datetime
import decimal
import sys
import types
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Set, ValuesView
from enum import Enum, EnumMeta
from functools import lru_cache
from os import PathLike

from django.conf import LazySettings
from django.core.files.base import File
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.utils.functional import LazyObject, Promise

_PLAIN = (
    str,
    bytes,
    int,
    float,
    complex,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    uuid.UUID,
    type(None),
    range,
)
_NEVER = (
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.CodeType,
    types.CoroutineType,
    types.FrameType,
    types.TracebackType,
    property,
    staticmethod,
    classmethod,
    memoryview,
    super,
)
# Objects of the standard library that hold data only. Others (sockets, processes, files) are not shown.
_DATA_MODULES = frozenset(["builtins", "collections", "fractions", "ipaddress", "types", "zoneinfo", "enum"])


class Screen:
    """Base of what stands before an object that templates must not hold themselves."""

    __slots__ = ()


class Kind(Enum):
    PLAIN = "text, numbers, dates: shown as they are"
    SHOWN = "already behind a Shown"
    MODEL = "a model instance: fields, relations, the project's own methods"
    QUERY = "a query set or manager: methods that read"
    FILE = "a file of a model: its name, never its content"
    MAPPING = "a mapping: a copy without secret keys"
    ROW = "a named tuple: a copy without secret fields"
    LIST = "a list, tuple or set: a copy, each item guarded"
    ITERATOR = "read once, each item guarded"
    TEXT = "a lazy translation or a path: its text"
    LAZY = "a lazy object: what it stands for"
    ENUM = "an enumeration class: its members"
    OBJECT = "any other object: behind a Shown"
    NEVER = "not shown"


@lru_cache(maxsize=1024)
def kind_of(cls: type) -> Kind:
    if issubclass(cls, Screen):
        return Kind.SHOWN
    if issubclass(cls, _PLAIN):
        return Kind.PLAIN
    if issubclass(cls, Model):
        return Kind.MODEL
    if issubclass(cls, QuerySet | BaseManager):
        return Kind.QUERY
    if issubclass(cls, File):
        return Kind.FILE
    if issubclass(cls, Promise | PathLike):
        return Kind.TEXT
    if issubclass(cls, LazyObject):
        return Kind.NEVER if issubclass(cls, LazySettings) else Kind.LAZY
    if issubclass(cls, EnumMeta):
        return Kind.ENUM
    if issubclass(cls, Mapping):
        return Kind.MAPPING
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return Kind.ROW
    if issubclass(cls, (type, *_NEVER)):
        return Kind.NEVER
    package = cls.__module__.partition(".")[0]
    if issubclass(cls, Iterator) and package in ("builtins", "itertools", "collections"):
        return Kind.ITERATOR
    if issubclass(cls, (list, tuple, Set, ValuesView, deque)):
        return Kind.LIST
    if package == "django" or (package in sys.stdlib_module_names and package not in _DATA_MODULES):
        return Kind.NEVER
    return Kind.OBJECT
