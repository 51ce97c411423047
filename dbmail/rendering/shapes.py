"""The shape of a Python object as a template sees it; of a shape that is not known to be harmless it shows nothing."""

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


class Shape(Enum):
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
def shape_of(cls: type) -> Shape:
    if issubclass(cls, Screen):
        return Shape.SHOWN
    if issubclass(cls, _PLAIN):
        return Shape.PLAIN
    if issubclass(cls, Model):
        return Shape.MODEL
    if issubclass(cls, QuerySet | BaseManager):
        return Shape.QUERY
    if issubclass(cls, File):
        return Shape.FILE
    if issubclass(cls, Promise | PathLike):
        return Shape.TEXT
    if issubclass(cls, LazyObject):
        return Shape.NEVER if issubclass(cls, LazySettings) else Shape.LAZY
    if issubclass(cls, EnumMeta):
        return Shape.ENUM
    if issubclass(cls, Mapping):
        return Shape.MAPPING
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return Shape.ROW
    if issubclass(cls, (type, *_NEVER)):
        return Shape.NEVER
    package = cls.__module__.partition(".")[0]
    if issubclass(cls, Iterator) and package in ("builtins", "itertools", "collections"):
        return Shape.ITERATOR
    if issubclass(cls, (list, tuple, Set, ValuesView, deque)):
        return Shape.LIST
    if package == "django" or (package in sys.stdlib_module_names and package not in _DATA_MODULES):
        return Shape.NEVER
    return Shape.OBJECT
