"""What a look over people has seen: sums that can be added up, and kept as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .reach import Reach

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

    def without_reasons(self) -> "Seen":
        """The same for somebody who may not see recipients: an error may quote what is stored about a person."""
        total = Tally()
        for tally in self.failures.values():
            total.add(tally)
        return replace(self, failures={"": total} if total.count else {})

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
