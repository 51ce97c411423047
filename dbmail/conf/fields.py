"""How a setting is declared: a dataclass field that carries its kind (type and check), its help and an example."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .kinds import Kind

T = TypeVar("T")
G = TypeVar("G", bound="Group")


class Group:
    """Base of a frozen dataclass of settings: `Config` itself, and each dict inside it with keys of its own."""

    __slots__ = ()

    def check(self) -> None:
        """Raises WrongValue where fields that are right one by one do not fit together."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field declares beside its name, its type and its default."""

    help: str
    #: A value that somebody might want, as Python.
    example: str = ""
    #: What stands in for the default, in words, where that is a value of another setting.
    otherwise: str = ""
    #: What it is: one value, or a dict of settings.
    kind: Kind[Any] | None = None
    group: type[Group] | None = None
    #: Of a group: the key that a value without a dict around it was probably meant for.
    bare: str = ""


def setting(kind: Kind[T], default: T, help: str, *, example: str, otherwise: str = "") -> T:
    """A field of one value."""
    metadata = {"setting": Setting(help, example, otherwise, kind)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def group(cls: type[G], help: str, *, bare: str = "") -> G:
    """A field of several values that belong together: a dict with the fields of `cls` in capitals."""
    metadata = {"setting": Setting(help, group=cls, bare=bare)}
    return dataclasses.field(default=cls(), metadata=metadata)


def settings_of(cls: type[Group]) -> Mapping[str, tuple[str, Setting]]:
    """The settings of a group by their keys: the name of the field, and what it declares."""
    fields = dataclasses.fields(cls)  # type: ignore[arg-type] # each Group is a dataclass
    return {field.name.upper(): (field.name, field.metadata["setting"]) for field in fields}


def example_of(declared: Setting) -> str:
    """The example of a setting; of a dict, put together from those of its keys."""
    if declared.group is None:
        return declared.example
    inner = settings_of(declared.group).items()
    return "{" + ", ".join(f'"{key}": {example_of(one)}' for key, (_name, one) in inner) + "}"
