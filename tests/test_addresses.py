"""Addresses are taken apart by one parser, and what it takes apart it can put together."""

import pytest

from dbmail.addresses import (
    check_address,
    domain_matches,
    domain_of,
    format_mailbox,
    normalise,
    parse_mailbox,
    wire_address,
)
from dbmail.exceptions import AddressError


@pytest.mark.parametrize(
    "name", ["", "Ann", "Doe, Ann", 'Ann "A" Doe', "Jürgen Müller", "back\\slash", 'Müller, "J" \\', "a <b@c.de>"]
)
def test_a_formatted_mailbox_is_read_back(name):
    assert parse_mailbox(format_mailbox("ann@example.org", name)) == ("ann@example.org", name)


def test_a_line_break_in_a_name_becomes_a_space():
    assert format_mailbox("ann@example.org", "Ann\r\nBcc: x") == '"Ann Bcc: x" <ann@example.org>'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "ann@",
        "@example.org",
        "a@example.org, b@example.org",
        "a@b@example.org",
        "a b@example.org",
        "Ann <a@example.org>\nBcc: b@example.org",
        "a@example.org\0",
        "ann@example.org]<eve@evil.test>",
        "ann@example.org)eve@evil.test",
        "ann@example.org(<eve@evil.test>",
        "<ann@example.org> eve@evil.test",
        "Ann <a@example.org> <b@example.org>",
        f"{'x' * 330}@example.org",
    ],
)
def test_what_is_not_one_address_is_refused(text):
    with pytest.raises(AddressError):
        parse_mailbox(text)


def test_international_addresses_are_valid_and_their_domain_goes_out_in_ascii():
    assert check_address("jürgen@bücher.example") == "jürgen@bücher.example"
    assert wire_address("jürgen@bücher.example") == "jürgen@xn--bcher-kva.example"
    assert normalise(" Ann@BÜCHER.example ") == "ann@xn--bcher-kva.example"
    assert domain_of("ann@Example.ORG.") == "example.org"


@pytest.mark.parametrize(
    ("domain", "allowed", "answer"),
    [
        ("example.org", "example.org", True),
        ("mail.example.org", "example.org", False),
        ("mail.example.org", ".example.org", True),
        ("example.org", ".example.org", True),
        ("badexample.org", ".example.org", False),
        ("example.org.evil.test", ".example.org", False),
        ("EXAMPLE.org", "example.ORG", True),
    ],
)
def test_a_dot_in_front_admits_subdomains_and_nothing_else(domain, allowed, answer):
    assert domain_matches(domain, allowed) is answer
