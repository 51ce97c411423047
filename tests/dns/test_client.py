import socket

import pytest

from dbmail.dns.client import Dns
from dbmail.dns.errors import DnsUnavailable, NotConfigured
from dbmail.dns.records import Record

from ..knot import DnsServer

CNAME = Record("em.example.org", "CNAME", "u7.wl.sendgrid.net")
SPF = Record("example.org", "TXT", "v=spf1 mx ~all")


@pytest.fixture
def dns(dns_server: DnsServer) -> Dns:
    return Dns([dns_server.address])


def test_answers_are_read_as_records(dns: Dns, dns_server: DnsServer) -> None:
    dns_server.put("example.org", "em.example.org", "CNAME", "U7.WL.sendgrid.net.")
    dns_server.put("example.org", "example.org", "TXT", '"one " "text"', r'"\233"')
    assert dns.records("em.example.org", "CNAME") == [CNAME]
    assert sorted(dns.texts("example.org")) == ["one text", "é"]
    assert dns.texts("nothing.example.org") == []


def test_a_zone_that_nobody_serves_is_no_answer(dns: Dns) -> None:
    with pytest.raises(DnsUnavailable, match="no usable answer"):
        dns.texts("example.invalid")


def test_silence_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dns = Dns([f"127.0.0.1:{silent.getsockname()[1]}"])
        with pytest.raises(DnsUnavailable, match="no answer in time"):
            dns.texts("example.org")


def test_the_zone_of_a_name_is_the_nearest_with_an_soa(dns: Dns) -> None:
    assert dns.zone_of("s1._domainkey.news.example.org") == "example.org"


def test_an_alias_of_a_zone_is_no_zone(dns: Dns, dns_server: DnsServer) -> None:
    dns_server.put("example.org", "url.example.org", "CNAME", "example.org.")
    assert dns.zone_of("url.example.org") == "example.org"
    assert dns.records("url.example.org", "SOA") == []


def test_texts_behind_an_alias_are_read(dns: Dns, dns_server: DnsServer) -> None:
    dns_server.put("example.org", "_spf.example.org", "CNAME", "example.org.")
    dns_server.put("example.org", "example.org", "TXT", '"v=spf1 mx ~all"')
    assert dns.texts("_spf.example.org") == ["v=spf1 mx ~all"]


def test_what_dns_says_instead_is_told(dns: Dns, dns_server: DnsServer) -> None:
    dns_server.put("example.org", "em.example.org", "CNAME", "shop.example.net.")
    assert dns.missing([CNAME]) == [f"{CNAME}: 127.0.0.1 answers shop.example.net"]


def test_two_spf_records_are_not_what_is_wanted(dns: Dns, dns_server: DnsServer) -> None:
    dns_server.put("example.org", "example.org", "TXT", '"v=spf1 mx ~all"', '"other"')
    assert dns.missing([SPF]) == []
    dns_server.put("example.org", "example.org", "TXT", '"v=spf1 mx ~all"', '"v=spf1 -all"')
    assert len(dns.missing([SPF])) == 1


def test_waiting_ends_when_dns_answers(dns: Dns, dns_server: DnsServer) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            dns_server.put("example.org", "em.example.org", "CNAME", "u7.wl.sendgrid.net.")

    assert dns.wait_for([CNAME], 600, sleep=sleep) == []
    assert pauses == [1, 2, 4]


def test_waiting_ends_when_time_is_up(dns: Dns) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    assert len(dns.wait_for([CNAME], 60, sleep=sleep, clock=lambda: now[0])) == 1
    assert now[0] == 60


def test_without_a_named_resolver_the_zones_own_servers_are_asked(dns_server: DnsServer) -> None:
    dns = Dns([dns_server.address], direct_port=dns_server.port)
    dns._named = []  # as if the address came from the system
    assert len(dns.missing([CNAME])) == 1
    dns_server.put("example.org", "em.example.org", "CNAME", "u7.wl.sendgrid.net.")
    assert dns.missing([CNAME]) == []
    assert [r.nameservers for r in dns._direct["example.org"]] == [["127.0.0.1"]]


@pytest.mark.parametrize("text", ["", "dns.example.org", "192.0.2.1:x", "192.0.2.1:0", "[::1]:99999"])
def test_a_resolver_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NotConfigured, match="The DNS server"):
        Dns([text])


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:53"])
def test_resolvers_are_addresses_with_or_without_a_port(text: str) -> None:
    assert Dns([text])
