"""DBMAIL["RATES"]: how many mails in how long."""

from datetime import timedelta

import pytest
from django.test import override_settings

from dbmail.conf import config
from dbmail.exceptions import SettingError
from dbmail.rates import Rate, Rates, parse_rates


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("500/h", Rate(500, timedelta(hours=1))),
        ("20/min", Rate(20, timedelta(minutes=1))),
        (" 14 / s ", Rate(14, timedelta(seconds=1))),
        ("100/10min", Rate(100, timedelta(minutes=10))),
        ("2000/d", Rate(2000, timedelta(days=1))),
    ],
)
def test_a_rate_is_a_number_in_a_time(text, rate):
    assert parse_rates({"all": text}).limits == {"all": rate}


def test_the_setting_is_read_with_the_others():
    with override_settings(DBMAIL={"RATES": {"domain:gmail.com": "20/min"}}):
        assert config().rates.limits == {"domain:gmail.com": Rate(20, timedelta(minutes=1))}
    with override_settings(DBMAIL={}):
        assert not config().rates


def keys(sender, recipient, **given):
    return {key: rate.count for key, rate in parse_rates(given["rates"]).of(sender, recipient)}


def test_a_mail_counts_for_its_sender_the_sender_s_domain_and_the_recipient_s_domain():
    rates = {
        "all": "9/s",
        "sender:News@Example.org": "1/h",
        "sender:example.org": "2/h",
        "domain:gmail.com": "3/h",
        "domain:*": "4/h",
    }
    assert keys("news@example.org", "a@GMAIL.com", rates=rates) == {
        "all": 9,
        "sender:news@example.org": 1,
        "sender:example.org": 2,
        "domain:gmail.com": 3,
    }
    assert keys("info@other.org", "a@b.example", rates=rates) == {"all": 9, "domain:b.example": 4}


def test_a_star_limits_each_domain_for_itself():
    rates = {"sender:*": "5/h", "sender:big.org": "50/h", "domain:*": "4/h"}
    assert keys("x@small.org", "a@b.example", rates=rates) == {"sender:small.org": 5, "domain:b.example": 4}
    assert keys("x@big.org", "a@c.example", rates=rates) == {"sender:big.org": 50, "domain:c.example": 4}


def test_domains_are_compared_in_their_ascii_form():
    assert keys("x@y.org", "a@BÜCHER.example", rates={"domain:bücher.example": "4/h"}) == {
        "domain:xn--bcher-kva.example": 4
    }


def test_no_limits_are_false():
    assert not Rates() and parse_rates({"all": "1/s"})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["domain:gmail.com"], "dict is needed"),
        ({"gmail.com": "20/min"}, "gmail.com"),
        ({"domain": "20/min"}, "known are"),
        ({"domain:": "20/min"}, "not a domain"),
        ({"domain:ann@gmail.com": "20/min"}, "not a domain"),
        ({"domain:@gmail.com": "20/min"}, "not a domain"),
        ({"domain:gm ail.com": "20/min"}, "not a domain"),
        ({"sender:a@b@c": "20/min"}, "not an address"),
        ({"recipient:gmail.com": "20/min"}, "known are"),
        ({1: "20/min"}, "known are"),
        ({"domain:gmail.com": 20}, "such as"),
        ({"domain:gmail.com": "20"}, "such as"),
        ({"domain:gmail.com": "20/m"}, "units s, min, h, d"),
        ({"domain:gmail.com": "-1/min"}, "such as"),
        ({"domain:gmail.com": "0/min"}, "at least 1"),
        ({"domain:gmail.com": "5/0s"}, "at least 1"),
        ({"domain:gmail.com": "5/99999d"}, "at most 7 days"),
        ({"domain:gmail.com": "9999999999999999999999/s"}, "such as"),
        ({"domain:gmail.com": "5/s", "domain:GMAIL.com": "6/s"}, "two limits"),
    ],
    ids=str,
)
def test_a_wrong_limit_is_refused_by_name(wrong, words):
    with override_settings(DBMAIL={"RATES": wrong}), pytest.raises(SettingError, match=words) as caught:
        config()
    assert "RATES" in str(caught.value)
