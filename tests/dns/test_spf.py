import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.dns import spf
from dbmail.dns.errors import BadSpf, DnsUnavailable
from dbmail.dns.records import Record

WANTED = "v=spf1 include:sendgrid.net ~all"


@pytest.mark.parametrize(
    ("old", "merged"),
    [
        ([], WANTED),
        (["v=spf1 -all"], "v=spf1 include:sendgrid.net -all"),
        (["v=spf1 mx a:x.example/24 -all"], "v=spf1 mx a:x.example/24 include:sendgrid.net -all"),
        (["v=spf1 include:sendgrid.net -all"], "v=spf1 include:sendgrid.net -all"),
        (["V=SPF1  +INCLUDE:SendGrid.net ?all"], "V=SPF1  +INCLUDE:SendGrid.net ?all"),
        (["v=spf1 mx"], "v=spf1 mx include:sendgrid.net"),
        (["v=spf1"], "v=spf1 include:sendgrid.net"),
        (["v=spf1 redirect=_spf.example.net"], "v=spf1 include:sendgrid.net redirect=_spf.example.net"),
        (["v=spf1 exp=why.example.org mx -all"], "v=spf1 mx include:sendgrid.net -all exp=why.example.org"),
        (["v=spf1 mx -all include:sendgrid.net"], "v=spf1 mx include:sendgrid.net -all"),
        (
            ["v=spf1 mx -all", "v=spf1 MX ip6:2001:db8::/32 ~all"],
            "v=spf1 mx ip6:2001:db8::/32 include:sendgrid.net ~all",
        ),
        (["v=spf1 include:sendgrid.net -all", "v=spf1 mx"], "v=spf1 include:sendgrid.net mx -all"),
    ],
)
def test_merging(old: list[str], merged: str) -> None:
    assert spf.merge(old, WANTED) == merged


@pytest.mark.parametrize(
    "old",
    [
        ["v=spf1 ip4:1.2.3.4.5 -all"],
        ["v=spf1 ip4:2001:db8::1 -all"],
        ["v=spf1 include: -all"],
        ["v=spf1 all:x"],
        ["v=spf1 include -all"],
        ["v=spf1 mail.example.org -all"],
        ["v=spf1 ~include:sendgrid.net -all"],
        ["v=spf1 redirect=a.example redirect=b.example"],
        ["v=spf1 mx -all", "v=spf1 redirect=a.example"],
    ],
)
def test_what_cannot_be_merged_is_refused(old: list[str]) -> None:
    with pytest.raises(BadSpf):
        spf.merge(old, WANTED)


terms = st.sampled_from(
    ["mx", "a", "-a:b.example", "ip4:192.0.2.0/24", "ip6:2001:db8::1", "include:x.example", "exists:%{i}.e"]
)
records = st.builds(
    lambda middle, end: " ".join(["v=spf1", *middle, *end]),
    st.lists(terms, max_size=5),
    st.sampled_from([[], ["-all"], ["~all"], ["?all"]]),
)


@given(st.lists(records, max_size=3))
def test_merging_twice_is_merging_once_and_loses_no_term(old: list[str]) -> None:
    merged = spf.merge(old, WANTED)
    assert spf.merge([merged], WANTED) == merged
    kept = {term.means for term in spf.parse(merged)}
    assert {t.means for text in [*old, WANTED] for t in spf.parse(text) if t.name != "all"} <= kept


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        spf.parse(f"v=spf1 {text}")
    except BadSpf as error:
        assert str(error)


def lookups(record: str, published: dict[str, str]) -> int:
    return sum(n for _, n in spf.lookups(record, lambda name: [published[name]] if name in published else []))


def test_look_ups_are_counted_through_includes() -> None:
    published = {
        "sendgrid.net": "v=spf1 ip4:192.0.2.1 include:ab.sendgrid.net ~all",
        "ab.sendgrid.net": "v=spf1 ip4:192.0.2.2 ~all",
    }
    assert lookups("v=spf1 a mx ptr exists:%{i}.example ip4:1.2.3.4 include:sendgrid.net -all", published) == 6


def test_a_redirect_counts_only_where_nothing_ends_before_it() -> None:
    published = {"r.example": "v=spf1 mx -all"}
    assert lookups("v=spf1 redirect=r.example", published) == 2
    assert lookups("v=spf1 redirect=r.example -all", published) == 0


def test_what_stands_after_all_costs_nothing() -> None:
    assert lookups("v=spf1 mx -all a include:nowhere.example", {}) == 1


def test_macros_are_one_look_up() -> None:
    assert lookups("v=spf1 include:%{d}.example -all", {}) == 1


def test_records_that_include_each_other_are_over_the_limit_not_endless() -> None:
    published = {"a.example": "v=spf1 include:b.example include:b.example", "b.example": "v=spf1 include:a.example"}
    assert lookups("v=spf1 include:a.example", published) > spf.MAX_LOOKUPS


def test_an_include_of_nothing_is_refused() -> None:
    with pytest.raises(BadSpf, match=r"nowhere\.example has no SPF records"):
        lookups("v=spf1 include:nowhere.example -all", {})


ZONES = {
    ("example.org", "A"): ["192.0.2.10"],
    ("example.org", "AAAA"): ["2001:db8::10"],
    ("example.org", "MX"): ["10 mx.example.org", "0 "],
    ("mx.example.org", "A"): ["192.0.2.20"],
    ("there.example.org", "A"): ["127.0.0.2"],
    ("soft.example.org", "TXT"): ["v=spf1 ip4:192.0.2.1 ~all"],
    ("two.example.org", "TXT"): ["v=spf1 -all", "v=spf1 ~all"],
    ("loop.example.org", "TXT"): ["v=spf1 include:loop.example.org -all"],
}


def checked(record: str, address: str = "192.0.2.1") -> str:
    def resolve(name: str, kind: str) -> list[Record]:
        if name == "silent.example.org":
            raise DnsUnavailable("DNS gave no answer.")
        values = [record, "other text"] if (name, kind) == ("example.org", "TXT") else ZONES.get((name, kind), [])
        return [Record(name, kind, value) for value in values]

    return spf.check_host(address, "example.org", resolve)


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("no SPF", "none"),
        ("v=spf1", "neutral"),
        ("v=spf1 ?all ip4:192.0.2.1", "neutral"),
        ("v=spf1 ip4:192.0.2.0/28 -all", "pass"),
        ("v=spf1 -ip4:192.0.2.1 +all", "fail"),
        ("v=spf1 ip6:::/0 ~all", "softfail"),
        ("v=spf1 a -all", "fail"),
        ("v=spf1 a/24 -all", "pass"),
        ("v=spf1 a/24//64 -all", "pass"),
        ("v=spf1 a:example.org//64 -all", "fail"),
        ("v=spf1 mx -all", "fail"),
        ("v=spf1 mx/27 -all", "pass"),
        ("v=spf1 a/33 -all", "permerror"),
        ("v=spf1 a/x -all", "permerror"),
        ("v=spf1 exists:there.example.org -all", "pass"),
        ("v=spf1 exists:gone.example.org -all", "fail"),
        ("v=spf1 ptr -all", "fail"),
        ("v=spf1 exists:%{i}.example.org -all", "fail"),
        ("v=spf1 include:soft.example.org -all", "pass"),
        ("v=spf1 ~include:soft.example.org -all", "softfail"),
        ("v=spf1 include:gone.example.org -all", "permerror"),
        ("v=spf1 include:two.example.org -all", "permerror"),
        ("v=spf1 include:loop.example.org -all", "permerror"),
        ("v=spf1 include:silent.example.org -all", "temperror"),
        ("v=spf1 ip4:192.0.2.1 include:silent.example.org -all", "pass"),
        ("v=spf1 redirect=soft.example.org", "pass"),
        ("v=spf1 redirect=gone.example.org", "permerror"),
        ("v=spf1 redirect=gone.example.org -all", "fail"),
        ("v=spf1 ip4:300.1.1.1 -all", "permerror"),
        ("v=spf1" + " a:gone.example.org" * 10 + " ip4:192.0.2.1 -all", "pass"),
        ("v=spf1" + " a:gone.example.org" * 11 + " ip4:192.0.2.1 -all", "permerror"),
    ],
)
def test_what_a_receiver_says_of_an_address(record: str, result: str) -> None:
    assert checked(record) == result


def test_an_ipv6_address_is_compared_with_ipv6_addresses_alone() -> None:
    assert checked("v=spf1 a -all", "2001:db8::10") == "pass"
    assert checked("v=spf1 a//64 -all", "2001:db8::11") == "pass"
    assert checked("v=spf1 mx ip4:0.0.0.0/0 -all", "2001:db8::10") == "fail"


@pytest.mark.parametrize(
    ("host", "include"),
    [
        ("smtp.sendgrid.net", "sendgrid.net"),
        ("EMAIL-SMTP.eu-west-1.amazonaws.com", "amazonses.com"),
        ("notsendgrid.net", ""),
        ("mail.example.org", ""),
    ],
)
def test_the_relay_of_a_known_provider_tells_what_to_include(host: str, include: str) -> None:
    assert spf.include_of(host) == include
