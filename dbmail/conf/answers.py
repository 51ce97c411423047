"""What other rooms ask the settings for: choices of a form, a category or a function by its name, the site."""

from collections.abc import Callable
from typing import Any

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ..exceptions import SettingError, UnknownCategory
from .reading import config
from .suggest import what_to_write


def category_choices() -> list[tuple[str, Any]]:
    """The categories of the project, as choices of a form field; none where DBMAIL cannot be read: a check says so."""
    try:
        return list(config().categories.items())
    except SettingError:
        return []


def check_category(name: str) -> None:
    """Raises UnknownCategory unless the project declares a category of this name; "" is none, which is fine."""
    known = config().categories
    if name and name not in known:
        said = _('DBMAIL["CATEGORIES"] has no category %(name)r. Known: %(known)s.')
        if not known:
            said = _('DBMAIL["CATEGORIES"] has no category %(name)r. It has none.')
        raise UnknownCategory(said % {"name": name, "known": ", ".join(known)})


def layout_choices() -> list[tuple[str, Any]]:
    """As `category_choices`, for layouts."""
    try:
        return [(name, title) for name, (title, _template) in config().layouts.items()]
    except SettingError:
        return []


def site_url() -> str:
    """`https://host` without a slash at the end, or "" where nothing says what it is."""
    if config().site_url:
        return config().site_url.rstrip("/")
    from django.apps import apps

    if apps.is_installed("django.contrib.sites"):
        from django.contrib.sites.models import Site

        return f"https://{Site.objects.get_current().domain}"
    return ""


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
