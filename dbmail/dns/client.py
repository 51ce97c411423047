"""Questions to DNS: through the resolvers that are named, or else straight to the name servers of each zone."""

import math
import time
from collections.abc import Callable, Iterable

import dns.exception
import dns.inet
import dns.name
import dns.rdata
import dns.resolver

from . import dmarc, spf
from .errors import DnsUnavailable, NotConfigured
from .records import Record
from .sentence import Sentence as _

#: Seconds that one question may take, repeats included.
TIMEOUT = 5.0
#: Seconds between two looks while waiting for DNS: at first, then twice as many each time, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
_GAVE_NONE = _("DNS (%(server)s) gave no answer in time for %(type)s of %(name)s.")
_GAVE_NO_USE = _("DNS (%(server)s) gave no usable answer for %(type)s of %(name)s.")


class Dns:
    """Asks DNS. All names are full and without the last dot.

    `resolvers` are addresses: "192.0.2.53", "192.0.2.53:5353" or "[2001:db8::53]:5353". With none, the system's
    resolver is asked about other people's records, and every name server of their zone about records that were
    just posted: a resolver would go on saying "no such name" for the zone's negative TTL (RFC 2308).

    From `until` on (by time.monotonic()) `records`, `resolve` and `texts` raise DnsUnavailable at once.
    `direct_port` is where the name servers of a zone listen; in the world always 53. Raises NotConfigured for a
    resolver that is no address, or if none is given and the system names none.
    """

    def __init__(self, resolvers: Iterable[str] = (), *, direct_port: int = 53, until: float = math.inf) -> None:
        self._direct_port = direct_port
        self._until = until
        #: Zone -> a resolver for each of its name servers.
        self._direct: dict[str, list[dns.resolver.Resolver]] = {}
        self._named = [_resolver(*_address(text)) for text in resolvers]
        self._system = self._named[0] if self._named else _system_resolver()

    def records(self, name: str, record_type: str) -> list[Record]:
        """The records at this very name; [] if there are none, or an alias instead. Raises DnsUnavailable."""
        return _query(self._system, name, record_type, within=self._until - time.monotonic())

    def resolve(self, name: str, record_type: str) -> list[Record]:
        """What receivers of mail get: the records of a name, or of what it is an alias of. Raises DnsUnavailable."""
        return _query(self._system, name, record_type, within=self._until - time.monotonic(), follow=True)

    def texts(self, name: str) -> list[str]:
        """The texts (TXT) of a name, or of what it is an alias of. Raises DnsUnavailable."""
        return [record.value for record in self.resolve(name, "TXT")]

    def zone_of(self, name: str) -> str:
        """The zone that a name lies in: the nearest name at or above it with an SOA record. Raises DnsUnavailable."""
        above = name
        while "." in above:
            if self.records(above, "SOA"):
                return above
            above = above.partition(".")[2]
        raise DnsUnavailable(_("No zone for %(name)s is in DNS. Is the domain registered and delegated?", name=name))

    def missing(self, wanted: Iterable[Record]) -> list[str]:
        """A sentence for each record that DNS, or one of the servers asked, does not show as wanted."""
        sentences = []
        for record in wanted:
            try:
                wrong = [text for text in (_difference(r, record) for r in self._resolvers_for(record.name)) if text]
            except DnsUnavailable as error:
                wrong = [str(error)]
            sentences += [f"{record}: {wrong[0]}"] if wrong else []
        return sentences

    def wait_for(
        self,
        wanted: Iterable[Record],
        seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[list[str]], None] = lambda missing: None,
    ) -> list[str]:
        """Wait at most `seconds` until nothing is missing; what `missing` says then, [] if nothing is.

        Looks at once, then less and less often; before each pause `tell` gets what is missing.
        """
        deadline, pause = clock() + seconds, _FIRST_PAUSE
        left = list(wanted)
        while sentences := self.missing(left):
            remaining = deadline - clock()
            if remaining <= 0:
                return sentences
            tell(sentences)
            sleep(min(pause, remaining))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return []

    def _resolvers_for(self, name: str) -> list[dns.resolver.Resolver]:
        """Whom to ask about a record that was just posted. Raises DnsUnavailable."""
        if self._named:
            return self._named
        zone = self.zone_of(name)
        if zone not in self._direct:
            hosts = [record.value for record in self.records(zone, "NS")]
            addresses = [a.value for host in hosts for kind in ("A", "AAAA") for a in self.records(host, kind)]
            # An IPv6 address is no use on a machine without IPv6: one family is enough.
            addresses = [a for a in addresses if ":" not in a] or addresses
            if not addresses:
                raise DnsUnavailable(_("The name servers of %(zone)s have no addresses.", zone=zone))
            self._direct[zone] = [_resolver(address, self._direct_port) for address in addresses]
        return self._direct[zone]


def _difference(resolver: dns.resolver.Resolver, wanted: Record) -> str:
    """What a server says instead of `wanted`, "" if it agrees. Of SPF and DMARC there may be only one record."""
    found = _query(resolver, wanted.name, wanted.type)
    kind = next((test for test in (spf.is_spf, dmarc.is_dmarc) if wanted.type == "TXT" and test(wanted.value)), None)
    if kind is None and wanted in found:
        return ""
    if kind is not None and [r for r in found if kind(r.value)] == [wanted]:
        return ""
    shown = ", ".join(record.value for record in found) or "nothing"
    return f"{resolver.nameservers[0]} answers {shown}"


def _query(
    resolver: dns.resolver.Resolver, name: str, record_type: str, *, within: float = math.inf, follow: bool = False
) -> list[Record]:
    """The records that a resolver answers with, in `within` seconds at most. Raises DnsUnavailable.

    `follow`: take what an alias points to for the name's own, as receivers of mail do; a zone does not.
    """
    try:
        answer = resolver.resolve(name + ".", record_type, raise_on_no_answer=False, lifetime=min(within, TIMEOUT))
    except dns.resolver.NXDOMAIN:
        return []
    except dns.resolver.YXDOMAIN as error:
        raise DnsUnavailable(_("%(name)s: %(error)s", name=name, error=str(error))) from None
    except (dns.exception.DNSException, OSError) as error:
        text = _GAVE_NONE if isinstance(error, dns.exception.Timeout) else _GAVE_NO_USE
        values = {"server": str(resolver.nameservers[0]), "type": record_type, "name": name}
        raise DnsUnavailable(_(text, **values)) from None
    rrset = answer.rrset
    if rrset is None or not (follow or rrset.name == dns.name.from_text(name)):
        return []
    return [Record(name, record_type, _value(rdata), rrset.ttl) for rdata in rrset]


def _value(rdata: dns.rdata.Rdata) -> str:
    """The value of a record as `Record.value` has it."""
    if hasattr(rdata, "strings"):
        return b"".join(rdata.strings).decode("latin-1")
    return str(rdata).rstrip(".").lower()


def _resolver(address: str, port: int) -> dns.resolver.Resolver:
    """A resolver that asks this server and reads nothing of the system's configuration."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [address]
    resolver.port = port
    resolver.timeout = TIMEOUT / 2  # of one try, so that a lost packet leaves time for another
    return resolver


def _system_resolver() -> dns.resolver.Resolver:
    """Raises NotConfigured."""
    try:
        return dns.resolver.Resolver()
    except dns.exception.DNSException as error:
        raise NotConfigured(
            _("The system names no DNS resolver (%(error)s). Give one with --resolver.", error=str(error))
        ) from None


def _address(text: str) -> tuple[str, int]:
    """("192.0.2.53", 53) from "192.0.2.53", with or without a port. Raises NotConfigured."""
    host, port = text.strip(), "53"
    if host.startswith("["):
        host, _bracket, port = host[1:].partition("]")
        port = port.removeprefix(":") or "53"
    elif host.count(":") == 1:
        host, _colon, port = host.partition(":")
    if not port.isdigit() or not 0 < int(port) < 65536 or not dns.inet.is_address(host):
        raise NotConfigured(
            _("The DNS server %(text)r is not an address like 192.0.2.53 or 192.0.2.53:5353.", text=text)
        )
    return host, int(port)
