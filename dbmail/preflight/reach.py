"""What a survey sees: how many mails each send-to function makes, and sums that can be added up over pieces."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.crypto import salted_hmac

from ..audience.sendto import kinds_of
from ..models import MessageRequest

#: Kinds of contacts, the person's own addresses first.
KINDS = ("self", "guardian", "emergency")
#: Name of a send-to function -> the kinds of contacts that it takes.
SENDTO = {name: kinds_of(name) for name, _label in MessageRequest.SENDTO_FN_CHOICES}
#: Keys that are put into sets at a time: a set takes ten times the memory of an array.
_AT_A_TIME = 250_000


@dataclass(frozen=True, slots=True)
class Reach:
    """How many mails one send-to function makes."""

    mails: int = 0
    #: Mails that are not sent, because the address is suppressed.
    suppressed: int = 0
    #: Mails that are not made, because another person's says the same to the same address.
    duplicates: int = 0

    def plus(self, other: "Reach") -> "Reach":
        return Reach(self.mails + other.mails, self.suppressed + other.suppressed, self.duplicates + other.duplicates)


def _no_keys() -> "array[int]":
    return array("Q")


@dataclass(slots=True)
class Keys:
    """The mails of some people, as 64-bit keys: equal for the same text to the same address, and telling no address.

    A person's contacts of several kinds may share an address: that is one mail, and no duplicate.
    """

    #: Kind of contact -> keys of its mails.
    of_kind: dict[str, "array[int]"] = field(default_factory=lambda: {kind: _no_keys() for kind in KINDS})
    #: Keys of mails to suppressed addresses.
    suppressed: "array[int]" = field(default_factory=_no_keys)
    #: Name of a send-to function -> how many different keys each person has, summed up.
    links: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SENDTO, 0))

    def add_person(self, keys: "Mapping[str, Iterable[int]]") -> None:
        """Add the keys of one person, by kind of contact."""
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
        """As columns of a PreflightPiece."""
        columns: dict[str, Any] = {f"{kind}_keys": keys.tobytes() for kind, keys in self.of_kind.items()}
        return {**columns, "suppressed_keys": self.suppressed.tobytes(), "links": self.links}

    @classmethod
    def of(cls, row: Any) -> "Keys":
        """The keys in a row of PreflightPiece."""
        keys = cls(links=dict(row.links))
        for kind in KINDS:
            keys.of_kind[kind].frombytes(bytes(getattr(row, f"{kind}_keys")))
        keys.suppressed.frombytes(bytes(row.suppressed_keys))
        return keys


def key_of(text: str) -> int:
    """A 64-bit key that is equal for equal texts; without the site's SECRET_KEY nobody can tell which."""
    digest = salted_hmac("dbmail.preflight", text, algorithm="sha256").digest()
    return int.from_bytes(digest[:8])


def reach_of(keys: Keys) -> dict[str, Reach]:
    """The exact numbers of mails for these people, by send-to function."""
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
    """`keys` in as many parts, such that equal keys are in the same one."""
    if parts == 1:
        return [keys]
    divided = [_no_keys() for _part in range(parts)]
    for key in keys:
        divided[key % parts].append(key)
    return divided


#: The most people that are named for each kind of trouble.
EXAMPLES = 3
#: The most reasons of failures that are told apart; further ones are counted together.
REASONS = 5


@dataclass(slots=True)
class Tally:
    """How many people have some trouble, and the keys of the first EXAMPLES of them."""

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
    """What a survey of some people has found."""

    #: How many people.
    people: int = 0
    #: Those without an address of the wanted kinds.
    without_address: Tally = field(default_factory=Tally)
    #: Those with an address that cannot be used.
    unresolved: Tally = field(default_factory=Tally)
    #: Reason why the text fails -> for whom; "" for reasons beyond the first REASONS.
    failures: dict[str, Tally] = field(default_factory=dict)
    #: Variable -> those for whom it is empty.
    empty: dict[str, Tally] = field(default_factory=dict)
    #: Size of the longest body, in bytes.
    biggest: int = 0
    #: Key of the person who gets it.
    biggest_for: str = ""
    #: Name of a send-to function -> the mails that it makes.
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
        """Add what `other` has seen of other people. In `reach`, addresses that both have are counted twice."""
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
        """The inverse of `as_json`; {} is read as nothing seen."""
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
