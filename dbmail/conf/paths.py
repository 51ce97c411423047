"""Functions and classes of the project that a setting names by their dotted paths."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ..exceptions import SettingError
from .kinds import nearest
from .source import as_python


def load(key: str, dotted_path: str) -> Callable[..., Any]:
    """The function or class at `dotted_path`, which the setting `key` names. Raises SettingError."""
    try:
        found = import_string(dotted_path)
    except Exception as error:  # a module of the project may raise anything while it is imported
        said = _('DBMAIL["%(key)s"] = "%(path)s" cannot be imported: %(error)s')
        reason = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        values = {"key": key, "path": dotted_path, "error": f"{reason.rstrip('.')}."}
        raise SettingError(said % values, what_to_write(dotted_path)) from error
    if not callable(found):
        said = _('DBMAIL["%(key)s"] = "%(path)s" is a %(type)s, nothing to call.')
        values = {"key": key, "path": dotted_path, "type": type(found).__name__}
        raise SettingError(said % values, what_to_write(""))
    return found


def what_to_write(dotted_path: str, otherwise: str = "") -> str:
    """A sentence with the path that a wrong one was probably meant for, or with what a path is (or `otherwise`)."""
    near = _nearest_path(dotted_path)
    if near:
        return _("Write %(code)s") % {"code": as_python(near)}
    return otherwise or _("Give the dotted path: the module, a dot, and the name in it.")


def _nearest_path(dotted_path: str) -> str:
    """`dotted_path` with its first wrong part replaced by a name that exists beside it; "" if there is none."""
    parts = dotted_path.split(".")
    for number in range(len(parts)):
        try:
            import_module(".".join(parts[: number + 1]))
        except Exception:  # as above
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
