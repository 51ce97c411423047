import pytest

from dbmail.dns.records import Record
from dbmail.domains.errors import AccessDenied, ChangedMeanwhile, ServiceError, ZoneNotOurs
from dbmail.domains.gandi import Gandi
from dbmail.domains.proposal import Change

from .services import GandiService


@pytest.fixture
def livedns(gandi: GandiService, no_sleep) -> Gandi:
    gandi.publish = lambda zone: None
    return Gandi(gandi.key, url=gandi.url, sleep=no_sleep[1])


def text(name: str, value: str, ttl: int = 0) -> Record:
    return Record(name, "TXT", value, ttl)


def test_the_longest_zone_holds_a_name(livedns: Gandi, gandi: GandiService) -> None:
    gandi.zones["news.example.org"] = {}
    assert livedns.zone_of("s1._domainkey.news.example.org") == "news.example.org"
    assert livedns.zone_of("s1._domainkey.example.org") == "example.org"
    assert ("GET", "/domains/_domainkey.example.org") not in gandi.seen


def test_a_zone_that_is_not_ours_is_said_to_be_so(livedns: Gandi) -> None:
    with pytest.raises(ZoneNotOurs, match=r"no zone for www\.example\.com"):
        livedns.zone_of("www.example.com")


def test_a_token_that_is_denied_a_subdomain_may_still_have_its_zone(livedns: Gandi, gandi: GandiService) -> None:
    gandi.denied = {"news.example.org"}
    assert livedns.zone_of("news.example.org") == "example.org"


def test_a_token_without_the_permission_is_told_what_it_needs(livedns: Gandi, gandi: GandiService) -> None:
    gandi.denied = {"example.org"}
    with pytest.raises(AccessDenied, match="technical configuration"):
        livedns.zone_of("example.org")


def test_host_names_without_a_last_dot_are_relative_to_the_zone(livedns: Gandi, gandi: GandiService) -> None:
    gandi.zones["example.org"] |= {("www", "CNAME"): (300, ["host"]), ("ftp", "CNAME"): (300, ["Host.Example.NET."])}
    gandi.zones["example.org"]["here", "CNAME"] = (300, ["@"])
    for name, value in {"www": "host.example.org", "ftp": "host.example.net", "here": "example.org"}.items():
        assert livedns.records("example.org", f"{name}.example.org")[0].value == value


def test_a_name_without_records_has_none(livedns: Gandi) -> None:
    assert livedns.records("example.org", "nothing.example.org") == []


def test_a_set_is_made_with_its_ttl_in_the_allowed_range(livedns: Gandi, gandi: GandiService) -> None:
    name = "a.example.org"
    livedns.apply([Change("example.org", name, "TXT", (), (text(name, 'say "x"', ttl=5),), "")])
    assert gandi.zones["example.org"]["a", "TXT"] == (300, [r'"say \"x\""'])


def test_what_is_there_already_the_same_is_fine(livedns: Gandi, gandi: GandiService) -> None:
    name = "a.example.org"
    gandi.before_write = lambda: gandi.zones["example.org"].setdefault(("a", "TXT"), (300, ['"x"']))
    livedns.apply([Change("example.org", name, "TXT", (), (text(name, "x"),), "")])
    assert gandi.zones["example.org"]["a", "TXT"] == (300, ['"x"'])


@pytest.mark.parametrize("old", [(), (text("a.example.org", "older"),)])
def test_what_is_no_longer_as_planned_is_not_touched(livedns: Gandi, gandi: GandiService, old: tuple) -> None:
    gandi.zones["example.org"]["a", "TXT"] = (300, ['"theirs"'])
    with pytest.raises(ChangedMeanwhile):
        livedns.apply([Change("example.org", "a.example.org", "TXT", old, (text("a.example.org", "x"),), "")])
    assert gandi.writes == []


def test_gandis_own_words_reach_the_person(livedns: Gandi, gandi: GandiService) -> None:
    gandi.zones["example.org"]["a", "A"] = (300, ["192.0.2.1"])
    new = (Record("a.example.org", "CNAME", "sendgrid.net"),)
    with pytest.raises(ServiceError, match=r"refused \(400\)\. rrset_values: invalid"):
        livedns.apply([Change("example.org", "a.example.org", "CNAME", (), new, "")])


@pytest.mark.parametrize("answer", [None, {}, [{}], [{"rrset_type": "TXT", "rrset_values": None}], "text"])
def test_answers_that_are_not_as_documented_are_refused(
    livedns: Gandi, gandi: GandiService, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(gandi, "answer", lambda *_: (200, answer))
    with pytest.raises(ServiceError, match="not as documented"):
        livedns.records("example.org", "a.example.org")
