"""Where a name leads from a model instance, and whether a mail text may go there.

A text sees the recipient's own data and what the broadcast was given. So from a row it goes on to that row's
fields, to the one row that a foreign key or one-to-one field names, and to whatever the model's own properties and
methods give. Many rows (a reverse foreign key, a many-to-many field) are other people's as a rule: these the host
project opens one by one, in DBMAIL["TEMPLATE_RELATIONS"].
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cached_property, lru_cache, partialmethod
from types import FunctionType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import PermissionsMixin
from django.core.signals import setting_changed
from django.db.models import Model
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.manager import ManagerDescriptor
from django.db.models.query_utils import DeferredAttribute
from django.utils.functional import cached_property as django_cached_property
from django.utils.translation import gettext as _

from ..conf import config
from .names import is_hidden

#: Apps (by label) whose tables no text reads, whatever leads there: how the site works, who may do what, and keys
#: and tokens of well-known packages. DBMAIL["TEMPLATE_CLOSED"] adds to them.
CLOSED_APPS = frozenset(
    """admin contenttypes dbmail sessions
    account allauth_idp_oidc authtoken axes defender django_rest_passwordreset drfpasswordless knox magiclink mfa
    oauth oauth2_provider oauth_provider oidc_provider passkeys qsessions rest_framework_api_key sesame social_auth
    social_django socialaccount token_blacklist trench two_factor user_sessions usersessions webauthn""".split()  # noqa: SIM905 - read as a list of words
)
_CLOSED_PREFIX = "otp_"  # django-otp has an app for each kind of device
_CLOSED_MODELS = frozenset(["auth.group", "auth.permission"])

# Model's own methods are for programs: refresh_from_db, full_clean, save and so on. So is who may do what.
_FOR_PROGRAMS = frozenset(dir(Model)) - {"pk"}
_RIGHTS = frozenset(value for value in vars(PermissionsMixin).values() if isinstance(value, FunctionType))
_CODE = (FunctionType, property, cached_property, django_cached_property, classmethod, staticmethod, partialmethod)
# What stands between a query set and one of its rows in a path.
_SAME_ROWS = frozenset(["all", "distinct", "reverse"])
_ONE_ROW = frozenset(["earliest", "first", "last", "latest"])


class Way(Enum):
    FIELD = "a value of the row itself"
    ONE = "the one row that this row names"
    BACK = "the one row that names this one, one to one"
    CODE = "a property or method, or what the project set on the instance: it gives what its authors wrote"
    OTHER = "an attribute of another kind: shown, unless it leads to many rows"
    MANY = "many rows, opened by the project"
    SHUT = "many rows that the project has not opened"
    CLOSED = "a table that no text reads"
    HIDDEN = "for programs: as if it were not there"


@lru_cache(maxsize=4096)
def way_of(model: type[Model], name: str) -> Way:
    """Where `name` leads from an instance of `model`."""
    if name in _FOR_PROGRAMS:
        return Way.HIDDEN
    if is_closed(model):
        return Way.CLOSED
    found = static_attribute(model, name)
    if isinstance(found, ReverseManyToOneDescriptor):
        return _to(found, Way.MANY if is_open(model, name) else Way.SHUT)
    if isinstance(found, ForwardManyToOneDescriptor):
        return _to(found, Way.ONE)
    if isinstance(found, ReverseOneToOneDescriptor):
        return _to(found, Way.BACK)
    if isinstance(found, DeferredAttribute):
        return Way.FIELD
    if isinstance(found, ManagerDescriptor) or _is_neighbour(found):
        return Way.HIDDEN
    if found is None or isinstance(found, _CODE):
        return Way.HIDDEN if isinstance(found, FunctionType) and found in _RIGHTS else Way.CODE
    # Another package's manager, of tags or of a history, is opened as a relation is.
    return Way.MANY if is_open(model, name) else Way.OTHER


def _to(descriptor: Any, way: Way) -> Way:
    return Way.CLOSED if is_closed(_target(descriptor)) else way


def _target(descriptor: Any) -> type[Model]:
    """The model at the other end of a relation."""
    if isinstance(descriptor, ForwardManyToOneDescriptor):
        return descriptor.field.remote_field.model
    if isinstance(descriptor, ReverseOneToOneDescriptor):
        return descriptor.related.related_model
    rel: Any = descriptor.rel
    # A many-to-many field and a GenericRelation stand at the end that they are read from.
    forward = not getattr(descriptor, "reverse", False) if rel.field.many_to_many else rel.field.one_to_many
    return rel.model if forward else rel.related_model


def _is_neighbour(found: Any) -> bool:
    """Whether this is a method that Django made for other rows: get_next_by_date_joined and the like."""
    if not isinstance(found, partialmethod):
        return False
    function = found.func
    return getattr(function, "__module__", "").startswith("django.") and function is not Model._get_FIELD_display  # type: ignore[attr-defined]


def static_attribute(cls: type, name: str) -> Any:
    """What the class itself holds under `name`, without asking it; None if nothing."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


@lru_cache(maxsize=1024)
def is_closed(model: type[Model]) -> bool:
    """Whether no text may read this table. A proxy is as its table; the recipients' own table is always open."""
    meta = (model._meta.concrete_model or model)._meta
    if meta.label_lower == settings.AUTH_USER_MODEL.lower():
        return False
    more = {entry.lower() for entry in config().template_closed}
    if meta.label_lower in _CLOSED_MODELS or not more.isdisjoint((meta.app_label.lower(), meta.label_lower)):
        return True
    if meta.app_label == settings.AUTH_USER_MODEL.partition(".")[0]:
        return False  # the project's own app, though it is called "account"
    return meta.app_label in CLOSED_APPS or meta.app_label.startswith(_CLOSED_PREFIX)


def is_open(model: type[Model], name: str) -> bool:
    """Whether DBMAIL["TEMPLATE_RELATIONS"] opens `name`, on `model` or on one that it comes from."""
    opened = {_key(entry) for entry in config().template_relations}
    return any((base._meta.label_lower, name) in opened for base in model.__mro__ if hasattr(base, "_meta"))


def _key(entry: str) -> tuple[str, str]:
    model, _dot, name = entry.rpartition(".")
    return model.lower(), name


def _forget(**_: Any) -> None:
    way_of.cache_clear()
    is_closed.cache_clear()


setting_changed.connect(_forget, dispatch_uid="dbmail.rendering.relations")


def refusal(model: type[Model], name: str) -> str:
    """Why a text may not look up `name` on an instance of `model`, in words; "" if it may."""
    way = way_of(model, name)
    if way is Way.SHUT:
        return shut(model, name)
    if way is Way.CLOSED:
        if is_closed(model):
            return closed(model)
        said = _("“%(name)s” leads to the table %(table)s, which is closed to mail texts.")
        return said % {"name": name, "table": _target(static_attribute(model, name))._meta.label}
    if way is Way.HIDDEN:
        return _("“%(name)s” is for programs, not for mail texts.") % {"name": name}
    return ""


def shut(model: type[Model], name: str) -> str:
    said = _(
        "“%(name)s” is not open to mail texts: it leads to many rows. "
        'A programmer can open it with DBMAIL["TEMPLATE_RELATIONS"] = ["%(entry)s"].'
    )
    return said % {"name": name, "entry": f"{model._meta.label}.{name}"}


def closed(model: type[Model]) -> str:
    return _("The table %(table)s is closed to mail texts.") % {"table": model._meta.label}


def refusal_on_path(model: type[Model], names: Sequence[str]) -> str:
    """`refusal` of the first of these look-ups, one after the other, that is refused, as far as classes can tell."""
    at: Any = model
    in_rows = False
    for name in names:
        if in_rows:
            if name in _SAME_ROWS:
                continue
            if name not in _ONE_ROW and not name.isdigit():
                return ""
            in_rows = False
            continue
        if is_hidden(name):
            return ""  # said when the template is compiled
        way = way_of(at, name)
        if said := refusal(at, name):
            return said
        if way not in (Way.ONE, Way.BACK, Way.MANY):
            return ""
        descriptor = static_attribute(at, name)
        if not isinstance(
            descriptor, ForwardManyToOneDescriptor | ReverseOneToOneDescriptor | ReverseManyToOneDescriptor
        ):
            return ""
        at, in_rows = _target(descriptor), way is Way.MANY
    return ""


def mistakes() -> Iterator[str]:
    """What of DBMAIL["TEMPLATE_RELATIONS"] opens nothing, and of ["TEMPLATE_CLOSED"] closes nothing."""
    for entry in config().template_relations:
        label, name = entry.rpartition(".")[::2]
        try:
            model: type[Model] = apps.get_model(label)
        except (LookupError, ValueError):
            said = _('DBMAIL["TEMPLATE_RELATIONS"]: %(entry)r is not "app_label.Model.relation" of a model there is.')
            yield said % {"entry": entry}
            continue
        way = way_of(model, name)
        if way is Way.CLOSED or is_hidden(name):
            said = _('DBMAIL["TEMPLATE_RELATIONS"]: %(entry)r cannot be opened. %(why)s')
            why = refusal(model, name) or _("“%(name)s” is a secret or private name.") % {"name": name}
            yield said % {"entry": entry, "why": why}
        elif way is not Way.MANY:
            said = _('DBMAIL["TEMPLATE_RELATIONS"]: %(entry)r is no relation to many rows. %(model)s has: %(known)s.')
            values = {"entry": entry, "model": model._meta.label, "known": ", ".join(_relations(model)) or "-"}
            yield said % values
    for entry in config().template_closed:
        if not _exists(entry):
            said = _('DBMAIL["TEMPLATE_CLOSED"]: there is no app and no model %(entry)r.')
            yield said % {"entry": entry}


def _relations(model: type[Model]) -> list[str]:
    """The names of the relations of `model` that can be opened."""
    names = {name for base in model.__mro__ for name in vars(base)}
    return sorted(
        name
        for name in names
        if isinstance(static_attribute(model, name), ReverseManyToOneDescriptor)
        and way_of(model, name) in (Way.MANY, Way.SHUT)
    )


def _exists(entry: str) -> bool:
    if "." not in entry:
        return entry.lower() in {app.label.lower() for app in apps.get_app_configs()}
    try:
        apps.get_model(entry)
    except (LookupError, ValueError):
        return False
    return True
