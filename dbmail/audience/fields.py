"""Which columns of the user and of related tables people may choose an audience by."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Field, Model
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..conf import config
from ..conf.suggest import as_python, nearest
from ..exceptions import SettingError
from ..rendering.names import is_hidden

#: Apps whose rows say nothing about a person that an audience could be chosen by.
_NOT_THEIRS = frozenset(["admin", "auth", "contenttypes", "dbmail", "sessions", "sites"])
_MAX_CHOICES = 300


@dataclass(frozen=True)
class AudienceField:
    """One column: its path from the user, a name for people, and the kind of value that it holds."""

    path: str
    label: str
    kind: str
    column: "Field[Any, Any]"

    @property
    def has_time(self) -> bool:
        return isinstance(self.column, models.DateTimeField)

    def choices(self) -> list[tuple[str, str]]:
        """Values to choose from; [] where the person writes one."""
        if self.kind == "choice":
            return [(str(value), str(label)) for value, label in self.column.flatchoices]
        if self.kind == "relation":
            related: Any = self.column.related_model
            rows = related._default_manager.all()[:_MAX_CHOICES]
            return [(str(row.pk), str(row)) for row in rows]
        return []


def audience_fields() -> list[AudienceField]:
    """The fields of DBMAIL["AUDIENCE_FIELDS"], else sensible ones: those of the user and of tables of the
    project that point at users, without addresses, secrets and free-form data. Raises SettingError."""
    if config().audience_fields:
        return [audience_field(path) for path in config().audience_fields]
    model = get_user_model()
    return [*_own(model, "", ""), *_related(model)]


def _own(model: type[Model], prefix: str, label: str) -> Iterator[AudienceField]:
    for column in [*model._meta.fields, *model._meta.many_to_many]:
        kind = _kind(column)
        # Whoever chooses among rows sees them all by name.
        related: Any = column.related_model
        names_people = kind == "relation" and issubclass(related, get_user_model())
        if kind and not names_people and not is_hidden(column.name) and not isinstance(column, models.EmailField):
            yield AudienceField(prefix + column.name, _label(label, column), kind, column)


def _related(model: type[Model]) -> Iterator[AudienceField]:
    for relation in model._meta.related_objects:
        table = relation.related_model
        if table._meta.app_label in _NOT_THEIRS or relation.hidden or relation.many_to_many:
            continue
        for field in _own(table, f"{relation.name}__", capfirst(str(table._meta.verbose_name))):
            if field.column is not relation.field:
                yield field


def audience_field(path: str) -> AudienceField:
    """The column at one path of DBMAIL["AUDIENCE_FIELDS"]. Raises SettingError."""
    model: type[Model] = get_user_model()
    column: Any = None
    names = path.split("__")
    for number, name in enumerate(names):
        try:
            found = model._meta.get_field(name)
        except FieldDoesNotExist as error:
            said = _('DBMAIL["AUDIENCE_FIELDS"]: %(path)r names no column: %(error)s.')
            near = nearest(name, (field.name for field in model._meta.get_fields()))
            meant = "__".join([*names[:number], near, *names[number + 1 :]])
            hint = _("Write %(code)s") % {"code": as_python(meant)} if near else ""
            raise SettingError(said % {"path": path, "error": error}, hint) from None
        column, model = found, getattr(found, "related_model", None) or model
    kind = _kind(column)
    if not kind or is_hidden(column.name):
        said = _('DBMAIL["AUDIENCE_FIELDS"]: nobody can choose an audience by %(path)r.')
        raise SettingError(said % {"path": path})
    owner = "" if "__" not in path else capfirst(str(column.model._meta.verbose_name))
    return AudienceField(path, _label(owner, column), kind, column)


def _label(owner: str, column: "Field[Any, Any]") -> str:
    name = str(column.verbose_name)
    return f"{owner}: {name}" if owner else capfirst(name)


def _kind(column: Any) -> str:
    if column.is_relation:
        forward = not column.auto_created and (column.many_to_one or column.many_to_many or column.one_to_one)
        return "relation" if forward and column.related_model is not Permission else ""
    if column.primary_key:
        return ""
    if column.choices:
        return "choice"
    for kind, classes in _KINDS:
        if isinstance(column, classes):
            return kind
    return ""


_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("boolean", (models.BooleanField,)),
    ("date", (models.DateField,)),
    ("number", (models.IntegerField, models.DecimalField, models.FloatField)),
    ("text", (models.CharField, models.TextField, models.UUIDField)),
)
