import pytest

from dbmail.dns.records import Record
from dbmail.domains.errors import ServiceError, Unavailable
from dbmail.domains.sendgrid import Authentication, SendGrid

from .services import SendGridService


@pytest.fixture
def account(sendgrid: SendGridService, no_sleep) -> SendGrid:
    return SendGrid(sendgrid.key, url=sendgrid.url, sleep=no_sleep[1])


def test_a_new_entry_brings_its_records(account: SendGrid) -> None:
    entry = account.create("domains", "example.org", "em")
    assert entry.records == (
        Record("em.example.org", "CNAME", "u7.wl.sendgrid.net"),
        Record("s1._domainkey.example.org", "CNAME", "s1.domainkey.u7.wl.sendgrid.net"),
        Record("s2._domainkey.example.org", "CNAME", "s2.domainkey.u7.wl.sendgrid.net"),
    )
    assert not entry.valid


def test_a_link_branding_whose_owner_record_has_no_type_is_read(account: SendGrid) -> None:
    entry = account.create("links", "example.org", "url")
    assert entry.records[1] == Record("7.example.org", "CNAME", "sendgrid.net")


def test_only_the_very_domain_is_found(account: SendGrid, sendgrid: SendGridService) -> None:
    for number, domain in enumerate(["notexample.org", "news.example.org", "example.org.example.net"]):
        sendgrid.make("domains", number, domain)
        sendgrid.make("links", number, domain)
    assert account.find("domains", "example.org") is None
    assert account.find("links", "example.org") is None


def test_a_valid_entry_comes_before_an_older_one_and_legacy_ones_never(
    account: SendGrid, sendgrid: SendGridService
) -> None:
    sendgrid.make("domains", 1, "example.org", valid=True, legacy=True)
    sendgrid.make("domains", 2, "example.org")
    assert account.find("domains", "example.org").id == 2
    sendgrid.make("domains", 3, "example.org", valid=True)
    assert account.find("domains", "example.org").id == 3


def test_a_wanted_subdomain_must_fit(account: SendGrid, sendgrid: SendGridService) -> None:
    sendgrid.make("domains", 1, "example.org", "mail")
    assert account.find("domains", "example.org", "em") is None
    assert account.find("domains", "example.org", "mail").id == 1


def test_all_pages_are_read(account: SendGrid, sendgrid: SendGridService) -> None:
    for number in range(120):
        sendgrid.make("domains", number, f"x{number}-example.org" if number < 119 else "example.org")
    assert account.find("domains", "example.org").id == 119
    assert len(sendgrid.seen) == 3


def test_manual_security_gives_texts_and_a_mail_exchanger(account: SendGrid, sendgrid: SendGridService) -> None:
    entry = sendgrid.make("domains", 1, "example.org")
    entry["dns"] = {
        "mail_server": {"valid": False, "type": "mx", "host": "em.example.org", "data": "mx.sendgrid.net"},
        "subdomain_spf": {"valid": False, "type": "txt", "host": "em.example.org", "data": "v=spf1 -all"},
        "dkim": {"valid": False, "type": "txt", "host": "m1._domainkey.example.org", "data": "k=rsa; t=s; p=AbC"},
    }
    assert account.find("domains", "example.org").records == (
        Record("em.example.org", "MX", "10 mx.sendgrid.net"),
        Record("em.example.org", "TXT", "v=spf1 -all"),
        Record("m1._domainkey.example.org", "TXT", "k=rsa; t=s; p=AbC"),
    )


def test_our_second_entry_is_taken_back(account: SendGrid, sendgrid: SendGridService) -> None:
    sendgrid.before_create = lambda kind, given: sendgrid.make(kind, 1, given["domain"])
    assert account.create("domains", "example.org").id == 1
    assert [e["id"] for e in sendgrid.entries["domains"]] == [1]


def test_a_refusal_that_is_no_duplicate_is_passed_on(account: SendGrid, sendgrid: SendGridService) -> None:
    sendgrid.faults.append(("POST", 400, {}))
    with pytest.raises(ServiceError, match=r"SendGrid: POST /v3/whitelabel/domains was refused \(400\). out of order"):
        account.create("domains", "example.org")


def test_a_create_that_always_breaks_off_ends(account: SendGrid, sendgrid: SendGridService) -> None:
    sendgrid.faults += [("POST", 500, {})] * 9
    with pytest.raises(Unavailable, match="tried 3 times"):
        account.create("domains", "example.org")
    assert [method for method, _ in sendgrid.seen].count("POST") == 3


def test_validation_gives_a_reason_for_each_record(account: SendGrid) -> None:
    validation = account.validate(account.create("domains", "example.org", "em"))
    assert not validation.valid
    assert [reason.split(":")[0] for reason in validation.reasons] == ["mail_cname", "dkim1", "dkim2"]


def test_a_validation_that_sendgrid_cannot_do_is_not_valid_yet(account: SendGrid, sendgrid: SendGridService) -> None:
    entry = account.create("domains", "example.org")
    sendgrid.faults += [("POST", 500, {})] * 5
    validation = account.validate(entry)
    assert not validation.valid
    assert "out of order" in validation.reasons[0]


def test_the_misspelt_field_of_the_documentation_is_read_too(
    account: SendGrid, sendgrid: SendGridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"id": 1, "valid": False, "validation_resuts": {"dkim1": {"valid": False, "reason": "no"}}}
    monkeypatch.setattr(sendgrid, "validated", lambda entry: answer)
    assert account.validate(account.create("domains", "example.org")).reasons == ("dkim1: no",)


OUTSIDE = {
    "id": 1,
    "domain": "example.org",
    "valid": False,
    "dns": {"mail_cname": {"host": "em.notexample.org", "data": "sendgrid.net", "type": "cname"}},
}


@pytest.mark.parametrize(
    "entry",
    [{}, {"id": 1, "domain": "example.org", "valid": True, "dns": {"x": {"host": "a"}}}, {"id": None}, OUTSIDE],
)
def test_entries_that_are_not_as_documented_are_refused(
    account: SendGrid, sendgrid: SendGridService, monkeypatch: pytest.MonkeyPatch, entry: dict
) -> None:
    monkeypatch.setattr(sendgrid, "create", lambda kind, given: (201, entry))
    with pytest.raises(ServiceError, match="not as documented"):
        account.create("domains", "example.org")


@pytest.mark.parametrize("answer", [None, {}, [1], "text"])
def test_lists_that_are_none_are_refused(
    account: SendGrid, sendgrid: SendGridService, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(sendgrid, "answer", lambda *_: (200, answer))
    with pytest.raises(ServiceError, match="not a list"):
        account.find("domains", "example.org")


@pytest.mark.parametrize("answer", [None, [], {}, {"valid": False, "validation_results": {"dkim1": None}}])
def test_validations_that_are_not_as_documented_are_refused(
    account: SendGrid, sendgrid: SendGridService, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(sendgrid, "answer", lambda *_: (200, answer))
    with pytest.raises(ServiceError, match="unknown answer"):
        account.validate(Authentication("domains", 1, "example.org", "em", False, ()))
