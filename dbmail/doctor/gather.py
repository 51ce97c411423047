"""Facts about domains and the relay, from DNS and the network. Trouble is a fact too: nothing here raises."""

import ipaddress
import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

from ..dns import dmarc, spf
from ..dns.client import Dns
from ..dns.errors import BadSpf, DnsUnavailable
from ..dns.records import parents
from . import probe
from .facts import (
    UNANSWERED,
    Answer,
    Complaints,
    DkimKey,
    DmarcFacts,
    DomainFacts,
    MxHost,
    MxReply,
    PageFacts,
    Relay,
    RelayFacts,
    ReverseDns,
    SampleMail,
    Setup,
    SetupFacts,
    SpfFacts,
)

T = TypeVar("T")


class Patience:
    """How long somebody waits: `seconds` for everything together, and `each` for one thing.

    Without them each thing is waited for until it gives up by itself.
    """

    def __init__(self, seconds: float = math.inf, each: float = math.inf) -> None:
        self._each = each
        #: When it ends, by time.monotonic().
        self.until = time.monotonic() + seconds

    def ask(self, question: Callable[[], T], unanswered: T) -> T:
        """What `question` returns or raises; `unanswered` if that takes too long.

        It is then left behind, to end by its own time-outs: a socket waits anew for each line, and on some systems
        a look-up of a name cannot be stopped. It runs in a thread, so it must not touch the database.
        """
        wait = min(self._each, self.until - time.monotonic())
        if wait == math.inf:
            return question()
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:  # raised again where the answer is waited for
                answer.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        try:
            return answer.result(max(wait, 0))
        except TimeoutError:
            return unanswered


_ENDLESS = Patience()


def gather(
    setup: Setup,
    dns: Dns,
    *,
    page: PageFacts | None = None,
    sample: SampleMail | None = None,
    complaints: Complaints | None = None,
    network: bool = True,
    patience: Patience = _ENDLESS,
) -> SetupFacts:
    """Everything that can be found out about `setup`; without `network` from DNS alone.

    `page`, `sample` and `complaints` are what a project knows besides. `patience` is for the network; `dns` has a
    limit of its own.
    """
    relay = _relay(setup.relay, patience) if setup.relay and network else None
    senders = _senders(setup, dns)
    domains = tuple(_domain(domain, setup, dns, senders) for domain in setup.from_domains)
    name = setup.return_path.rpartition("@")[2]
    known = {facts.domain: facts for facts in domains}
    return_domain = (known.get(name) or _domain(name, setup, dns, senders)) if name else None
    return SetupFacts(
        setup=setup,
        domains=domains,
        return_domain=return_domain,
        reverse=tuple(_reverse(address, dns) for address in senders),
        relay=relay,
        page=page or (probe.ask_page(setup.unsubscribe_url) if setup.unsubscribe_url and network else None),
        mx_replies=_mx_replies(setup, return_domain, patience) if return_domain and network else (),
        sample=sample,
        complaints=complaints,
    )


def _relay(relay: Relay, patience: Patience) -> RelayFacts:
    return patience.ask(lambda: probe.ask_relay(relay), RelayFacts(relay, False, UNANSWERED))


def _mx_replies(setup: Setup, domain: DomainFacts, patience: Patience) -> tuple[MxReply, ...]:
    unanswered = tuple(MxReply(address, domain.domain, text=UNANSWERED) for address in setup.incoming)
    return patience.ask(lambda: probe.ask_mx(setup, domain), unanswered)


def _senders(setup: Setup, dns: Dns) -> tuple[str, ...]:
    """The addresses that mail leaves from: as we are told, else the relay's own public ones.

    () for a known provider's relay, whose mail leaves from others.
    """
    if setup.sends_from or not setup.relay or spf.include_of(setup.relay.host):
        return setup.sends_from
    return tuple(
        address
        for address in _addresses(setup.relay.host, dns).values
        if ipaddress.ip_address(address).is_global or setup.relay.host == address
        if not ipaddress.ip_address(address).is_loopback
    )


def _answer(dns: Dns, name: str, *types: str) -> Answer:
    """The values of these types of record, aliases followed."""
    try:
        return Answer(tuple(record.value for each in types for record in dns.resolve(name, each)))
    except DnsUnavailable as error:
        return Answer(error=error.sentence)


def _addresses(host: str, dns: Dns) -> Answer:
    """The addresses of a host; of an address itself."""
    try:
        return Answer((str(ipaddress.ip_address(host)),))
    except ValueError:
        return _answer(dns, host, "A", "AAAA")


def _domain(domain: str, setup: Setup, dns: Dns, senders: Iterable[str]) -> DomainFacts:
    mx = _answer(dns, domain, "MX")
    hosts = [value.rpartition(" ")[2] for value in sorted(mx.values, key=_preference)]
    return DomainFacts(
        domain=domain,
        mx=mx,
        mx_hosts=tuple(
            MxHost(host, _addresses(host, dns), bool(_answer(dns, host, "CNAME").values)) for host in hosts if host
        ),
        addresses=_addresses(domain, dns),
        spf=_spf(domain, dns, senders),
        dkim=tuple(
            DkimKey(name, _answer(dns, f"{name}._domainkey.{domain}", "TXT"), setup.own_keys.get(name, ""))
            for name in setup.selectors
        ),
        dmarc=dmarc_of(domain, dns),
    )


def _preference(mx: str) -> int:
    """The number in "10 host": the lower, the better."""
    number = mx.partition(" ")[0]
    return int(number) if number.isdigit() else 0


def _spf(domain: str, dns: Dns, senders: Iterable[str]) -> SpfFacts:
    texts = _answer(dns, domain, "TXT")
    records = tuple(text for text in texts.values if spf.is_spf(text))
    if len(records) != 1:
        return SpfFacts(Answer(records, texts.error))
    try:
        lookups = tuple(spf.lookups(records[0], dns.texts))
    except BadSpf as error:
        return SpfFacts(Answer(records), problem=error.sentence)
    except DnsUnavailable as error:
        return SpfFacts(Answer(records, error.sentence))
    results = {address: spf.check_host(address, domain, dns.resolve) for address in senders}
    return SpfFacts(Answer(records), lookups, results=results)


def dmarc_of(domain: str, dns: Dns) -> DmarcFacts:
    """The policy that receivers find for `domain`."""
    found_at, found, organisation = "", Answer(), ""
    for name in parents(domain):
        answer = _answer(dns, f"_dmarc.{name}", "TXT")
        texts = tuple(text for text in answer.values if dmarc.is_dmarc(text))
        if answer.error and not found_at:
            return DmarcFacts("", Answer(error=answer.error))
        if texts:
            organisation = name
            if not found_at:
                found_at, found = name, Answer(texts)
    reports = {
        host: any(dmarc.is_dmarc(text) for text in _answer(dns, f"{found_at}._report._dmarc.{host}", "TXT").values)
        for text in found.values[:1]
        for host in dmarc.foreign_report_domains(text, found_at)
    }
    return DmarcFacts(found_at, found, organisation, reports)


def _reverse(address: str, dns: Dns) -> ReverseDns:
    wanted = ipaddress.ip_address(address)
    names = _answer(dns, wanted.reverse_pointer, "PTR")
    back = [ipaddress.ip_address(text) for name in names.values for text in _addresses(name, dns).values]
    return ReverseDns(address, names, wanted in back)
