"""Which header fields people may give, and those that let a mailbox provider unsubscribe."""

import pytest

from dbmail.delivery.headers import ALLOWED, check_special_headers, headers_that_unsubscribe, unsubscribe_headers
from dbmail.exceptions import HeaderNotAllowed
from dbmail.suppression import tokens


@pytest.mark.parametrize("name", ["X-Term", "x-term", "Precedence", "List-Id", "Comments"])
def test_a_header_that_may_be_given_keeps_its_spelling_and_loses_blanks_around_its_value(name):
    assert check_special_headers({name: "  spring,\t2026 "}) == {name: "spring,\t2026"}


def test_only_reply_to_has_to_hold_addresses():
    given = {"Reply-To": "Bücher <info@example.org>,ann@example.org", "List-Owner": "<mailto:info@example.org>"}
    checked = check_special_headers(given)
    assert checked["List-Owner"] == given["List-Owner"]
    assert checked["Reply-To"].endswith("<info@example.org>, ann@example.org") and checked["Reply-To"][0] != "<"
    with pytest.raises(HeaderNotAllowed, match=r"Reply-To must hold addresses: .*'none'"):
        check_special_headers({"Reply-To": "none"})


@pytest.mark.parametrize("name", ["Bcc", "XX-Term", "X", "X-Ä", "X-" + "a" * 75, "", None, 7])
def test_a_header_that_may_not_be_given_is_named_with_those_that_may(name):
    with pytest.raises(HeaderNotAllowed) as caught:
        check_special_headers({name: "a"})
    said = str(caught.value)
    assert repr(name) in said and all(allowed in said for allowed in ALLOWED)


@pytest.mark.parametrize("value", [7, None, b"bulk", ["bulk"]])
def test_a_value_that_is_no_text_is_named_with_what_it_is(value):
    with pytest.raises(HeaderNotAllowed, match=f"'Precedence' must be a string, not {type(value).__name__}"):
        check_special_headers({"Precedence": value})


@pytest.mark.parametrize("value", ["", " \t ", "bulk\nBcc: eve@evil.test", "bulk\x00", "bu\u2028lk"])
def test_a_value_that_is_empty_or_holds_a_line_break_is_named(value):
    with pytest.raises(HeaderNotAllowed, match="'Precedence' is empty, or holds a line break"):
        check_special_headers({"Precedence": value})


def test_a_header_that_is_given_in_two_spellings_is_named():
    with pytest.raises(HeaderNotAllowed, match="'x-term' is given twice"):
        check_special_headers({"X-Term": "spring", "x-term": "autumn"})


def test_one_click_stands_beside_a_mail_that_has_the_same_effect():
    token = tokens.make("ann@example.org", "news")
    assert unsubscribe_headers("ann@example.org", "news") == {
        "List-Unsubscribe": f"<https://example.org{tokens.path(token)}>, "
        f"<mailto:unsubscribe@example.org?subject={token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert unsubscribe_headers("ann@example.org") == headers_that_unsubscribe(tokens.make("ann@example.org", "all"))


def test_where_the_site_has_no_address_only_the_mail_is_left(settings):
    settings.DBMAIL = {**settings.DBMAIL, "SITE_URL": ""}
    assert headers_that_unsubscribe("TOKEN") == {"List-Unsubscribe": "<mailto:unsubscribe@example.org?subject=TOKEN>"}
