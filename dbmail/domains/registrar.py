"""The one shape that all registrars have; and no registrar, where a person enters the changes that are shown."""

from collections.abc import Iterable
from typing import Protocol

from ..dns.client import Dns
from ..dns.errors import ChangedMeanwhile
from ..dns.records import Change, Record


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


_TYPES = ("A", "AAAA", "MX", "TXT", "NS")


class ByHand:
    """Any registrar, through whoever sits in front of it."""

    name = "you"
    posts = False

    def __init__(self, dns: Dns) -> None:
        self._dns = dns

    def zone_for(self, name: str) -> str:
        """The zone as DNS has it delegated. Raises DnsUnavailable."""
        return self._dns.zone_of(name)

    def records(self, zone: str, name: str) -> list[Record]:
        """What DNS says at `name`. Behind an alias nothing else can be."""
        alias = self._dns.ask(name, "CNAME")
        return alias or [record for kind in _TYPES for record in self._dns.ask(name, kind)]

    def apply(self, changes: Iterable[Change]) -> None:
        """Nothing: the changes have been shown."""
