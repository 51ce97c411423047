"""The kinds of value that a setting can have: each says what it is called, takes a value, and says what is wrong.

A kind knows nothing of the setting that has it: `whole().read("4")` raises WrongValue("A whole number is needed, not
"4".", write="4"), and dbmail.conf.reading puts the name in front.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from django.utils.dateparse import parse_duration
from django.utils.functional import Promise
from django.utils.text import slugify
from django.utils.translation import gettext as _

from ..exceptions import WrongValue
from ..rates import Rates, parse_rates
from .suggest import as_python, nearest, shortly

T = TypeVar("T")

#: Nothing is counted or waited for beyond these; larger values would break dates and columns of the database.
_MOST = 1_000_000_000
_LONGEST = timedelta(days=36_500)
_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_CATEGORY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
#: A layout and a category are columns of this length.
_LONGEST_NAME = 64
_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """`type` is what the table of settings calls it; `read` returns the value, tidied, or raises WrongValue."""

    type: str
    read: Callable[[Any], T]


def whole(least: int = 1) -> Kind[int]:
    """A whole number, at least `least`."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            number = _number(value)
            write = as_python(int(number)) if number is not None and number >= least else ""
            raise WrongValue(_("A whole number is needed, not %(value)s.") % {"value": shortly(value)}, write)
        if value < least:
            said = _("At least %(least)s is needed, not %(value)s.")
            raise WrongValue(said % {"least": least, "value": shortly(value)}, as_python(least))
        if value > _MOST:
            said = _("At most %(most)s is possible, not %(value)s.")
            raise WrongValue(said % {"most": as_python(_MOST), "value": shortly(value)}, as_python(_MOST))
        return value

    return Kind("int", read)


def seconds(*, least: float = 0.0, below: float = math.inf) -> Kind[float]:
    """A number of seconds, at least `least` and less than `below`."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            number = value.total_seconds() if isinstance(value, timedelta) else _number(value)
            write = "" if number is None else as_python(number)
            raise WrongValue(_("A number of seconds is needed, not %(value)s.") % {"value": shortly(value)}, write)
        if not least <= value < min(below, _MOST):
            said = _("At least %(least)s and less than %(below)s seconds are needed, not %(value)s.")
            raise WrongValue(said % {"least": least, "below": min(below, _MOST), "value": shortly(value)})
        return float(value)

    return Kind("float (seconds)", read)


def share() -> Kind[float]:
    """A part of a whole: 0.1 is a tenth."""

    def read(value: Any) -> float:
        number = _number(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            if number is not None and 1 < number < 100:
                number /= 100  # meant as per cent
            write = as_python(number) if number is not None and 0 <= number < 1 else ""
            said = _("A share from 0 to less than 1 is needed, such as 0.1 for a tenth, not %(value)s.")
            raise WrongValue(said % {"value": shortly(value)}, write)
        return float(value)

    return Kind("float (0 to 1)", read)


def duration() -> Kind[timedelta]:
    """A timedelta, longer than nothing."""

    def read(value: Any) -> timedelta:
        if not isinstance(value, timedelta):
            said = _("A timedelta is needed, not %(value)s.")
            raise WrongValue(said % {"value": shortly(value)}, _as_timedelta(value))
        if not timedelta(0) < value <= _LONGEST:
            said = _("A time longer than nothing and at most %(days)d days is needed, not %(value)s.")
            raise WrongValue(said % {"days": _LONGEST.days, "value": as_python(value)})
        return value

    return Kind("timedelta", read)


def truth() -> Kind[bool]:
    """True or False."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            meant = _TRUTHS.get(str(value).strip().lower())
            write = "" if meant is None else as_python(meant)
            raise WrongValue(_("True or False is needed, not %(value)s.") % {"value": shortly(value)}, write)
        return value

    return Kind("bool", read)


def choice(*names: str) -> Kind[str]:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in names:
            near = nearest(value, names)
            said = _("%(names)s is needed, not %(value)s.")
            either = _(" or ").join(map(as_python, names))
            raise WrongValue(said % {"names": either, "value": shortly(value)}, as_python(near) if near else "")
        return str(value)

    return Kind(" or ".join(map(as_python, names)), read)


def text() -> Kind[str]:
    """Any text."""

    def read(value: Any) -> str:
        try:
            return as_text(value)
        except WrongValue as wrong:
            raise WrongValue(str(wrong), as_python(str(value)) if isinstance(value, int | float) else "") from None

    return Kind("str", read)


def word() -> Kind[str]:
    """A name without white space."""

    def read(value: Any) -> str:
        given = as_text(value)
        if len(given.split()) > 1:
            raise WrongValue(_("A name without blanks is needed, not %(value)s.") % {"value": shortly(value)})
        return given

    return Kind("str", read)


def dotted_path(what: str = "function") -> Kind[str]:
    """Where a function or class is found. It is not imported here: `manage.py check` does, and whoever calls it."""

    def read(value: Any) -> str:
        if callable(value) and hasattr(value, "__qualname__"):
            said = _("The dotted path is needed, as a text, not the object itself.")
            raise WrongValue(said, as_python(f"{value.__module__}.{value.__qualname__}"))
        given = as_text(value)
        if given and not _is_path(given, what):
            meant = given.replace(":", ".").replace("/", ".").removesuffix("()").strip(".")
            said = _('A dotted path is needed, such as "myproject.mail.contacts", not %(value)s.')
            write = as_python(meant) if _is_path(meant, what) else ""
            raise WrongValue(said % {"value": shortly(value)}, write)
        return given

    return Kind(f"dotted path of a {what}", read)


def file_path() -> Kind[str]:
    """The path of a file. A key that was pasted instead is not shown: messages go into logs."""

    def read(value: Any) -> str:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, bytes) or (isinstance(value, str) and ("\n" in value or "-----" in value)):
            raise WrongValue(_("The path of a file is needed, not what stands in the file."))
        return as_text(value)

    return Kind("path", read)


def listed(item: Kind[str], type: str) -> Kind[tuple[str, ...]]:
    """A list of which each entry is an `item`; a tuple and a set are taken too."""

    def read(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            write = as_python([part for part in re.split(r"[,;\s]+", value) if part])
            raise WrongValue(_("A list is needed, not the text %(value)s.") % {"value": shortly(value)}, write)
        if not isinstance(value, list | tuple | set | frozenset):
            raise WrongValue(_("A list is needed, not %(value)s.") % {"value": shortly(value)})
        entries = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return tuple(_entry(item, entry, number) for number, entry in enumerate(entries))

    return Kind(f"list of {type}", read)


def categories() -> Kind[dict[str, Any]]:
    """{name: title}: the name stands in links and in the database, the title is what people read."""

    def read(value: Any) -> dict[str, Any]:
        for name, title in as_dict(value).items():
            if not isinstance(name, str) or not _CATEGORY.fullmatch(name) or name == "all":
                said = _(
                    '%(name)s cannot be the name of a category; use up to 64 of a-z, 0-9, "_" and "-", and not "all".'
                )
                meant = slugify(name)
                write = f"{as_python(meant)}: {as_python(title)}" if _CATEGORY.fullmatch(meant) else ""
                raise WrongValue(said % {"name": shortly(name)}, "" if meant == "all" else write)
            if not isinstance(title, str | Promise) or not title:
                said = _("The title that people see is needed, not %(value)s.")
                raise WrongValue(said % {"value": shortly(title)}, as_python(name.capitalize()), at=(name,))
        return dict(value)

    return Kind("dict of titles", read)


def layouts() -> Kind[dict[str, tuple[Any, str]]]:
    """{name: template} or {name: (title, template)}, as {name: (title, template)}."""

    def read(value: Any) -> dict[str, tuple[Any, str]]:
        found = {}
        for name, given in as_dict(value).items():
            if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
                said = _("%(name)s cannot be the name of a layout; use up to 64 characters.")
                raise WrongValue(said % {"name": shortly(name)})
            parts = (name, given) if isinstance(given, str) else given
            if (
                not isinstance(parts, tuple | list)
                or len(parts) != 2
                or not all(isinstance(part, str | Promise) and part for part in parts)
            ):
                said = _("The name of a template is needed, or (title, template), not %(value)s.")
                raise WrongValue(said % {"value": shortly(given)}, at=(name,))
            found[name] = (parts[0], str(parts[1]))
        return found

    return Kind("dict of templates", read)


def rates() -> Kind[Rates]:
    """{limit: "number/time"}; dbmail.rates knows the keys."""
    return Kind("dict of rates", lambda value: parse_rates(as_dict(value)))


def _entry(item: Kind[str], entry: Any, number: int) -> str:
    try:
        read = item.read(entry)
    except WrongValue as wrong:
        raise WrongValue(str(wrong), wrong.write, (number, *wrong.at)) from None
    if not read:
        raise WrongValue(_("An empty entry means nothing: remove it."), at=(number,))
    return read


def as_text(value: Any) -> str:
    """`value` without white space around it; "" for None, as the environment gives it. Raises WrongValue."""
    if value is None:
        return ""
    if not isinstance(value, str | Promise):
        raise WrongValue(_("A text is needed, not %(value)s.") % {"value": shortly(value)})
    return str(value).strip()


def as_dict(value: Any) -> Mapping[Any, Any]:
    """`value`, which is a dict. Raises WrongValue."""
    if not isinstance(value, Mapping):
        raise WrongValue(_("A dict is needed, not %(value)s.") % {"value": shortly(value)})
    return value


def _is_path(given: str, what: str) -> bool:
    """A module may stand at the root; anything else stands in a module."""
    return bool(_PATH.fullmatch(given)) and ("." in given or what == "module")


def _number(value: Any) -> float | None:
    """The number in a text, or a number itself; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _as_timedelta(value: Any) -> str:
    """What to write for a number of seconds, or for a text such as "7 days" or "PT10M"; "" where that is not plain."""
    number = _number(value)
    if number is not None:
        return f"timedelta(seconds={int(number) if number.is_integer() else number})" if number > 0 else ""
    try:
        meant = parse_duration(value) if isinstance(value, str) else None
    except (OverflowError, ValueError):
        return ""
    return as_python(meant) if meant and meant > timedelta(0) else ""
