import pytest

from dbmail.dns.records import Record
from dbmail.domains.proposal import Change, propose

ZONE = "example.org"
SPF = Record(ZONE, "TXT", "v=spf1 include:sendgrid.net ~all", 3600)
DKIM = Record("s1._domainkey.example.org", "CNAME", "s1.domainkey.u7.wl.sendgrid.net")
DMARC = Record("_dmarc.example.org", "TXT", "v=DMARC1; p=none")


def test_what_is_missing_is_created() -> None:
    made = propose(ZONE, [], [SPF, DKIM, DMARC])
    assert [(change.name, change.old, change.new) for change in made.changes] == [
        (record.name, (), (record,)) for record in (SPF, DKIM, DMARC)
    ]
    assert (made.conflicts, made.end) == ((), (SPF, DKIM, DMARC))


def test_what_is_there_is_left_alone() -> None:
    made = propose(ZONE, [SPF, DKIM, DMARC], [SPF, DKIM, DMARC])
    assert made.changes == ()
    assert made.end == (SPF, DKIM, DMARC)


def test_proposing_the_outcome_again_changes_nothing() -> None:
    old = [Record(ZONE, "TXT", "v=spf1 mx -all"), Record(ZONE, "TXT", "other"), Record(ZONE, "TXT", "v=spf1 a ?all")]
    made = propose(ZONE, old, [SPF, DKIM, DMARC])
    after = [record for change in made.changes for record in change.new]
    assert propose(ZONE, after, [SPF, DKIM, DMARC]).changes == ()


def test_a_set_keeps_its_other_texts_in_their_spelling() -> None:
    other = Record(ZONE, "TXT", "two strings", 60, '"two " "strings"')
    made = propose(ZONE, [other, Record(ZONE, "TXT", "v=spf1 mx -all", 60)], [SPF])
    new = made.changes[0].new
    assert [(record.value, record.raw) for record in new] == [
        ("two strings", '"two " "strings"'),
        ("v=spf1 mx include:sendgrid.net -all", ""),
    ]
    assert new[1].ttl == 60


def test_two_wishes_for_one_set_are_one_change() -> None:
    made = propose(ZONE, [], [SPF, Record(ZONE, "TXT", "some-verification")])
    assert made.changes == (
        Change(ZONE, ZONE, "TXT", (), (SPF, Record(ZONE, "TXT", "some-verification")), "no SPF yet; missing"),
    )


@pytest.mark.parametrize(
    "text", ["v=DMARC1; p=reject", "v=DMARC1;p=quarantine;pct=50", "v=DMARC1; rua=mailto:a@b.example"]
)
def test_a_dmarc_policy_is_kept(text: str) -> None:
    there = Record(DMARC.name, "TXT", text)
    made = propose(ZONE, [there], [DMARC])
    assert (made.changes, made.conflicts, made.end) == ((), (), (there,))


def test_a_dmarc_policy_that_is_published_elsewhere_is_kept() -> None:
    alias = Record(DMARC.name, "CNAME", "example.org.dmarc.example.net")
    made = propose(ZONE, [alias], [DMARC])
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
def test_conflicts_are_named_and_nothing_is_proposed(old: list[Record], wanted: Record, said: str) -> None:
    made = propose(ZONE, old, [wanted])
    assert made.changes == ()
    assert len(made.conflicts) == 1
    assert said in made.conflicts[0]


def test_replace_takes_the_place_of_one_that_is_not_ours() -> None:
    there = Record(DKIM.name, "CNAME", "else.example.net")
    assert propose(ZONE, [there], [DKIM], replace=True).changes == (
        Change(ZONE, DKIM.name, "CNAME", (there,), (DKIM,), "replaced because of --replace"),
    )


def test_a_host_that_only_looks_like_sendgrid_is_not_ours() -> None:
    there = Record(DKIM.name, "CNAME", "notsendgrid.net")
    assert propose(ZONE, [there], [DKIM]).conflicts
