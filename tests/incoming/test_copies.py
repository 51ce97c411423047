"""The copies of a message as the relay sees them: their own fields, and who gets none after all."""

import re

import pytest

from dbmail.delivery import return_path
from dbmail.models import PlainRedirect, Suppression, TextOfEmail
from dbmail.service.passes import send_email_requests
from dbmail.suppression import tokens
from tests.delivery.test_dkim import key, verify
from tests.incoming.builders import a_class, letter, post

__all__ = ["key", "verify"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def directors():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test, dora@home.test")


def test_each_copy_of_a_list_says_how_its_reader_leaves_that_list(directors, relay):
    post("directors@example.org", letter(body=b"Line\n\nList-Unsubscribe: no\n"))
    send_email_requests()
    assert sorted(relay.recipients()) == ["dan@home.test", "dora@home.test"]
    for received in relay.messages:
        field = received.message["List-Unsubscribe"]
        token = re.fullmatch(r"<https://example\.org/\S*?/([\w.:-]+)/?>, <mailto:\S+\?subject=\1>", field)[1]
        assert tokens.read(token) == (received.rcpt_tos[0], "directors.example.org")
        assert received.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert received.message["List-Help"]
        assert received.data.endswith(b"\r\n\r\nLine\r\n\r\nList-Unsubscribe: no\r\n")


def test_who_unsubscribes_by_that_field_gets_the_next_message_no_more(directors, relay, client):
    post("directors@example.org")
    send_email_requests()
    received = next(mail for mail in relay.messages if mail.rcpt_tos == ["dan@home.test"])
    link = re.search(r"https://example\.org(\S+?)>", received.message["List-Unsubscribe"])[1]
    assert client.post(link, {"List-Unsubscribe": "One-Click"}).status_code == 200
    post("directors@example.org", letter(body=b"2").replace(b"<one@", b"<two@"))
    send_email_requests()
    assert relay.recipients().count("dan@home.test") == 1
    assert relay.recipients().count("dora@home.test") == 2


def test_an_alias_cannot_be_left(relay):
    a_class()
    post("tess@example.org", letter("List-Id: <other.list.test>", "List-Unsubscribe: <mailto:leave@list.test>"))
    send_email_requests()
    assert relay.messages[0].message.get_all("List-Unsubscribe") == ["<mailto:leave@list.test>"]


def test_a_copy_without_a_body_has_its_fields_in_the_header(directors, relay):
    post("directors@example.org", letter(body=b""))
    send_email_requests()
    assert relay.messages[0].data.count(b"\r\n\r\n") == 1
    assert relay.messages[0].data.endswith(b"\r\n\r\n")
    assert relay.messages[0].message["List-Unsubscribe"]


def test_each_copy_comes_back_to_a_path_of_its_own(directors, relay):
    post("directors@example.org")
    send_email_requests()
    assert {return_path.read(mail.mail_from) for mail in relay.messages} == set(
        TextOfEmail.objects.values_list("pk", flat=True)
    )


@pytest.mark.parametrize(
    ("scope", "reason", "stopped"),
    [
        ("all", "bounced", True),
        ("all", "unsubscribed", True),
        ("directors.example.org", "unsubscribed", True),
        ("other.example.org", "unsubscribed", False),
    ],
)
def test_what_was_suppressed_since_it_was_queued_does_not_leave(directors, relay, scope, reason, stopped):
    post("directors@example.org")
    Suppression.objects.create(address="dan@home.test", scope=scope, reason=reason)
    send_email_requests()
    assert ("dan@home.test" not in relay.recipients()) == stopped
    assert TextOfEmail.objects.get(address="dan@home.test").state == ("suppressed" if stopped else "sent")
    assert TextOfEmail.objects.get(address="dora@home.test").state == "sent"


@pytest.mark.parametrize(("reason", "stopped"), [("bounced", True), ("unsubscribed", False), ("complained", False)])
def test_an_alias_is_only_stopped_by_what_is_wrong_with_its_address(relay, reason, stopped):
    a_class()
    post("tess@example.org")
    Suppression.objects.create(address="tess@home.test", reason=reason)
    send_email_requests()
    assert relay.recipients() == ([] if stopped else ["tess@home.test"])


def test_a_lists_copies_are_signed_where_we_sign_and_an_aliass_are_not(directors, relay, key, verify):
    post("directors@example.org", letter("DKIM-Signature: v=1; d=home.test; h=from; b=x", body=b"Body \xff\n.\n"))
    a_class()
    post("tess@example.org", letter(body=b"2"))
    send_email_requests()
    signed = {mail.rcpt_tos[0]: b"d=example.org" in mail.data for mail in relay.messages}
    assert signed == {"dan@home.test": True, "dora@home.test": True, "tess@home.test": False}
    assert all(verify(mail.data) for mail in relay.messages if signed[mail.rcpt_tos[0]])
