import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.dns.errors import NotConfigured
from dbmail.dns.records import Record, domain_name, parents, quoted, tags, unquoted

texts = st.text(st.characters(max_codepoint=255), min_size=1, max_size=600)


@given(texts)
def test_a_text_comes_back_as_it_went(text: str) -> None:
    assert unquoted(quoted(text)) == text


@given(texts)
def test_dns_software_reads_the_same_text(text: str) -> None:
    strings = dns.rdata.from_text("IN", "TXT", quoted(text)).strings
    assert b"".join(strings).decode("latin-1") == text
    assert all(len(string) <= 255 for string in strings)


@pytest.mark.parametrize(
    ("value", "text"),
    [('"a" "b"', "ab"), ("plain", "plain"), ('""', ""), (r'"say \"x\""', 'say "x"'), (r'"\195\169"', "Ã©")],
)
def test_values_of_zone_files_are_read(value: str, text: str) -> None:
    assert unquoted(value) == text


def test_route_53_counts_in_octal() -> None:
    assert unquoted(r'"\351"', base=8) == "é"
    assert unquoted(r'"\999"', base=8) == "999"


def test_a_record_is_shown_as_in_a_zone_file() -> None:
    assert str(Record("example.org", "TXT", 'say "x"')) == r'example.org TXT "say \"x\""'
    assert str(Record("em.example.org", "CNAME", "sendgrid.net")) == "em.example.org CNAME sendgrid.net"


def test_records_are_equal_whatever_their_ttl_and_spelling() -> None:
    assert Record("a.example.org", "TXT", "x", 60, '"x"') == Record("a.example.org", "TXT", "x")
    assert Record("a.example.org", "TXT", "x") != Record("a.example.org", "TXT", "X")


def test_tags_are_read_by_name_and_what_is_none_is_left_out() -> None:
    assert tags(" V = DKIM1 ; p=a b== ;; t=y:s; rubbish; n=") == {"v": "DKIM1", "p": "a b==", "t": "y:s", "n": ""}


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
