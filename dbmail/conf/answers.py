"""What the settings say, in the form in which other rooms ask: choices of a form, a category by its name, the site."""

from typing import Any

from django.utils.translation import gettext as _

from ..exceptions import SettingError, UnknownCategory
from .in_force import config


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
