import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.dns.records import quoted, unquoted

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
