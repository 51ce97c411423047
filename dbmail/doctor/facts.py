"""What the doctor is told (Setup) and what it found out (Facts): values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..dns.sentence import Sentence as _

#: Why something is not known where nobody waited any longer.
UNANSWERED: str = _("no answer in time")


class Encryption(StrEnum):
    """How we talk to the relay."""

    NONE = "none"
    STARTTLS = "STARTTLS"
    TLS = "TLS from the first byte"


@dataclass(frozen=True, slots=True)
class Relay:
    """The server that takes our mail."""

    host: str
    port: int = 25
    encryption: Encryption = Encryption.NONE


@dataclass(frozen=True, slots=True)
class Setup:
    """What to look at. Only the domains must be given."""

    from_domains: tuple[str, ...]
    #: Address that bounces go to; "" for one in the first domain that is not known.
    return_path: str = ""
    #: Names of DKIM keys, of ours and of the relay's: <selector>._domainkey.<domain>.
    selectors: tuple[str, ...] = ()
    #: Selector -> the public key (base64) that belongs to the private one that we sign with.
    own_keys: Mapping[str, str] = field(default_factory=dict)
    relay: Relay | None = None
    #: Addresses that our mail leaves from, where that is not the relay's own.
    sends_from: tuple[str, ...] = ()
    #: A page that unsubscribes, for a probe address.
    unsubscribe_url: str = ""
    #: Addresses that must reach us; the return path and unsubscribe@ beside it if none is given.
    incoming: tuple[str, ...] = ()
    #: Where to ask the MX of the return path; no other port is used in the world.
    mx_port: int = 25


@dataclass(frozen=True, slots=True)
class Answer:
    """What DNS said: values, none, or why there is no answer."""

    values: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class MxHost:
    name: str
    addresses: Answer
    is_alias: bool = False


@dataclass(frozen=True, slots=True)
class Spf:
    """The SPF records of a name, and what a receiver would make of the one."""

    records: Answer
    #: Terms that make a receiver ask DNS, with all look-ups below each.
    lookups: tuple[tuple[str, int], ...] = ()
    #: Why a receiver would answer with permerror, or "".
    problem: str = ""
    #: Sending address -> pass, fail, softfail, neutral, none, permerror or temperror.
    results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DkimKey:
    selector: str
    texts: Answer
    #: Our own public key of this selector, "" where somebody else signs.
    own: str = ""


@dataclass(frozen=True, slots=True)
class Dmarc:
    """The records at the domain, or at the nearest parent that has any, in `found_at`."""

    found_at: str
    texts: Answer
    #: The highest parent that has one: what relaxed alignment goes by.
    organisation: str = ""
    #: Foreign report domains, and whether they agree to get the reports (RFC 7489 7.1).
    reports: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DomainFacts:
    domain: str
    mx: Answer
    mx_hosts: tuple[MxHost, ...]
    addresses: Answer
    spf: Spf
    dkim: tuple[DkimKey, ...]
    dmarc: Dmarc


@dataclass(frozen=True, slots=True)
class Reverse:
    """The names of an address, and whether one of them leads back to it."""

    address: str
    names: Answer
    confirmed: bool


@dataclass(frozen=True, slots=True)
class RelayFacts:
    relay: Relay
    #: Whether it is on this machine.
    is_local: bool
    #: Why it could not be talked to, or "".
    error: str = ""
    offers_starttls: bool = False
    #: "TLSv1.3", "" where no TLS was spoken.
    tls_version: str = ""
    #: Why its certificate is not to be trusted, or "".
    certificate_problem: str = ""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """How a page answered a GET and then a cookieless one-click POST."""

    url: str
    get_status: int = 0
    post_status: int = 0
    error: str = ""
    #: Whether the address is suppressed after each; None where nobody can tell.
    after_get: bool | None = None
    after_post: bool | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What the MX of the return path said to RCPT TO."""

    address: str
    host: str
    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A mail as it leaves: its header fields by lower-case name, and its author's domain."""

    headers: Mapping[str, str]
    from_domain: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """Mails sent and spam complaints that came of them, in the last 30 days."""

    sent: int
    complaints: int


@dataclass(frozen=True, slots=True)
class Facts:
    setup: Setup
    domains: tuple[DomainFacts, ...]
    return_domain: DomainFacts | None
    reverse: tuple[Reverse, ...]
    relay: RelayFacts | None
    page: PageFacts | None
    probes: tuple[Probe, ...]
    sample: Sample | None = None
    feedback: Feedback | None = None
