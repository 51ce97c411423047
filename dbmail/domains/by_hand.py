"""No registrar: the records are read from DNS, and a person enters the changes that are shown."""

from collections.abc import Iterable

from .check import Dns
from .records import Change, Record

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
