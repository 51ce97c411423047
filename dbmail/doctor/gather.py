"""Facts about domains and the relay, from DNS and the network. Trouble is a fact too: nothing raises."""

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
    DkimKey,
    Dmarc,
    DomainFacts,
    Facts,
    Feedback,
    MxHost,
    PageFacts,
    Probe,
    Relay,
    RelayFacts,
    Reverse,
    Sample,
    Setup,
    Spf,
)
from .spf_result import spf_result

T = TypeVar("T")


class Patience:
    """`seconds` for everything together and `each` for one thing; without them, until each gives up by itself."""

    def __init__(self, seconds: float = math.inf, each: float = math.inf) -> None:
        self._each = each
        #: When it ends, by time.monotonic().
        self.until = time.monotonic() + seconds

    def ask(self, question: Callable[[], T], unanswered: T) -> T:
        """What `question` returns, or `unanswered` where that takes too long.

        It is then left to its own time-outs: sockets wait for each line, and some systems' look-ups cannot be
        stopped. So it may not touch the database.
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
    sample: Sample | None = None,
    feedback: Feedback | None = None,
    network: bool = True,
    patience: Patience = _ENDLESS,
) -> Facts:
    """Everything that can be found out about `setup`; without `network` by DNS alone.

    `dns` has a patience of its own.
    """
    relay = _relay(setup.relay, patience) if setup.relay and network else None
    senders = _senders(setup, dns)
    domains = tuple(_domain(domain, setup, dns, senders) for domain in setup.from_domains)
    name = setup.return_path.rpartition("@")[2]
    known = {facts.domain: facts for facts in domains}
    return_domain = (known.get(name) or _domain(name, setup, dns, senders)) if name else None
    return Facts(
        setup=setup,
        domains=domains,
        return_domain=return_domain,
        reverse=tuple(_reverse(address, dns) for address in senders),
        relay=relay,
        page=page or (probe.page(setup.unsubscribe_url) if setup.unsubscribe_url and network else None),
        probes=_probes(setup, return_domain, patience) if return_domain and network else (),
        sample=sample,
        feedback=feedback,
    )


def _relay(relay: Relay, patience: Patience) -> RelayFacts:
    return patience.ask(lambda: probe.relay(relay), RelayFacts(relay, False, UNANSWERED))


def _probes(setup: Setup, domain: DomainFacts, patience: Patience) -> tuple[Probe, ...]:
    unanswered = tuple(Probe(address, domain.domain, text=UNANSWERED) for address in setup.incoming)
    return patience.ask(lambda: probe.return_path(setup, domain), unanswered)


def _senders(setup: Setup, dns: Dns) -> tuple[str, ...]:
    """The public addresses that mail leaves from: as told, else the relay's own."""
    if setup.sends_from or not setup.relay or probe.provider(setup.relay.host):
        return setup.sends_from
    return tuple(
        address
        for address in _addresses(setup.relay.host, dns).values
        if ipaddress.ip_address(address).is_global or setup.relay.host == address
        if not ipaddress.ip_address(address).is_loopback
    )


def _ask(dns: Dns, name: str, *kinds: str) -> Answer:
    try:
        return Answer(tuple(record.value for kind in kinds for record in dns.resolve(name, kind)))
    except DnsUnavailable as error:
        return Answer(error=error.sentence)


def _addresses(host: str, dns: Dns) -> Answer:
    try:
        return Answer((str(ipaddress.ip_address(host)),))
    except ValueError:
        return _ask(dns, host, "A", "AAAA")


def _domain(domain: str, setup: Setup, dns: Dns, senders: Iterable[str]) -> DomainFacts:
    mx = _ask(dns, domain, "MX")
    hosts = [value.rpartition(" ")[2] for value in sorted(mx.values, key=_preference)]
    return DomainFacts(
        domain=domain,
        mx=mx,
        mx_hosts=tuple(
            MxHost(host, _addresses(host, dns), bool(_ask(dns, host, "CNAME").values)) for host in hosts if host
        ),
        addresses=_addresses(domain, dns),
        spf=_spf(domain, dns, senders),
        dkim=tuple(
            DkimKey(name, _ask(dns, f"{name}._domainkey.{domain}", "TXT"), setup.own_keys.get(name, ""))
            for name in setup.selectors
        ),
        dmarc=dmarc_of(domain, dns),
    )


def _preference(mx: str) -> int:
    number = mx.partition(" ")[0]
    return int(number) if number.isdigit() else 0


def _spf(domain: str, dns: Dns, senders: Iterable[str]) -> Spf:
    texts = _ask(dns, domain, "TXT")
    records = tuple(text for text in texts.values if spf.is_spf(text))
    if len(records) != 1:
        return Spf(Answer(records, texts.error))
    try:
        lookups = tuple(spf.lookups(records[0], dns.txt))
    except BadSpf as error:
        return Spf(Answer(records), problem=error.sentence)
    except DnsUnavailable as error:
        return Spf(Answer(records, error.sentence))
    results = {address: spf_result(address, domain, dns.resolve) for address in senders}
    return Spf(Answer(records), lookups, results=results)


def dmarc_of(domain: str, dns: Dns) -> Dmarc:
    """The policy that receivers find for `domain`."""
    found_at, found, organisation = "", Answer(), ""
    for name in parents(domain):
        answer = _ask(dns, f"_dmarc.{name}", "TXT")
        texts = tuple(text for text in answer.values if dmarc.is_dmarc(text))
        if answer.error and not found_at:
            return Dmarc("", Answer(error=answer.error))
        if texts:
            organisation = name
            if not found_at:
                found_at, found = name, Answer(texts)
    reports = {
        host: any(dmarc.is_dmarc(text) for text in _ask(dns, f"{found_at}._report._dmarc.{host}", "TXT").values)
        for text in found.values[:1]
        for host in dmarc.foreign_report_domains(text, found_at)
    }
    return Dmarc(found_at, found, organisation, reports)


def _reverse(address: str, dns: Dns) -> Reverse:
    names = _ask(dns, ipaddress.ip_address(address).reverse_pointer, "PTR")
    wanted = ipaddress.ip_address(address)
    back = [ipaddress.ip_address(text) for name in names.values for text in _addresses(name, dns).values]
    return Reverse(address, names, wanted in back)
