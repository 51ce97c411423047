"""The one shape that all registrars have, and what they share."""

from collections.abc import Iterable
from typing import Protocol

from .errors import ChangedMeanwhile
from .records import Change, Record


class Registrar(Protocol):
    """Where the zones are kept. All names are full, lower-case and without the last dot."""

    #: As people call it.
    name: str
    #: Whether `apply` changes the zone itself. Where not, a person does it.
    posts: bool

    def zone_for(self, name: str) -> str:
        """The zone that holds `name`. Raises ZoneNotOurs, WrongKey, AccessDenied, Unavailable."""

    def records(self, zone: str, name: str) -> list[Record]:
        """All records at `name` itself, of every type."""

    def apply(self, changes: Iterable[Change]) -> None:
        """Makes the changes. Raises ChangedMeanwhile where a set is no longer the `old` of its change."""


def must_be_unchanged(change: Change, now: Iterable[Record]) -> None:
    """Raises ChangedMeanwhile unless `now` holds the records that `change` was planned from, in any order."""
    there = [record for record in now if record.name == change.name and record.type == change.type]
    if set(there) != set(change.old):
        raise ChangedMeanwhile(f"{change.name} {change.type} was changed by somebody else in the meantime.")
