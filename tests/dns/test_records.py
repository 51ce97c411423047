import pytest

from dbmail.dns import dmarc
from dbmail.dns.errors import NotConfigured
from dbmail.dns.records import Change, Record, domain_name, parents, plan

ZONE = "example.org"
SPF = Record(ZONE, "TXT", "v=spf1 include:sendgrid.net ~all", 3600)
DKIM = Record("s1._domainkey.example.org", "CNAME", "s1.domainkey.u7.wl.sendgrid.net")
DMARC = Record("_dmarc.example.org", "TXT", "v=DMARC1; p=none")


def test_what_is_missing_is_created() -> None:
    made = plan(ZONE, [], [SPF, DKIM, DMARC])
    assert [(change.name, change.old, change.new) for change in made.changes] == [
        (record.name, (), (record,)) for record in (SPF, DKIM, DMARC)
    ]
    assert (made.conflicts, made.end) == ((), (SPF, DKIM, DMARC))


def test_what_is_there_is_left_alone() -> None:
    made = plan(ZONE, [SPF, DKIM, DMARC], [SPF, DKIM, DMARC])
    assert made.changes == ()
    assert made.end == (SPF, DKIM, DMARC)


def test_planning_the_outcome_again_plans_nothing() -> None:
    old = [Record(ZONE, "TXT", "v=spf1 mx -all"), Record(ZONE, "TXT", "other"), Record(ZONE, "TXT", "v=spf1 a ?all")]
    made = plan(ZONE, old, [SPF, DKIM, DMARC])
    after = [record for change in made.changes for record in change.new]
    assert plan(ZONE, after, [SPF, DKIM, DMARC]).changes == ()


def test_a_set_keeps_its_other_texts_in_their_spelling() -> None:
    other = Record(ZONE, "TXT", "two strings", 60, '"two " "strings"')
    made = plan(ZONE, [other, Record(ZONE, "TXT", "v=spf1 mx -all", 60)], [SPF])
    new = made.changes[0].new
    assert [(record.value, record.raw) for record in new] == [
        ("two strings", '"two " "strings"'),
        ("v=spf1 mx include:sendgrid.net -all", ""),
    ]
    assert new[1].ttl == 60


def test_two_wishes_for_one_set_are_one_change() -> None:
    made = plan(ZONE, [], [SPF, Record(ZONE, "TXT", "some-verification")])
    assert made.changes == (
        Change(ZONE, ZONE, "TXT", (), (SPF, Record(ZONE, "TXT", "some-verification")), "no SPF yet; missing"),
    )


@pytest.mark.parametrize(
    "text", ["v=DMARC1; p=reject", "v=DMARC1;p=quarantine;pct=50", "v=DMARC1; rua=mailto:a@b.example"]
)
def test_a_dmarc_policy_is_kept(text: str) -> None:
    there = Record(DMARC.name, "TXT", text)
    made = plan(ZONE, [there], [DMARC])
    assert (made.changes, made.conflicts, made.end) == ((), (), (there,))


def test_a_dmarc_policy_that_is_published_elsewhere_is_kept() -> None:
    alias = Record(DMARC.name, "CNAME", "example.org.dmarc.example.net")
    made = plan(ZONE, [alias], [DMARC])
    assert (made.changes, made.conflicts, made.end) == ((), (), (alias,))


@pytest.mark.parametrize(
    ("old", "wanted", "said"),
    [
        ([Record(DKIM.name, "CNAME", "else.example.net")], DKIM, "is in the way of"),
        ([Record(DKIM.name, "TXT", "v=DKIM1; p=abc")], DKIM, "cannot stand beside"),
        ([Record(ZONE, "CNAME", "shop.example.net")], SPF, "cannot stand beside"),
        ([], Record(ZONE, "CNAME", "sendgrid.net"), "the top of a zone"),
        ([DMARC, Record(DMARC.name, "TXT", "v=DMARC1; p=reject")], DMARC, "2 DMARC records"),
        ([Record(DMARC.name, "TXT", "v=DMARC1; p=all")], DMARC, "p=all is none of"),
        ([Record(ZONE, "TXT", "v=spf1 ipv4:192.0.2.1 -all")], SPF, "'ipv4:192.0.2.1'"),
        ([Record(ZONE, "TXT", "v=spf1 -include:sendgrid.net -all")], SPF, "contradicts"),
        ([Record("m1._domainkey.a.org", "TXT", "old")], Record("m1._domainkey.a.org", "TXT", "k"), "in the way"),
    ],
)  # fmt: skip
def test_conflicts_are_named_and_nothing_is_planned(old: list[Record], wanted: Record, said: str) -> None:
    made = plan(ZONE, old, [wanted])
    assert made.changes == ()
    assert len(made.conflicts) == 1
    assert said in made.conflicts[0]


def test_replace_takes_the_place_of_one_that_is_not_ours() -> None:
    there = Record(DKIM.name, "CNAME", "else.example.net")
    assert plan(ZONE, [there], [DKIM], replace=True).changes == (
        Change(ZONE, DKIM.name, "CNAME", (there,), (DKIM,), "replaced because of --replace"),
    )


def test_a_host_that_only_looks_like_sendgrid_is_not_ours() -> None:
    there = Record(DKIM.name, "CNAME", "notsendgrid.net")
    assert plan(ZONE, [there], [DKIM]).conflicts


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.ORG.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("a-b.example.org", "a-b.example.org"),
    ],
)
def test_domains_are_written_as_dns_has_them(text: str, name: str) -> None:
    assert domain_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["", ".", "org", "a..org", "-a.org", "a.org/x", "a b.org", "a@b.org", "*.a.org", "a" * 64 + ".org", "\x00.org"],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(NotConfigured):
        domain_name(text)


def test_parents_end_at_two_labels() -> None:
    assert parents("a.b.example.org") == ["a.b.example.org", "b.example.org", "example.org"]
    assert parents("example.org") == ["example.org"]


def test_dmarc_is_told_from_texts_that_only_begin_alike() -> None:
    assert dmarc.is_dmarc("v=DMARC1; p=none")
    assert dmarc.is_dmarc("v = DMARC1;p=none")
    assert not dmarc.is_dmarc("v=DMARC10; p=none")
    assert not dmarc.is_dmarc("p=none; v=DMARC1")


def test_reports_to_another_organisation_are_noticed() -> None:
    record = dmarc.record("none", "d@reports.example.net")
    assert dmarc.foreign_report_domains(record, "example.org") == ["reports.example.net"]
    assert dmarc.foreign_report_domains(dmarc.record("none", "d@example.org"), "news.example.org") == []
    assert dmarc.foreign_report_domains(dmarc.record("none"), "example.org") == []
