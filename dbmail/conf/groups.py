"""How a setting is declared, and the dicts inside `DBMAIL`: settings that belong together.

A setting is a dataclass field that carries its kind (type and check), its help and an example.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from ..exceptions import WrongValue
from . import kinds, network

T = TypeVar("T")
G = TypeVar("G", bound="Group")

#: The gate (mailgates/mailgate.sh) gives a message up, and the mail server brings it again, after 50 seconds.
_GATE_SECONDS = 50.0


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
    kind: kinds.Kind[Any] | None = None
    group: type[Group] | None = None
    #: Of a group: the key that a value without a dict around it was probably meant for.
    bare: str = ""


def setting(kind: kinds.Kind[T], default: T, help: str, *, example: str, otherwise: str = "") -> T:
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


@dataclass(frozen=True, slots=True)
class Retry(Group):
    tries: int = setting(
        kinds.whole(),
        8,
        "How many tries a mail has, the first one included. The setting EMAILRETRIES wins.",
        example="5",
    )
    wait: timedelta = setting(
        kinds.duration(),
        timedelta(minutes=20),
        "How long a mail waits after its first temporary refusal. The wait doubles each time: 8 tries take about two "
        "days.",
        example="timedelta(minutes=10)",
    )


@dataclass(frozen=True, slots=True)
class Breaker(Group):
    share: float = setting(
        kinds.share(),
        0.1,
        "A broadcast is paused, and its creator told, if more than this share of its mails is refused for good. "
        "0: never.",
        example="0.05",
    )
    canary: int = setting(
        kinds.whole(least=0),
        0,
        "So many mails of each broadcast go first, and the rest waits for CANARY_WAIT. 0: all go at once.",
        example="100",
    )
    canary_wait: timedelta = setting(
        kinds.duration(),
        timedelta(minutes=15),
        "How long the rest of a broadcast waits after the last of its first mails.",
        example="timedelta(hours=1)",
    )


@dataclass(frozen=True, slots=True)
class TextLimits(Group):
    characters: int = setting(
        kinds.whole(),
        2_000_000,
        "The longest subject or body that a template may give, in characters.",
        example="500_000",
    )
    seconds: float = setting(
        kinds.seconds(least=0.01),
        5.0,
        "The longest time that it may take to render a mail for one recipient, in seconds.",
        example="2.0",
    )
    rows: int = setting(
        kinds.whole(),
        1000,
        "The most rows of one query that a mail shows or loops over. More are an error, so that memory stays small.",
        example="200",
    )


@dataclass(frozen=True, slots=True)
class LargeAudience(Group):
    people: int = setting(
        kinds.whole(),
        2000,
        "A broadcast to more people than this is large: that is pointed out, and sending it takes APPROVAL.",
        example="500",
    )
    approval: str = setting(
        kinds.choice("typed", "second"),
        "typed",
        'What it takes to send a large broadcast: "typed" (the number of people, typed in) or "second" (another '
        "person).",
        example='"second"',
    )


@dataclass(frozen=True, slots=True)
class Dkim(Group):
    selector: str = setting(
        kinds.word(),
        "",
        "The name of the key in DNS: SELECTOR._domainkey.example.org.",
        example='"db1"',
    )
    key: str = setting(
        kinds.file_path(),
        "",
        "The path of the private key, an RSA key in PEM.",
        example='"/etc/dbmail/dkim.pem"',
    )
    domain: str = setting(
        network.domain(),
        "",
        "The domain that signs.",
        example='"example.org"',
        otherwise="the domain of each From",
    )

    def check(self) -> None:
        if bool(self.selector) != bool(self.key) or (self.domain and not self.key):
            raise WrongValue(_("SELECTOR and KEY are both needed to sign."))


@dataclass(frozen=True, slots=True)
class Dns(Group):
    resolvers: tuple[str, ...] = setting(
        kinds.listed(network.name_server(), "DNS servers"),
        (),
        "The DNS servers that the doctor and the check of From ask, each with or without a port.",
        example='["192.0.2.53", "192.0.2.54:5353"]',
        otherwise="the system's",
    )
    dkim_selectors: tuple[str, ...] = setting(
        kinds.listed(kinds.word(), "str"),
        (),
        "The selectors of the DKIM keys that your relay or provider signs with: the doctor looks them up.",
        example='["s1", "s2"]',
    )
    sends_from: tuple[str, ...] = setting(
        kinds.listed(network.ip_address(), "IP addresses"),
        (),
        "The IP addresses that mail leaves from: SPF must allow them, and each needs a name.",
        example='["192.0.2.25"]',
        otherwise="those of the relay",
    )


@dataclass(frozen=True, slots=True)
class BounceRest(Group):
    hard: timedelta = setting(
        kinds.duration(),
        timedelta(days=365),
        "How long an address gets no mail after mail to it was refused for good.",
        example="timedelta(days=180)",
    )
    soft: timedelta = setting(
        kinds.duration(),
        timedelta(days=30),
        "How long an address gets no mail after too many bounces of another kind: a full mailbox, a policy.",
        example="timedelta(days=14)",
    )
    soft_bounces: int = setting(
        kinds.whole(),
        5,
        "So many bounces of another kind within SOFT_WITHIN are too many.",
        example="3",
    )
    soft_within: timedelta = setting(
        kinds.duration(),
        timedelta(days=14),
        "The time in which bounces of another kind are counted.",
        example="timedelta(days=7)",
    )


@dataclass(frozen=True, slots=True)
class Incoming(Group):
    authserv_ids: tuple[str, ...] = setting(
        kinds.listed(kinds.word(), "str"),
        (),
        "The names under which your own mail server writes Authentication-Results (RFC 8601). Without one, no From "
        "is believed.",
        example='["mx.example.org"]',
    )
    max_size: int = setting(
        kinds.whole(),
        30_000_000,
        "The largest message that is taken, in bytes. The limit of the mail server should be lower.",
        example="10_000_000",
    )
    max_recipients: int = setting(
        kinds.whole(),
        1000,
        "A message to more people than this waits for a moderator.",
        example="200",
    )
    notices: int = setting(
        kinds.whole(least=0),
        3,
        "How often a day one user is told that an address does not exist. 0: never, the mail server tells whom it "
        "likes.",
        example="1",
    )
    send_seconds: float = setting(
        kinds.seconds(below=_GATE_SECONDS),
        10.0,
        "For so many seconds copies leave at once, while the mail server waits; the next pass sends the others. "
        "0: the next pass sends them all.",
        example="5.0",
    )
    keep: timedelta = setting(
        kinds.duration(),
        timedelta(days=30),
        "How long the bytes of an incoming message are kept.",
        example="timedelta(days=90)",
    )
