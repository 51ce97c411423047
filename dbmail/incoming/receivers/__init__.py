"""Handlers of incoming mail, found by the name that a row gives."""

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ...conf import config
from ...exceptions import SettingError
from .base import BaseHandler
from .class_list import ClassList
from .plain_list import PlainList
from .section_list import SectionList
from .user_email import UserEmail

_BUILT_IN: dict[str, type[BaseHandler]] = {
    "ClassList": ClassList,
    "class_mailman": ClassList,  # the reference documentation's name for it
    "SectionList": SectionList,
    "PlainList": PlainList,
    "UserEmail": UserEmail,
}


def handler_class(name: str) -> type[BaseHandler]:
    """The class that a row means by `name`: built in, one of DBMAIL["HANDLERS"], or a dotted path.

    A name in DBMAIL["HANDLERS"] (the part after the last dot) wins over a built-in one. Raises SettingError.
    """
    for path in config().handlers:
        if name == path.rpartition(".")[2]:
            return _imported(path)
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if "." in name:
        return _imported(name)
    said = _("There is no handler %(name)r. Known: %(known)s, or a dotted path.")
    raise SettingError(said % {"name": name, "known": ", ".join(handler_names())})


def handler_names() -> list[str]:
    """What a row may name without a dotted path, for a form's choices."""
    return [path.rpartition(".")[2] for path in config().handlers] + list(_BUILT_IN)


def _imported(path: str) -> type[BaseHandler]:
    try:
        found = import_string(path)
    except ImportError as error:
        said = _("The handler %(path)r cannot be imported: %(error)s")
        raise SettingError(said % {"path": path, "error": error}) from error
    if not (isinstance(found, type) and issubclass(found, BaseHandler)):
        said = _("%(path)r is not a subclass of dbmail.incoming.receivers.BaseHandler.")
        raise SettingError(said % {"path": path})
    return found


__all__ = ["BaseHandler", "ClassList", "PlainList", "SectionList", "UserEmail", "handler_class", "handler_names"]
