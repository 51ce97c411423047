"""Settings have defaults that work, and a wrong one says what to write."""

import re
import runpy
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from dbmail.conf import config, read_settings, site_url
from dbmail.conf.groups import Group, example_of, settings_of
from dbmail.conf.reading import GONE, MOVED
from dbmail.conf.settings import Config, Outside
from dbmail.exceptions import SettingError

ROOT = Path(__file__).resolve().parent.parent


def a_function(users):
    """What CONTACTS might name."""


def told(**settings):
    """What is wrong with these settings, and what to write, as (setting, message, hint)."""
    with override_settings(**settings):
        problems = read_settings()[1]
    return [
        (*re.split(r": | is (?=now|no longer)", problem.message, maxsplit=1), problem.hint) for problem in problems
    ]


def every_setting(cls: type[Group] = Config, outer: tuple[str, ...] = ()):
    for key, (_name, declared) in settings_of(cls).items():
        yield (*outer, key), declared
        if declared.group:
            yield from every_setting(declared.group, (*outer, key))


def nested(keys, value):
    for key in reversed(keys):
        value = {key: value}
    return value


@override_settings(DBMAIL={}, DEFAULT_FROM_EMAIL="Office <office@Example.org>")
def test_an_empty_dict_is_enough():
    assert config().from_domains == ("example.org",)
    assert config().bounces == config().support == "Office <office@Example.org>"
    assert config().expire_after == timedelta(weeks=1)
    assert config().retry.tries == 8
    assert site_url() == ""


@override_settings(EMAILRETRIES=3, DEFAULT_EMAIL_ADDRESSES={"support": "help@example.org", "treasury": ["a", "b"]})
def test_the_references_own_settings_are_honoured():
    assert config().retry.tries == 3
    assert config().support == "help@example.org"


@override_settings(DBMAIL={"SUPPORT": "us@example.org"}, DEFAULT_EMAIL_ADDRESSES={"support": "help@example.org"})
def test_a_key_of_ours_wins_over_one_that_only_stands_in_for_it():
    assert config().support == "us@example.org"


def test_a_changed_setting_counts_at_once():
    with override_settings(DBMAIL={"CONNECTIONS": 4, "RETRY": {"TRIES": 2}}):
        assert (config().connections, config().retry.tries) == (4, 2)
        assert config() is config()
    assert config().connections == 1


def test_what_a_dict_leaves_out_has_its_default():
    with override_settings(DBMAIL={"BREAKER": {"CANARY": 5}}):
        assert (config().breaker.canary, config().breaker.share) == (5, 0.1)


@pytest.mark.parametrize(("keys", "declared"), [*every_setting()], ids=lambda value: str(value)[:40])
def test_every_setting_says_what_it_is_and_its_example_is_right(keys, declared):
    assert declared.help.endswith((".", ")"))
    example = eval(example_of(declared), {"timedelta": timedelta})  # noqa: S307 - our own words
    if len(keys) == 2 and keys[0] == "DKIM":  # the two need each other
        keys, example = ("DKIM",), {"SELECTOR": "s", "KEY": "k", keys[1]: example}
    assert told(DBMAIL=nested(keys, example)) == []


@pytest.mark.parametrize(("key", "declared"), [*every_setting(Outside)], ids=lambda value: str(value)[:40])
def test_the_examples_of_settings_beside_it_are_right(key, declared):
    assert told(**{key[0]: eval(example_of(declared))}) == []  # noqa: S307 - our own words


def test_the_table_of_settings_is_what_they_declare():
    fill = runpy.run_path(str(ROOT / "scripts" / "document_settings"))["fill"]
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == fill(page), "Run scripts/document_settings."
    keys = {"".join([keys[0], *(f'["{key}"]' for key in keys[1:])]) for keys, _declared in every_setting()}
    assert keys <= set(re.findall(r"^\| `(\S+)` \|", page, re.M))


@pytest.mark.parametrize(
    ("given", "where", "said", "hint"),
    [
        # Names
        ({"CONECTIONS": 4}, '["CONECTIONS"]', "no setting of this name", 'Write "CONNECTIONS": 4'),
        ({"site_url": "https://x.org"}, '["site_url"]', "no setting", 'Write "SITE_URL": "https://x.org"'),
        ({"RETRY": {"TRYS": 4}}, '["RETRY"]["TRYS"]', "no setting", 'Write "RETRY": {"TRIES": 4}'),
        ({"KEEP": 3}, '["KEEP"]', "no setting", 'Write "INCOMING": {"KEEP": 3}'),
        ({"INCOMING": {"LEASE": 3}}, '["INCOMING"]["LEASE"]', "no setting", 'Write "LEASE": 3'),
        ({"XYZZY": 1}, '["XYZZY"]', "no setting", "Known: AUDIENCE_FIELDS, BOUNCES"),
        ({1: 2}, "[1]", "no setting", "Known: "),
        ({"EMAILRETRIES": 3}, '["EMAILRETRIES"]', "no setting", "outside of DBMAIL: EMAILRETRIES = 3"),
        # Numbers
        ({"CONNECTIONS": "4"}, '["CONNECTIONS"]', 'whole number is needed, not "4"', "Write 4"),
        ({"CONNECTIONS": 4.0}, '["CONNECTIONS"]', "whole number", "Write 4"),
        (
            {"CONNECTIONS": True},
            '["CONNECTIONS"]',
            "whole number is needed, not True",
            'For example: "CONNECTIONS": 8',
        ),
        ({"CONNECTIONS": None}, '["CONNECTIONS"]', "whole number is needed, not None", "For example"),
        ({"CONNECTIONS": 0}, '["CONNECTIONS"]', "At least 1 is needed, not 0", "Write 1"),
        ({"BREAKER": {"CANARY": -1}}, '["BREAKER"]["CANARY"]', "At least 0", "Write 0"),
        ({"BREAKER": {"CANARY": 10**30}}, '["BREAKER"]["CANARY"]', "At most 1_000_000_000", "Write 1_000_000_000"),
        ({"BREAKER": {"SHARE": 10}}, '["BREAKER"]["SHARE"]', "share from 0 to less than 1", "Write 0.1"),
        ({"BREAKER": {"SHARE": "0.2"}}, '["BREAKER"]["SHARE"]', "share", "Write 0.2"),
        ({"BREAKER": {"SHARE": 1}}, '["BREAKER"]["SHARE"]', "share", 'For example: "BREAKER": {"SHARE": 0.05}'),
        ({"BREAKER": {"SHARE": float("nan")}}, '["BREAKER"]["SHARE"]', "share", "For example"),
        (
            {"TEXT_LIMITS": {"SECONDS": timedelta(seconds=3)}},
            '["TEXT_LIMITS"]["SECONDS"]',
            "number of seconds",
            "Write 3.0",
        ),
        ({"TEXT_LIMITS": {"SECONDS": 0}}, '["TEXT_LIMITS"]["SECONDS"]', "At least 0.01", "For example"),
        ({"INCOMING": {"SEND_SECONDS": 60}}, '["INCOMING"]["SEND_SECONDS"]', "less than 50.0 seconds", "For example"),
        ({"MERGE_FAMILIES": "False"}, '["MERGE_FAMILIES"]', "True or False", "Write False"),
        ({"MERGE_FAMILIES": 1}, '["MERGE_FAMILIES"]', "True or False", "Write True"),
        # Times
        ({"LEASE": 600}, '["LEASE"]', "A timedelta is needed, not 600", "Write timedelta(seconds=600)"),
        ({"LEASE": "600"}, '["LEASE"]', "A timedelta", "Write timedelta(seconds=600)"),
        ({"LEASE": "7 days"}, '["LEASE"]', "A timedelta", "Write timedelta(days=7)"),
        ({"LEASE": "PT90M"}, '["LEASE"]', "A timedelta", "Write timedelta(minutes=90)"),
        ({"LEASE": "soon"}, '["LEASE"]', "A timedelta", 'For example: "LEASE": timedelta(minutes=30)'),
        ({"LEASE": -5}, '["LEASE"]', "A timedelta", "For example"),
        ({"LEASE": float("inf")}, '["LEASE"]', "A timedelta", "For example"),
        ({"EXPIRE_AFTER": timedelta(0)}, '["EXPIRE_AFTER"]', "longer than nothing", "For example"),
        ({"EXPIRE_AFTER": timedelta.max}, '["EXPIRE_AFTER"]', "at most 36500 days", "For example"),
        # Words
        ({"IN_DOUBT": "Hold"}, '["IN_DOUBT"]', '"resend" or "hold" is needed, not "Hold"', 'Write "hold"'),
        ({"IN_DOUBT": "maybe"}, '["IN_DOUBT"]', '"resend" or "hold"', 'For example: "IN_DOUBT": "hold"'),
        ({"LARGE_AUDIENCE": {"APPROVAL": []}}, '["LARGE_AUDIENCE"]["APPROVAL"]', '"typed" or "second"', "For example"),
        ({"SENDGRID_WEBHOOK_KEY": 5}, '["SENDGRID_WEBHOOK_KEY"]', "A text is needed", 'Write "5"'),
        # Places
        ({"SITE_URL": "example.org"}, '["SITE_URL"]', "begins with https://", 'Write "https://example.org"'),
        ({"SITE_URL": "ftp://example.org"}, '["SITE_URL"]', "begins with https://", 'Write "https://example.org"'),
        ({"SITE_URL": "https://"}, '["SITE_URL"]', "begins with https://", "For example"),
        ({"SITE_URL": "https://x.org/?a=b"}, '["SITE_URL"]', "begins with https://", "For example"),
        ({"SITE_URL": "https://x.org:port"}, '["SITE_URL"]', "begins with https://", "For example"),
        ({"BOUNCES": "nobody"}, '["BOUNCES"]', "not a valid e-mail address", 'For example: "BOUNCES": "bounces@'),
        ({"BOUNCES": ["b@example.org"]}, '["BOUNCES"]', "not a list", 'Write "b@example.org"'),
        ({"SUPPORT": 5}, '["SUPPORT"]', "A text is needed", "For example"),
        ({"FROM_DOMAINS": "a.org, b.org"}, '["FROM_DOMAINS"]', "A list is needed", 'Write ["a.org", "b.org"]'),
        ({"FROM_DOMAINS": {"a.org": 1}}, '["FROM_DOMAINS"]', "A list is needed", "For example"),
        ({"FROM_DOMAINS": ["a.org", 1]}, '["FROM_DOMAINS"][1]', "A text is needed", "For example"),
        ({"FROM_DOMAINS": [""]}, '["FROM_DOMAINS"][0]', "empty entry", "For example"),
        ({"FROM_DOMAINS": ["@a.org"]}, '["FROM_DOMAINS"][0]', "A domain is needed", 'Write "a.org"'),
        ({"FROM_DOMAINS": ["ann@a.org"]}, '["FROM_DOMAINS"][0]', "A domain is needed", 'Write "a.org"'),
        ({"FROM_DOMAINS": ["*.a.org"]}, '["FROM_DOMAINS"][0]', "A domain is needed", 'Write ".a.org"'),
        ({"FROM_DOMAINS": ["https://a.org/"]}, '["FROM_DOMAINS"][0]', "A domain is needed", 'Write "a.org"'),
        ({"FROM_DOMAINS": ["not one"]}, '["FROM_DOMAINS"][0]', "A domain is needed", "For example"),
        ({"DNS": {"SENDS_FROM": ["here"]}}, '["DNS"]["SENDS_FROM"][0]', "An IP address is needed", "For example"),
        ({"DNS": {"RESOLVERS": ["ns.a.org"]}}, '["DNS"]["RESOLVERS"][0]', "A DNS server is needed", "For example"),
        ({"DNS": {"RESOLVERS": ["192.0.2.1:99999"]}}, '["DNS"]["RESOLVERS"][0]', "A DNS server", "For example"),
        ({"SECRET_NAMES": ["a b"]}, '["SECRET_NAMES"][0]', "without blanks", "For example"),
        # Paths
        ({"CONTACTS": a_function}, '["CONTACTS"]', "as a text", f'Write "{__name__}.a_function"'),
        ({"CONTACTS": "a.b:c"}, '["CONTACTS"]', "A dotted path", 'Write "a.b.c"'),
        ({"CONTACTS": "contacts"}, '["CONTACTS"]', "A dotted path", "For example"),
        ({"HANDLERS": "a.B"}, '["HANDLERS"]', "A list is needed", 'Write ["a.B"]'),
        # Dicts
        ({"BREAKER": 0.2}, '["BREAKER"]', "A dict is needed, not 0.2", 'Write {"SHARE": 0.2}'),
        ({"LARGE_AUDIENCE": 500}, '["LARGE_AUDIENCE"]', "A dict", 'Write {"PEOPLE": 500}'),
        ({"DNS": ["192.0.2.1"]}, '["DNS"]', "A dict", 'Write {"RESOLVERS": ["192.0.2.1"]}'),
        (
            {"RETRY": "often"},
            '["RETRY"]',
            "A dict",
            'For example: "RETRY": {"TRIES": 5, "WAIT": timedelta(minutes=10)}',
        ),
        ({"INCOMING": None}, '["INCOMING"]', "A dict is needed, not None", "For example"),
        ({"DKIM": {"SELECTOR": "x"}}, '["DKIM"]', "SELECTOR and KEY are both needed", "For example"),
        ({"DKIM": {"DOMAIN": "a.org"}}, '["DKIM"]', "SELECTOR and KEY are both needed", "For example"),
        ({"DKIM": {"SELECTOR": "x", "KEY": 3}}, '["DKIM"]["KEY"]', "A text is needed", "For example"),
        ({"CATEGORIES": ["news"]}, '["CATEGORIES"]', "A dict is needed", "For example"),
        ({"CATEGORIES": {"All news": "x"}}, '["CATEGORIES"]', "cannot be the name", 'Write "all-news": "x"'),
        ({"CATEGORIES": {"all": "x"}}, '["CATEGORIES"]', "cannot be the name", "For example"),
        ({"CATEGORIES": {"news": 3}}, '["CATEGORIES"]["news"]', "The title that people see", 'Write "News"'),
        ({"LAYOUTS": {"a": ("Title",)}}, '["LAYOUTS"]["a"]', "The name of a template", "For example"),
        ({"LAYOUTS": {"": "a.html"}}, '["LAYOUTS"]', "cannot be the name", "For example"),
        ({"RATES": {"all": "5 per hour"}}, '["RATES"]["all"]', "A number of mails in a time", 'Write "5/h"'),
        ({"RATES": {"all": "5/month"}}, '["RATES"]["all"]', "A number of mails in a time", "For example"),
        ({"RATES": {"recipient:x": "5/h"}}, '["RATES"]["recipient:x"]', "no limit of this name", "For example"),
    ],
    ids=lambda value: re.sub(" at 0x.*", "", str(value))[:50],
)
def test_a_wrong_value_says_what_is_wrong_and_what_to_write(given, where, said, hint):
    ((setting, message, what_to_write),) = told(DBMAIL=given)
    assert setting == f"DBMAIL{where}"
    assert said in message and hint in what_to_write


def test_dbmail_itself_must_be_a_dict():
    assert told(DBMAIL=[]) == [
        ("DBMAIL", "A dict is needed, not [].", 'For example: DBMAIL = {"SITE_URL": "https://example.org"}')
    ]


@pytest.mark.parametrize(
    ("settings", "where", "hint"),
    [
        ({"EMAILRETRIES": "3"}, "The setting EMAILRETRIES", "Write 3"),
        ({"EMAILRETRIES": timedelta(1)}, "The setting EMAILRETRIES", "For example: EMAILRETRIES = 5"),
        (
            {"DEFAULT_EMAIL_ADDRESSES": {"bounces": "nobody"}},
            'The setting DEFAULT_EMAIL_ADDRESSES["bounces"]',
            "For example: DEFAULT_EMAIL_ADDRESSES = {",
        ),
        ({"DEFAULT_EMAIL_ADDRESSES": "a@b.org"}, "The setting DEFAULT_EMAIL_ADDRESSES", "For example"),
        ({"EMAIL_HOST_SENDER": 4}, "The setting EMAIL_HOST_SENDER", 'Write "4"'),
        ({"DEFAULT_FROM_EMAIL": "nobody"}, "The setting DEFAULT_FROM_EMAIL", "For example: DEFAULT_FROM_EMAIL = "),
        ({"DEFAULT_FROM_EMAIL": ""}, "The setting DEFAULT_FROM_EMAIL", "For example"),
        ({"DEFAULT_FROM_EMAIL": None}, "The setting DEFAULT_FROM_EMAIL", "For example"),
    ],
    ids=str,
)
def test_a_setting_beside_dbmail_is_told_under_its_own_name(settings, where, hint):
    ((setting, _message, what_to_write),) = told(**settings)
    assert setting == where and hint in what_to_write
    with override_settings(**settings), pytest.raises(SettingError, match=re.escape(where)):
        config()


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_refused_with_the_new_one_and_its_value_in_place(old):
    outer, inner = MOVED[old]
    declared = settings_of(settings_of(Config)[outer][1].group)[inner][1]
    value = eval(declared.example, {"timedelta": timedelta})  # noqa: S307 - our own words
    written = f'"{outer}": {{"{inner}": {declared.example}}}'
    assert told(DBMAIL={old: value}) == [
        (f'DBMAIL["{old}"]', f'now DBMAIL["{outer}"]["{inner}"].', f"Write {written}")
    ]


@pytest.mark.parametrize("old", sorted(GONE))
def test_a_setting_that_became_a_constant_is_to_be_removed(old):
    assert told(DBMAIL={old: 5}) == [(f'DBMAIL["{old}"]', "no longer a setting.", "Remove it.")]


def test_one_mistake_hides_no_other_and_spoils_no_setting_beside_it():
    wrong = {"CONNECTIONS": 0, "LEASE": 600, "RETRY": {"TRIES": "8", "WAIT": 20}, "NO_SUCH": 1, "IN_DOUBT": "hold"}
    with override_settings(DBMAIL=wrong, EMAILRETRIES="3"):
        found, problems = read_settings()
        with pytest.raises(SettingError, match=r"CONNECTIONS.* Write 1"):
            config()
    assert len(problems) == 6
    assert (found.connections, found.in_doubt) == (1, "hold")


@pytest.mark.parametrize("outer", ["DKIM", "DKIMM"])
@pytest.mark.parametrize("inner", ["KEY", "KEYS", "SELECTOR"])
def test_a_key_that_was_pasted_instead_of_its_path_is_not_shown(outer, inner):
    secret = "-----BEGIN RSA PRIVATE KEY-----\nMIIEsecret"
    with override_settings(DBMAIL={outer: {inner: secret}}), pytest.raises(SettingError) as caught:
        config()
    assert "MIIE" not in str(caught.value) and "BEGIN" not in str(caught.value)


@override_settings(
    DBMAIL={
        "DKIM": {"SELECTOR": "x", "KEY": Path("/etc/key.pem")},
        "FROM_DOMAINS": {"a.org", "b.org"},
        "SITE_URL": None,
        "LAYOUTS": {"news": "news.html", "plain": ["Plain", "plain.html"]},
        "DNS": {"SENDS_FROM": ["2001:DB8::0:1"], "RESOLVERS": ["[2001:db8::53]:5353", "2001:db8::53"]},
        "BREAKER": {"SHARE": 0},
    }
)
def test_what_can_be_meant_in_one_way_only_is_taken():
    assert config().dkim.key == "/etc/key.pem"
    assert config().from_domains == ("a.org", "b.org")
    assert config().site_url == ""
    assert config().layouts == {"news": ("news", "news.html"), "plain": ("Plain", "plain.html")}
    assert config().dns.sends_from == ("2001:db8::1",)
    assert config().breaker.share == 0.0
