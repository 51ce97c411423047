import pytest

from dbmail.dns import dmarc


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


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("v=DMARC1; p=none", ""),
        ("v=DMARC1; P=Reject", ""),
        ("v=DMARC1; rua=mailto:a@example.org", ""),
        ("v=DMARC1", "it has no policy, which must be one of none, quarantine, reject."),
        ("v=DMARC1; p=maybe", "its policy p=maybe is none of none, quarantine, reject."),
        ("v=DMARC1; p=maybe; rua=mailto:a@example.org", "its policy p=maybe is none of none, quarantine, reject."),
    ],
)
def test_a_record_that_receivers_ignore_is_told_why(text: str, wrong: str) -> None:
    assert dmarc.what_is_wrong(text) == wrong
