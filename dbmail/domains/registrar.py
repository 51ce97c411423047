"""The shape that all registrars have, and the one where a person enters the changes that are shown (`ByHand`)."""

from collections.abc import Iterable
from typing import Protocol

from ..dns.client import Dns
from ..dns.records import Record
from .errors import ChangedMeanwhile
from .proposal import Change

#: The types of record that ByHand looks at; DNS has no question for all of them.
_TYPES = ("A", "AAAA", "MX", "TXT", "NS")


class Registrar(Protocol):
    """Where the zones are kept. All names are full, in lower case and without the last dot."""

    #: As people call it.
    name: str
    #: Whether `apply` changes the zone; if not, a person does.
    posts: bool

    def zone_of(self, name: str) -> str:
        """The zone that holds `name`. Raises ZoneNotOurs, WrongKey, AccessDenied, Unavailable."""

    def records(self, zone: str, name: str) -> list[Record]:
        """All records at `name` itself, of every type. `zone` must come from `zone_of`."""

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the changes. Raises ChangedMeanwhile where a set is no longer the `old` of its change."""


def must_be_unchanged(change: Change, now: Iterable[Record]) -> None:
    """Raises ChangedMeanwhile unless the set in `now` is still the one that `change` was made from, in any order."""
    there = [record for record in now if record.name == change.name and record.type == change.type]
    if set(there) != set(change.old):
        raise ChangedMeanwhile(f"{change.name} {change.type} was changed by somebody else in the meantime.")


class ByHand:
    """Any registrar, through the person in front of it."""

    name = "you"
    posts = False

    def __init__(self, dns: Dns) -> None:
        self._dns = dns

    def zone_of(self, name: str) -> str:
        """The zone as DNS has it delegated. Raises DnsUnavailable."""
        return self._dns.zone_of(name)

    def records(self, zone: str, name: str) -> list[Record]:
        """What DNS says at `name`. Beside an alias nothing else can be (RFC 1034, 3.6.2). Raises DnsUnavailable."""
        alias = self._dns.records(name, "CNAME")
        return alias or [record for kind in _TYPES for record in self._dns.records(name, kind)]

    def apply(self, changes: Iterable[Change]) -> None:
        """Nothing: the changes have been shown."""
