"""Settings have defaults that work, and a wrong one says which and why."""

from datetime import timedelta

import pytest
from django.test import override_settings

from dbmail.conf import config, site_url
from dbmail.exceptions import SettingError


@override_settings(DBMAIL={}, DEFAULT_FROM_EMAIL="Office <office@Example.org>")
def test_an_empty_dict_is_enough():
    assert config().from_domains == ("example.org",)
    assert config().bounces == config().support == "Office <office@Example.org>"
    assert config().expire_after == timedelta(weeks=1)
    assert config().retries == 8
    assert site_url() == ""


@override_settings(EMAILRETRIES=3, DEFAULT_EMAIL_ADDRESSES={"support": "help@example.org"})
def test_the_references_own_settings_are_honoured():
    assert config().retries == 3
    assert config().support == "help@example.org"


def test_a_changed_setting_counts_at_once():
    with override_settings(DBMAIL={"CONNECTIONS": 4}):
        assert config().connections == 4
    assert config().connections == 1


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"CONECTIONS": 4},
        {"CONNECTIONS": "4"},
        {"CONNECTIONS": True},
        {"CONNECTIONS": 0},
        {"EXPIRE_AFTER": 7},
        {"EXPIRE_AFTER": timedelta(0)},
        {"IN_DOUBT": "maybe"},
        {"SITE_URL": "example.org"},
        {"BOUNCES": "nobody"},
        {"FROM_DOMAINS": "example.org"},
        {"FROM_DOMAINS": [1]},
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused(wrong):
    with override_settings(DBMAIL=wrong), pytest.raises(SettingError):
        config()
