"""What the doctor is told (`Setup`) and what it found out about it (`SetupFacts`): values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..dns.sentence import Sentence as _

#: The error of what did not answer while somebody waited for it.
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
    """How mail is sent and taken, as far as we are told. Only the domains must be given."""

    #: Domains that stand in From, as `dns.records.domain_name` writes them.
    from_domains: tuple[str, ...]
    #: The address that bounces go to; "" if unknown.
    return_path: str = ""
    #: Names of DKIM keys, our own and the relay's. A key is at <selector>._domainkey.<domain>.
    selectors: tuple[str, ...] = ()
    #: Selector -> the public key (base64) that belongs to the private one that we sign with.
    own_keys: Mapping[str, str] = field(default_factory=dict)
    relay: Relay | None = None
    #: IP addresses that our mail leaves from; () if they are the relay's own, or unknown.
    sends_from: tuple[str, ...] = ()
    #: A page that unsubscribes an address made for this try; "" if none is known.
    unsubscribe_url: str = ""
    #: Mail addresses that must reach us; () for the return path and unsubscribe@ in its domain.
    incoming: tuple[str, ...] = ()
    #: The port at which the MX of the return path is asked; in the world always 25.
    mx_port: int = 25


@dataclass(frozen=True, slots=True)
class Answer:
    """What DNS said to one question."""

    #: The values found; () if there are none.
    values: tuple[str, ...] = ()
    #: Why there is no answer, as a sentence; "" if there is one.
    error: str = ""


@dataclass(frozen=True, slots=True)
class MxHost:
    """A host that an MX record names."""

    name: str
    addresses: Answer
    #: Whether the name is a CNAME.
    is_alias: bool = False


@dataclass(frozen=True, slots=True)
class SpfFacts:
    """The SPF records of a domain, and what a receiver makes of them if there is exactly one."""

    records: Answer
    #: Each term that makes a receiver ask DNS, with all look-ups that it costs.
    lookups: tuple[tuple[str, int], ...] = ()
    #: Why a receiver would answer with permerror, as a sentence; "" if it would not.
    problem: str = ""
    #: Address that mail leaves from -> pass, fail, softfail, neutral, none, permerror or temperror.
    results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DkimKey:
    """What DNS has at one selector of a domain."""

    selector: str
    texts: Answer
    #: Our own public key (base64) of this selector; "" if somebody else signs with it.
    own: str = ""


@dataclass(frozen=True, slots=True)
class DmarcFacts:
    """The DMARC policy that receivers find for a domain: its own, or else that of the nearest domain above it."""

    #: The domain that has the policy; "" if none has.
    found_at: str
    #: The DMARC records there.
    texts: Answer
    #: The highest domain, from the one asked about upwards, that has a policy: relaxed alignment goes by it.
    organisation: str = ""
    #: Foreign domain that gets reports -> whether it agrees to get them (RFC 7489, 7.1).
    reports: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What DNS says of a domain in From or of the return path."""

    domain: str
    #: The MX records: "10 host".
    mx: Answer
    #: Their hosts, best first; () for a null MX (RFC 7505).
    mx_hosts: tuple[MxHost, ...]
    #: The domain's own addresses, where mail goes if it has no MX.
    addresses: Answer
    spf: SpfFacts
    #: One for each selector of the Setup.
    dkim: tuple[DkimKey, ...]
    dmarc: DmarcFacts


@dataclass(frozen=True, slots=True)
class ReverseDns:
    """The names (PTR) of an address that mail leaves from."""

    address: str
    names: Answer
    #: Whether one of the names leads back to the address.
    confirmed: bool


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """What the relay said to a connection as the mail backend makes it."""

    relay: Relay
    #: Whether it is on this machine.
    is_local: bool
    #: Why it could not be talked to; "" if it could.
    error: str = ""
    offers_starttls: bool = False
    #: "TLSv1.3", for example; "" if no TLS was spoken.
    tls_version: str = ""
    #: Why its certificate is not to be trusted; "" if it is.
    certificate_problem: str = ""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """How the unsubscribe page answered a GET and then a one-click POST without cookies."""

    url: str
    #: HTTP status; 0 if there was no answer.
    get_status: int = 0
    #: HTTP status; 0 if there was no answer.
    post_status: int = 0
    #: Why there was no answer; "" if there was one.
    error: str = ""
    #: Whether the address was left out of mailings after the GET; None if nobody can tell.
    after_get: bool | None = None
    #: Whether it was after the POST; None if nobody can tell.
    after_post: bool | None = None


@dataclass(frozen=True, slots=True)
class MxReply:
    """What the MX of the return path said to RCPT TO."""

    #: The mail address that it was asked about.
    address: str
    host: str
    #: SMTP reply code; 0 if it could not be asked.
    code: int = 0
    #: The reply's text, or why it could not be asked.
    text: str = ""


@dataclass(frozen=True, slots=True)
class SampleMail:
    """A mail as it leaves."""

    #: Header field, in lower case -> its value on one line.
    headers: Mapping[str, str]
    from_domain: str


@dataclass(frozen=True, slots=True)
class Complaints:
    """How many mails of the last 30 days were called spam."""

    sent: int
    complaints: int


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """Everything that was found out about a Setup."""

    setup: Setup
    #: One for each domain in From.
    domains: tuple[DomainFacts, ...]
    #: The return path's domain, which may be one of `domains`; None if the return path is unknown.
    return_domain: DomainFacts | None
    #: One for each address that mail leaves from.
    reverse: tuple[ReverseDns, ...]
    #: None if there is no relay, or nothing but DNS was asked.
    relay: RelayFacts | None
    #: None if no page is known, or nothing but DNS was asked.
    page: PageFacts | None
    #: One for each address that must reach us; () if no MX could be asked.
    mx_replies: tuple[MxReply, ...]
    #: None without a project.
    sample: SampleMail | None = None
    #: None without a project, or where no provider reports complaints.
    complaints: Complaints | None = None
