"""Kinds of value that are dicts with keys of the project's own: categories, layouts, rates."""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.text import slugify
from django.utils.translation import gettext as _

from ..exceptions import WrongValue
from ..rates import Rates, parse_rates
from .kinds import Kind
from .network import mailbox
from .source import as_python, shortly

_CATEGORY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
#: A layout and a category are columns of this length.
_LONGEST_NAME = 64


def categories() -> Kind[dict[str, Any]]:
    """{name: title}: the name stands in links and in the database, the title is what people read."""

    def read(value: Any) -> dict[str, Any]:
        for name, title in _dict(value).items():
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
        for name, given in _dict(value).items():
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
    return Kind("dict of rates", lambda value: parse_rates(_dict(value)))


def addresses(*roles: str) -> Kind[dict[str, str]]:
    """{role: address}, of which only `roles` are looked at: the others are the project's own business."""

    def read(value: Any) -> dict[str, str]:
        given, found = _dict(value), {}
        for role in roles:
            try:
                found[role] = mailbox().read(given.get(role))
            except WrongValue as wrong:
                raise WrongValue(str(wrong), wrong.write, (role, *wrong.at)) from None
        return found

    return Kind("dict of addresses", read)


def _dict(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise WrongValue(_("A dict is needed, not %(value)s.") % {"value": shortly(value)})
    return value
