"""What to write instead of a wrong value: Python as it stands in a settings file, and the name that was meant."""

import difflib
import pkgutil
from collections.abc import Iterable
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def as_python(value: Any) -> str:
    """`value` as a person would write it: double quotes, timedelta(minutes=20), 30_000_000."""
    if isinstance(value, timedelta):
        return _timedelta(value)
    if isinstance(value, str):
        return _text(value)
    if type(value) is int and abs(value) >= 100_000:
        return f"{value:_}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_python(key)}: {as_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{_items(value)}]"
    if isinstance(value, tuple):
        return f"({_items(value)},)" if len(value) == 1 else f"({_items(value)})"
    return repr(value)


def shortly(value: Any, limit: int = 80) -> str:
    """As `as_python`, cut off where it is long, and without a private key that was pasted: messages go into logs."""
    text = as_python(value)
    if "-----BEGIN" in text:
        return '"..."'
    return text if len(text) <= limit else f"{text[:limit]}..."


def nearest(name: Any, known: Iterable[str]) -> str:
    """The one of `known` that `name` was probably meant for, whatever its case; "" if none is near."""
    by_case = {word.casefold(): word for word in known}
    found = difflib.get_close_matches(str(name).casefold(), by_case, n=1, cutoff=0.6)
    return by_case[found[0]] if found else ""


def what_to_write(dotted_path: str, otherwise: str = "") -> str:
    """A sentence with the path that a wrong one was probably meant for, or with what a path is (or `otherwise`)."""
    near = _nearest_path(dotted_path)
    if near:
        return _("Write %(code)s") % {"code": as_python(near)}
    return otherwise or _("Give the dotted path: the module, a dot, and the name in it.")


def _text(value: str) -> str:
    quoted = repr(str(value))
    return quoted if '"' in quoted else f'"{quoted[1:-1]}"'


def _items(values: list[Any] | tuple[Any, ...]) -> str:
    return ", ".join(map(as_python, values))


def _timedelta(value: timedelta) -> str:
    seconds = value.days * 86_400 + value.seconds
    if value.microseconds:
        return f"timedelta(seconds={value.total_seconds()})"
    for name, length in _UNITS:
        if seconds and seconds % length == 0:
            return f"timedelta({name}={seconds // length})"
    return f"timedelta(seconds={seconds})"


def _nearest_path(dotted_path: str) -> str:
    """`dotted_path` with its first wrong part replaced by a name that exists beside it; "" if there is none."""
    parts = dotted_path.split(".")
    for number in range(len(parts)):
        try:
            import_module(".".join(parts[: number + 1]))
        except Exception:  # a module of the project may raise anything while it is imported
            return _beside(parts, number)
    return ""


def _beside(parts: list[str], number: int) -> str:
    """The path with the name that `parts[number]`, which cannot be imported, was meant for."""
    if number == 0:
        names = {app.partition(".")[0] for app in [*settings.INSTALLED_APPS, settings.ROOT_URLCONF]}
    else:
        parent = import_module(".".join(parts[:number]))
        names = {name for _finder, name, _is_package in pkgutil.iter_modules(getattr(parent, "__path__", []))}
        names |= {name for name in vars(parent) if not name.startswith("_")}
    near = nearest(parts[number], names)
    return ".".join([*parts[:number], near, *parts[number + 1 :]]) if near and near != parts[number] else ""
