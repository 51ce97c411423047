"""What a look over people sees: how many mails each send-to function makes, and sums that can be added up."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.crypto import salted_hmac

from ..audience.sendto import kinds_of
from ..models import MessageRequest

KINDS = ("self", "guardian", "emergency")
#: Send-to functions and the kinds of contacts that they take.
SENDTO = {name: kinds_of(name) for name, _label in MessageRequest.SENDTO_FN_CHOICES}
#: Keys that are told apart at a time: sets take ten times the memory of arrays.
_AT_A_TIME = 250_000


@dataclass(frozen=True, slots=True)
class Reach:
    """`duplicates`: how many mails are not made, since another person's says the same to the same address."""

    mails: int = 0
    suppressed: int = 0
    duplicates: int = 0

    def plus(self, other: "Reach") -> "Reach":
        return Reach(self.mails + other.mails, self.suppressed + other.suppressed, self.duplicates + other.duplicates)


def _no_keys() -> "array[int]":
    return array("Q")


@dataclass(slots=True)
class Keys:
    """The mails of some people by kind of contact, and those of them that are not sent: as keys of 64 bits, equal for
    the same text to the same address, from which nobody learns an address.

    A person's contacts of several kinds may share an address: that is one mail and no repetition.
    """

    of_kind: dict[str, "array[int]"] = field(default_factory=lambda: {kind: _no_keys() for kind in KINDS})
    suppressed: "array[int]" = field(default_factory=_no_keys)
    #: By send-to function, how many keys its people have among them.
    links: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SENDTO, 0))

    def add_person(self, keys: "Mapping[str, Iterable[int]]") -> None:
        """One person's keys, by kind."""
        for kind, found in keys.items():
            self.of_kind[kind].extend(found)
        for name, kinds in SENDTO.items():
            self.links[name] += len({key for kind in kinds for key in keys.get(kind, ())})

    def add(self, other: "Keys") -> None:
        for kind in KINDS:
            self.of_kind[kind].extend(other.of_kind[kind])
        self.suppressed.extend(other.suppressed)
        for name, number in other.links.items():
            self.links[name] += number

    def as_columns(self) -> dict[str, Any]:
        """The columns of a PreflightPiece."""
        columns: dict[str, Any] = {f"{kind}_keys": keys.tobytes() for kind, keys in self.of_kind.items()}
        return {**columns, "suppressed_keys": self.suppressed.tobytes(), "links": self.links}

    @classmethod
    def of(cls, row: Any) -> "Keys":
        """What `as_columns` gave, of a PreflightPiece that was read."""
        keys = cls(links=dict(row.links))
        for kind in KINDS:
            keys.of_kind[kind].frombytes(bytes(getattr(row, f"{kind}_keys")))
        keys.suppressed.frombytes(bytes(row.suppressed_keys))
        return keys


def key_of(text: str) -> int:
    digest = salted_hmac("dbmail.preflight", text, algorithm="sha256").digest()
    return int.from_bytes(digest[:8])


def reach_of(keys: Keys) -> dict[str, Reach]:
    """Exact for these people, by send-to function."""
    different, suppressed = dict.fromkeys(SENDTO, 0), dict.fromkeys(SENDTO, 0)
    parts = sum(map(len, keys.of_kind.values())) // _AT_A_TIME + 1
    divided = {kind: _divide(found, parts) for kind, found in keys.of_kind.items()}
    divided_suppressed = _divide(keys.suppressed, parts)
    for part in range(parts):
        found = {kind: set(divided[kind][part]) for kind in KINDS}
        left_out = set(divided_suppressed[part])
        for name, kinds in SENDTO.items():
            wanted = set().union(*(found[kind] for kind in kinds))
            different[name] += len(wanted)
            suppressed[name] += len(wanted & left_out)
    return {
        name: Reach(different[name] - suppressed[name], suppressed[name], keys.links[name] - different[name])
        for name in SENDTO
    }


def _divide(keys: "array[int]", parts: int) -> "list[array[int]]":
    """Into parts of which no two hold the same key."""
    if parts == 1:
        return [keys]
    divided = [_no_keys() for _part in range(parts)]
    for key in keys:
        divided[key % parts].append(key)
    return divided


#: People that are named for each kind of trouble, and reasons of failures that are told apart.
EXAMPLES, REASONS = 3, 5


@dataclass(slots=True)
class Tally:
    """How many people something is so for, and the keys of the first of them."""

    count: int = 0
    people: list[str] = field(default_factory=list)

    def note(self, key: str) -> None:
        self.count += 1
        if len(self.people) < EXAMPLES:
            self.people.append(key)

    def add(self, other: "Tally") -> None:
        self.count += other.count
        self.people = [*self.people, *other.people][:EXAMPLES]


@dataclass(slots=True)
class Seen:
    """`failures` by reason ("" for those behind the first few), `empty` by variable, `reach` by send-to function;
    `biggest` is the size of the longest body in bytes, and `biggest_for` the person who gets it."""

    people: int = 0
    without_address: Tally = field(default_factory=Tally)
    unresolved: Tally = field(default_factory=Tally)
    failures: dict[str, Tally] = field(default_factory=dict)
    empty: dict[str, Tally] = field(default_factory=dict)
    biggest: int = 0
    biggest_for: str = ""
    reach: dict[str, Reach] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return sum(tally.count for tally in self.failures.values())

    def failures_for(self, why: str) -> Tally:
        if why not in self.failures and len(self.failures) >= REASONS:
            why = ""
        return self.failures.setdefault(why, Tally())

    def note_size(self, size: int, key: str) -> None:
        if size > self.biggest:
            self.biggest, self.biggest_for = size, key

    def add(self, other: "Seen") -> None:
        """What `other` has seen of other people. Addresses that come in both are counted twice in `reach`."""
        self.people += other.people
        self.without_address.add(other.without_address)
        self.unresolved.add(other.unresolved)
        for why, tally in other.failures.items():
            self.failures_for(why).add(tally)
        for name, tally in other.empty.items():
            self.empty.setdefault(name, Tally()).add(tally)
        self.note_size(other.biggest, other.biggest_for)
        for sendto, reach in other.reach.items():
            self.reach[sendto] = self.reach.get(sendto, Reach()).plus(reach)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Seen":
        """What `as_json` gave; nothing seen yet for {}."""
        if not data:
            return cls()
        return cls(
            people=data["people"],
            without_address=Tally(**data["without_address"]),
            unresolved=Tally(**data["unresolved"]),
            failures={why: Tally(**given) for why, given in data["failures"].items()},
            empty={name: Tally(**given) for name, given in data["empty"].items()},
            biggest=data["biggest"],
            biggest_for=data["biggest_for"],
            reach={sendto: Reach(**given) for sendto, given in data["reach"].items()},
        )
