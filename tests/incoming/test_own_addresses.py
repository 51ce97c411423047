"""Mail for dbmail itself: reports to the signed return path, and unsubscriptions."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbmail.delivery import return_path
from dbmail.feedback import reports
from dbmail.models import IncomingMessage, MailEvent, PlainRedirect, Suppression, TextOfEmail
from dbmail.suppression import tokens
from tests.builders import a_mail
from tests.feedback.test_reports import dsn, failed
from tests.incoming.builders import letter, post

pytestmark = pytest.mark.django_db


def test_a_bounce_to_the_return_path_of_a_mail_is_noted_on_it_once():
    mail = a_mail("ann@home.test")
    for _ in range(2):
        assert post(return_path.signed(mail.pk).upper(), dsn(failed()), sender="").exit_code == 0
    event = MailEvent.objects.get()
    assert (event.textofemail, event.incoming.decision) == (mail, "report")
    assert Suppression.objects.get().address == "ann@home.test"


@pytest.mark.parametrize(
    "change", [lambda a: a.replace("+", "+1"), lambda a: a.replace("-", "-0"), lambda a: "bounces@x"]
)
def test_a_forged_return_path_changes_nothing(change):
    mail = a_mail("ann@home.test")
    assert post(change(return_path.signed(mail.pk)), dsn(failed()), sender="").exit_code == 0
    assert not MailEvent.objects.exists()
    assert not Suppression.objects.exists()


def test_what_cannot_be_read_as_a_report_is_kept_and_changes_nothing():
    mail = a_mail("ann@home.test")
    PlainRedirect.objects.create(original="bounces", destination="staff@home.test")
    assert post(return_path.signed(mail.pk), letter("Auto-Submitted: auto-replied"), sender="").rule == "return-path"
    assert IncomingMessage.objects.get().state == "dropped"
    assert not MailEvent.objects.exists()
    assert TextOfEmail.objects.count() == 1


def test_a_report_about_a_mail_that_was_purged_is_taken():
    assert post(return_path.signed(12345), dsn(failed()), sender="").exit_code == 0
    assert not MailEvent.objects.exists()


def test_a_mail_with_the_token_as_its_subject_unsubscribes_whoever_sends_it():
    token = tokens.make("ann@home.test", "news")
    assert post("unsubscribe@example.org", subject=f"Re: {token}").rule == "unsubscribe"
    row = Suppression.objects.get()
    assert (row.address, row.scope, row.reason) == ("ann@home.test", "news", "unsubscribed")


def test_without_a_token_unsubscribe_is_an_address_like_others():
    PlainRedirect.objects.create(original="unsubscribe", destination="staff@home.test")
    assert post("unsubscribe@example.org", subject="please").verdict == "send"
    assert not Suppression.objects.exists()


QMAIL = (
    b"From: MAILER-DAEMON@relay.test\nSubject: failure notice\n\n"
    b"Hi. This is the qmail-send program at relay.test.\n"
    b"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
    b"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
    b"<ann@home.test>:\n10.5.1.1 does not like recipient.\nRemote host said: %s\nGiving up on 10.5.1.1.\n\n"
    b"--- Below this line is a copy of the message.\n\nReturn-Path: <x@y.test>\n"
)


@pytest.mark.parametrize(
    ("words", "is_hard", "status"),
    [
        (b"550 5.1.1 No such user", True, "5.1.1"),
        (b"552 5.2.2 Mailbox full", False, "5.2.2"),
        (b"550 no", False, ""),
    ],
)
def test_a_bounce_in_a_servers_own_words_is_noted_where_the_extra_is_installed(words, is_hard, status):
    pytest.importorskip("flufl.bounce")
    mail = a_mail("ann@home.test")
    assert post(return_path.signed(mail.pk), QMAIL % words, sender="").rule == "report"
    event = MailEvent.objects.get()
    assert (event.event_type, event.source, event.is_hard, event.status) == ("bounced", "bounce", is_hard, status)
    assert Suppression.objects.exists() == is_hard


def test_such_a_bounce_about_another_address_never_suppresses():
    pytest.importorskip("flufl.bounce")
    mail = a_mail("bob@home.test")
    post(return_path.signed(mail.pk), QMAIL % b"550 5.1.1 No such user", sender="")
    assert not MailEvent.objects.get().is_hard
    assert not Suppression.objects.exists()


def test_without_the_extra_it_is_kept_and_changes_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "flufl.bounce", None)
    mail = a_mail("ann@home.test")
    assert post(return_path.signed(mail.pk), QMAIL % b"550 5.1.1 No such user", sender="").rule == "return-path"


@settings(deadline=None, max_examples=15)  # each is a process
@given(st.lists(st.sampled_from((QMAIL % b"550 5.1.1 no").split(b"\n")) | st.binary(max_size=30), max_size=20))
def test_pieces_of_such_bounces_in_any_order_are_read_or_not_but_never_raise(lines):
    reports.parse_odd(b"\n".join(lines))
