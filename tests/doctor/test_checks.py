"""The doctor over zones of a real DNS server: each fault is found, and a domain in order is green."""

import pytest

from dbmail.dns.client import Dns
from dbmail.doctor.checks import examine
from dbmail.doctor.facts import Relay, Setup
from dbmail.doctor.finding import Level, worst
from dbmail.doctor.gather import gather

from .zones import GOOD, KEY, OTHERS, a_key, of

SETUP = Setup(
    ("example.org",), "bounces@example.org", ("s1",), sends_from=("192.0.2.25",), incoming=("bounces@example.org",)
)


@pytest.fixture
def look(serve):
    """`look(spf=[...])` runs the doctor over the good zone with some of its lines changed."""

    def look(setup=SETUP, zones=None, **changed):
        lines = [line for part in {**GOOD, **changed}.values() for line in part] + ["mail A 192.0.2.25"]
        server = serve({"example.org": lines, **OTHERS, **(zones or {})})
        return examine(gather(setup, Dns([server.address]), network=False))

    return look


def test_a_domain_in_order_is_green(look):
    findings = look()
    names = {"mx", "spf", "dkim", "dmarc", "alignment", "reverse DNS"}
    assert {f.check for f in findings if f.level is Level.OK} >= names
    assert [f for f in findings if f.check in names and f.level is not Level.OK] == []


@pytest.mark.parametrize(
    ("part", "lines", "level", "says", "publish"),
    [
        ("mx", [], "failure", "takes no mail", "example.org. IN MX 10"),
        ("mx", ["@ A 192.0.2.1"], "warning", "no MX", "IN MX"),
        ("mx", ["@ MX 0 ."], "failure", "null MX", "IN MX"),
        ("mx", ["@ MX 10 gone"], "failure", "gone.example.org has no address", ""),
        ("mx", ["@ MX 10 other", "other CNAME mail"], "warning", "alias", ""),
        ("spf", [], "failure", "no SPF", 'TXT "v=spf1 ip4:192.0.2.25 ~all"'),
        ("spf", ['@ TXT "v=spf1 -all"', '@ TXT "v=spf1 mx -all"'], "failure", "2 SPF records", "ip4:192.0.2.25"),
        ("spf", ['@ TXT "v=spf1 ip4:300.1.1.1 -all"'], "failure", "is not SPF", ""),
        ("spf", ['@ TXT "v=spf1 mx -all"'], "failure", "fail to mail from 192.0.2.25", "mx ip4:192.0.2.25 -all"),
        ("spf", ['@ TXT "v=spf1 +all"'], "failure", "+all", "v=spf1 ~all"),
        ("spf", ['@ TXT "v=spf1 ip4:192.0.2.25"'], "warning", "no end", "ip4:192.0.2.25 ~all"),
        ("spf", ['@ TXT "v=spf1 ip4:192.0.2.25 ?all"'], "warning", "?all", "ip4:192.0.2.25 ~all"),
        ("spf", ['@ TXT "v=spf1 ip4:192.0.2.25 mx include:nine.provider.test -all"'], "warning", "10 look-ups", ""),
        ("spf", ['@ TXT "v=spf1 ip4:192.0.2.25 mx a include:nine.provider.test ~all"'], "failure", "11 look-ups", ""),
        ("spf", ['@ TXT "v=spf1 include:loop.provider.test -all"'], "failure", "look-ups", ""),
        ("spf", ['@ TXT "v=spf1 include:gone.provider.test -all"'], "failure", "no SPF records", ""),
        ("dkim", [], "failure", "no key at s1._domainkey.example.org", ""),
        ("dkim", ['s1._domainkey TXT "v=DKIM1; p="'], "failure", "revoked", ""),
        ("dkim", ['s1._domainkey TXT "hello"'], "failure", "no DKIM key", ""),
        ("dkim", ['s1._domainkey TXT "v=DKIM1; p=%%%"'], "failure", "cannot be read", ""),
        ("dkim", [f's1._domainkey TXT "p={a_key(1024)}"'], "warning", "1024 bits", ""),
        ("dkim", [f's1._domainkey TXT "t=y; p={KEY[:200]}" "{KEY[200:]}"'], "warning", "t=y", ""),
        ("dkim", ['s1._domainkey TXT "p=a"', 's1._domainkey TXT "p=b"'], "failure", "several keys", ""),
        ("dmarc", [], "failure", "no DMARC", '_dmarc.example.org. IN TXT "v=DMARC1; p=none; rua=mailto:bounces@'),
        ("dmarc", ['_dmarc TXT "v=DMARC1; p=maybe"'], "failure", "ignore", "p=none"),
        ("dmarc", ['_dmarc TXT "v=DMARC1; p=none"', '_dmarc TXT "v=DMARC1; p=reject"'], "failure", "2 policies", ""),
        ("dmarc", ['_dmarc TXT "v=DMARC1; p=none; rua=mailto:a@example.org"'], "warning", "p=none", "p=quarantine"),
        ("dmarc", ['_dmarc TXT "v=DMARC1; p=reject"'], "warning", "Nobody gets", "rua=mailto:bounces@example.org"),
        (
            "dmarc",
            ['_dmarc TXT "v=DMARC1; p=reject; rua=mailto:x@provider.test"'],
            "warning",
            "does not agree",
            "example.org._report._dmarc.provider.test. IN TXT",
        ),
    ],
)
def test_each_fault_is_found_with_what_to_do(look, part, lines, level, says, publish):
    findings = of(look(**{part: lines}), part, "example.org")
    fault = next(f for f in findings if says in f.title)
    assert fault.level == level == worst(findings)
    assert fault.advice
    assert publish in fault.record


def test_alignment_follows_the_organisation_and_its_strictness(look):
    news = Setup(("news.example.org",), "bounces@mail.example.org", ("s1",), sends_from=("192.0.2.25",))
    extra = [f's1._domainkey.news TXT "p={KEY[:200]}" "{KEY[200:]}"']
    assert of(look(news, mx=extra), "alignment")[0].level == Level.OK
    strict = ['_dmarc TXT "v=DMARC1; p=reject; aspf=s"']
    assert of(look(news, mx=extra, dmarc=strict), "alignment")[0].level == Level.WARNING
    assert of(look(news, dmarc=strict), "alignment")[0].level == Level.FAILURE
    foreign = Setup(("example.org",), "bounces@provider.test", ("s1",))
    assert of(look(foreign), "alignment")[0].level == Level.WARNING


def test_keys_and_spf_behind_an_alias_count_as_they_do_for_receivers(look):
    setup = Setup(("example.org",), "bounces@em1.example.org", ("s1",), sends_from=("192.0.2.25",))
    provider = ['u1.wl TXT "v=spf1 ip4:192.0.2.25 -all"', "u1.wl MX 10 mx", f's1.wl TXT "p={KEY[:200]}" "{KEY[200:]}"']
    findings = look(setup, dkim=[*provider, "s1._domainkey CNAME s1.wl", "em1 CNAME u1.wl"])
    for check in ("dkim", "spf", "mx", "alignment"):
        assert worst(of(findings, check)) == Level.OK, check


def test_a_relay_of_a_known_provider_must_be_included(look):
    setup = Setup(("example.org",), "bounces@example.org", ("s1",), relay=Relay("smtp.sendgrid.net", 587))
    zones = {"sendgrid.net": ['@ TXT "v=spf1 ip4:203.0.113.0/24 ~all"']}
    fault = of(look(setup, zones), "spf")[0]
    assert fault.level == Level.WARNING and "include:sendgrid.net" in fault.record
    spf = ['@ TXT "v=spf1 include:sendgrid.net -all"']
    assert of(look(setup, zones, spf=spf), "spf")[0].level == Level.OK


def test_reverse_dns_must_lead_back(look):
    setup = Setup(("example.org",), sends_from=("192.0.2.25", "192.0.2.26", "192.0.2.27"))
    reverse = {"2.0.192.in-addr.arpa": ["25 PTR mail.example.org.", "26 PTR mail.example.org."]}
    findings = of(look(setup, reverse), "reverse DNS")
    assert [f.level for f in findings] == [Level.OK, Level.FAILURE, Level.FAILURE]


def test_a_dns_server_that_is_down_is_a_warning_and_no_failure(monkeypatch):
    monkeypatch.setattr("dbmail.dns.client.TIMEOUT", 0.2)
    findings = examine(gather(SETUP, Dns(["127.0.0.1:1"]), network=False))
    own = [f for f in findings if f.check in ("mx", "spf", "dkim", "dmarc")]
    assert own and {f.level for f in own} == {Level.WARNING}


def test_the_checklist_has_a_source_for_each_rule_and_follows_the_findings(look):
    def rules(findings):
        return {f.title.partition(": ")[2]: f.level for f in of(findings, "bulk senders")}

    good, bad = look(), look(dmarc=[], dkim=[])
    assert all(f.source.startswith("https://") for f in of(good, "bulk senders"))
    for rule in ("Publish a DMARC policy, at least p=none.", "Authenticate with SPF and with DKIM."):
        assert (rules(good)[rule], rules(bad)[rule]) == (Level.OK, Level.FAILURE)
