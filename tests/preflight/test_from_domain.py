"""The check of From's domain, with a real DNS server."""

import socket
import time

import pytest
from django.core.cache import cache

from dbmail.preflight.from_domain import check_from_domain


@pytest.fixture(autouse=True)
def nothing_known():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ask(settings, serve):
    """What is said of news.example.org where DNS holds these lines for example.org."""

    def ask(*lines):
        settings.DBMAIL = {**settings.DBMAIL, "DNS": {"RESOLVERS": [serve({"example.org": list(lines)}).address]}}
        return [(str(f.severity), f.field, f.message) for f in check_from_domain("news.example.org")]

    return ask


@pytest.mark.parametrize(
    "record", ["v=DMARC1; p=reject", "v=DMARC1; p=quarantine; rua=mailto:a@example.org", "v=DMARC1; p=none; sp=reject"]
)
def test_a_policy_that_is_obeyed_is_not_complained_of(ask, record):
    assert ask(f'_dmarc TXT "{record}"') == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "has no DMARC policy"),
        (['_dmarc.news TXT "v=DMARC1; p=none"'], "is p=none"),
        (['_dmarc TXT "v=DMARC1; p=reject; sp=none"'], "is p=none"),
        (['_dmarc TXT "v=DMARC1; p=perhaps"'], "ignore the DMARC policy"),
        (['_dmarc TXT "v=DMARC1; p=reject"', '_dmarc TXT "v=DMARC1; p=none"'], "ignore the DMARC policy"),
    ],
)
def test_what_receivers_do_not_like_is_a_warning(ask, lines, words):
    ((severity, field, message),) = ask(*lines)
    assert (severity, field) == ("warning", "sender")
    assert words in message and "news.example.org" in message


def test_dns_is_asked_once_in_a_while(ask, settings):
    assert ask('_dmarc TXT "v=DMARC1; p=reject"') == []
    settings.DBMAIL = {**settings.DBMAIL, "DNS": {"RESOLVERS": ["127.0.0.1:1"]}}
    assert check_from_domain("news.example.org") == []


def test_where_dns_is_silent_the_page_waits_two_seconds_and_says_so(settings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        settings.DBMAIL = {**settings.DBMAIL, "DNS": {"RESOLVERS": [f"127.0.0.1:{silent.getsockname()[1]}"]}}
        begun = time.monotonic()
        (remark,) = check_from_domain("example.org")
        assert time.monotonic() - begun < 3
        assert remark.severity == "note" and "DNS does not answer" in remark.message
        begun = time.monotonic()
        assert check_from_domain("example.org") == [remark]
        assert time.monotonic() - begun < 0.5


def test_a_machine_s_own_name_is_not_asked_about():
    assert check_from_domain("localhost") == []
