"""How many mails each send-to function makes: addresses that come twice count once, suppressed ones not at all."""

from array import array
from dataclasses import dataclass, field
from typing import Any

from django.utils.crypto import salted_hmac

from ..models import MessageRequest
from ..recipients.sendto import kinds_of

KINDS = ("self", "guardian", "emergency")
#: Keys that are told apart at a time: sets take ten times the memory of arrays.
_AT_A_TIME = 250_000


@dataclass(frozen=True, slots=True)
class Reach:
    """`duplicates`: how many times an address came again."""

    mails: int = 0
    suppressed: int = 0
    duplicates: int = 0

    def plus(self, other: "Reach") -> "Reach":
        return Reach(self.mails + other.mails, self.suppressed + other.suppressed, self.duplicates + other.duplicates)


def _no_keys() -> "array[int]":
    return array("Q")


@dataclass(slots=True)
class Keys:
    """The addresses of some people, by kind of contact, and those of them that get no mail: as keys of 64 bits,
    equal for equal addresses, from which nobody learns an address."""

    of_kind: dict[str, "array[int]"] = field(default_factory=lambda: {kind: _no_keys() for kind in KINDS})
    suppressed: "array[int]" = field(default_factory=_no_keys)

    def add(self, other: "Keys") -> None:
        for kind in KINDS:
            self.of_kind[kind].extend(other.of_kind[kind])
        self.suppressed.extend(other.suppressed)

    def as_columns(self) -> dict[str, bytes]:
        """The bytes of each column of a PreflightPiece."""
        columns = {f"{kind}_keys": keys.tobytes() for kind, keys in self.of_kind.items()}
        return {**columns, "suppressed_keys": self.suppressed.tobytes()}

    def add_columns(self, row: Any) -> None:
        """What `as_columns` gave, of a PreflightPiece that was read."""
        for kind in KINDS:
            self.of_kind[kind].frombytes(bytes(getattr(row, f"{kind}_keys")))
        self.suppressed.frombytes(bytes(row.suppressed_keys))


def key_of(address: str) -> int:
    digest = salted_hmac("dbmail.preflight", address, algorithm="sha256").digest()
    return int.from_bytes(digest[:8])


def reach_of(keys: Keys) -> dict[str, Reach]:
    """Exact for these people, by send-to function."""
    kinds = {name: kinds_of(name) for name, _label in MessageRequest.SENDTO_FN_CHOICES}
    different, suppressed = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    parts = sum(map(len, keys.of_kind.values())) // _AT_A_TIME + 1
    for part in range(parts):
        found = {kind: {key for key in keys.of_kind[kind] if key % parts == part} for kind in KINDS}
        left_out = {key for key in keys.suppressed if key % parts == part}
        for name, wanted in kinds.items():
            addresses = set().union(*(found[kind] for kind in wanted))
            different[name] += len(addresses)
            suppressed[name] += len(addresses & left_out)
    return {
        name: Reach(
            different[name] - suppressed[name],
            suppressed[name],
            sum(len(keys.of_kind[kind]) for kind in wanted) - different[name],
        )
        for name, wanted in kinds.items()
    }
