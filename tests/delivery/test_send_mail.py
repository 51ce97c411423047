"""send_mail, with the reference's signature."""

import inspect

import pytest

from dbmail.exceptions import (
    AddressError,
    HeaderNotAllowed,
    MailRefused,
    RelayUnavailable,
    SenderNotAllowed,
    UnknownCategory,
)
from dbmail.models import Suppression, send_mail
from dbmail.suppression import tokens

from ..builders import a_user

pytestmark = pytest.mark.django_db


def send(to="ann@example.org", **options):
    return send_mail("Hello", "Text", "info@example.org", to, **options)


def test_the_parameters_of_the_reference_come_first():
    names = list(inspect.signature(send_mail).parameters)
    reference = ["subject", "message", "from_email", "recipient_list", "fail_silently", "bcc", "return_path"]
    assert names[:9] == [*reference, "extra_headers", "user"]


def test_one_mail_goes_to_all_recipients_with_the_bounces_address_as_return_path(relay):
    assert send(["ann@example.org", '"Bob" <bob@example.org>'], bcc=["eve@example.org"]) == 1
    (received,) = relay.messages
    assert received.rcpt_tos == ["ann@example.org", "bob@example.org", "eve@example.org"]
    assert received.mail_from == "bounces@example.org"
    assert "eve@" not in received.data.decode()
    assert received.message["To"] == "ann@example.org, Bob <bob@example.org>"


def test_a_return_path_of_its_own_is_used(relay):
    send(return_path="other@example.org")
    assert relay.messages[0].mail_from == "other@example.org"


def test_spellings_of_one_address_get_one_copy(relay):
    send(["Ann@Example.org", "ann@example.org", "Ann <ANN@EXAMPLE.ORG>"], bcc=["ann@example.ORG"])
    assert relay.recipients() == ["Ann@Example.org"]


def test_html_is_sent_with_a_text_part(relay):
    send_mail("Hello", '<HTML lang="en"><p>See <a href="https://a.b/c">here</a>', "info@example.org", "a@example.org")
    text, html = relay.messages[0].message.iter_parts()
    assert text.get_content_type() == "text/plain" and "https://a.b/c" in text.get_content()
    assert html.get_content_type() == "text/html"


def test_no_header_of_one_call_is_seen_by_the_next(relay):
    headers = {"Reply-To": "us@example.org"}
    send(extra_headers=headers, user=a_user("ann"))
    send("bob@example.org")
    assert headers == {"Reply-To": "us@example.org"}
    assert "List-Unsubscribe" in relay.messages[0].message
    assert "List-Unsubscribe" not in relay.messages[1].message and "Reply-To" not in relay.messages[1].message


def test_mail_to_a_user_can_be_unsubscribed_with_one_click(relay):
    send(user=a_user("ann"))
    message = relay.messages[0].message
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    web, mailto = message["List-Unsubscribe"].split(", ")
    assert web.startswith("<https://example.org/unsubscribe/") and mailto.startswith(
        "<mailto:unsubscribe@example.org?"
    )


@pytest.mark.parametrize(
    "sender",
    ["x@evil.test", "info@example.org <x@evil.test>", "x@evil.test <info@example.org", "x@example.org.evil.test"],
)
def test_a_sender_of_another_domain_is_refused_before_anything_is_sent(relay, sender):
    with pytest.raises((SenderNotAllowed, AddressError)):
        send_mail("Hello", "Text", sender, "ann@example.org")
    assert relay.connections == 0


def test_subdomains_may_send_where_a_setting_admits_them(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "FROM_DOMAINS": [".example.org"]}
    send_mail("Hello", "Text", "info@chapter.example.org", "ann@example.org")
    with pytest.raises(SenderNotAllowed, match="FROM_DOMAINS"):
        send_mail("Hello", "Text", "info@notexample.org", "ann@example.org")


@pytest.mark.parametrize(
    "headers",
    [
        {"To": "eve@example.org"},
        {"bcc": "eve@example.org"},
        {"Sender": "eve@example.org"},
        {"Content-Type": "text/html"},
        {"DKIM-Signature": "v=1"},
        {"X-A\r\nBcc": "eve@example.org"},
        {"X-A": "b\r\nBcc: eve@example.org"},
        {"X-A": "b\nc"},
        {"X-A": 1},
        {"Reply-To": "no address"},
        {"Reply-To": "a@example.org", "reply-to": "b@example.org"},
    ],
)
def test_headers_that_could_forge_are_refused(relay, headers):
    with pytest.raises(HeaderNotAllowed):
        send(extra_headers=headers)
    assert relay.connections == 0


def test_a_subject_never_holds_a_line_break(relay):
    send_mail("Hello\r\nBcc: eve@example.org", "Text", "info@example.org", "ann@example.org")
    assert relay.messages[0].message["Subject"] == "Hello Bcc: eve@example.org"
    assert relay.recipients() == ["ann@example.org"]


def test_suppressed_addresses_are_left_out_unless_the_mail_is_transactional(relay):
    Suppression.objects.create(address="ann@example.org", reason=Suppression.Reason.UNSUBSCRIBED)
    assert send("Ann@example.org") == 0
    assert send(["ann@example.org", "bob@example.org"]) == 1
    assert relay.recipients() == ["bob@example.org"]
    assert send("ann@example.org", transactional=True) == 1


@pytest.fixture
def categories(settings):
    settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": {"news": "Monthly news", "courses": "New courses"}}


def left(message):
    """The address and scope that the List-Unsubscribe of a mail leaves."""
    return tokens.read(message["List-Unsubscribe"].split("/unsubscribe/")[1].split("/")[0])


def test_who_left_a_category_or_all_mail_gets_none_of_it(relay, categories):
    Suppression.objects.create(address="ann@example.org", scope="news", reason=Suppression.Reason.UNSUBSCRIBED)
    Suppression.objects.create(address="bob@example.org", reason=Suppression.Reason.UNSUBSCRIBED)
    assert send(["Ann@example.org", "bob@example.org", "cleo@example.org"], category="news") == 1
    assert relay.recipients() == ["cleo@example.org"]
    assert send("ann@example.org", category="courses") == 1
    assert send("ann@example.org") == 1


def test_a_mail_of_a_category_is_left_by_category_and_another_as_before(relay, categories):
    send(category="news")
    send(["bob@example.org", "eve@example.org"], category="news", user=a_user("bob"))
    send(["bob@example.org", "eve@example.org"], category="news")  # one link cannot be for both
    send(user=a_user("ann"))
    messages = [received.message for received in relay.messages]
    assert left(messages[0]) == ("ann@example.org", "news") and messages[0]["List-Unsubscribe-Post"]
    assert left(messages[1]) == ("bob@example.org", "news")
    assert "List-Unsubscribe" not in messages[2]
    assert left(messages[3]) == ("ann@example.org", "all")


def test_a_category_is_one_that_the_project_declares_and_no_transactional_mail_has_one(relay, categories):
    with pytest.raises(UnknownCategory, match=r"'nwes'.*Known: news, courses"):
        send(category="nwes")
    with pytest.raises(ValueError, match="transactional"):
        send(category="news", transactional=True)
    assert relay.connections == 0


def test_what_the_relay_says_is_raised_or_logged(relay):
    relay.reply("RCPT", "", "550 5.1.1 No such user")
    with pytest.raises(MailRefused, match=r"550 5\.1\.1 No such user"):
        send()
    assert send(fail_silently=True) == 0


def test_a_relay_that_is_down_is_told_apart(use_mailer):
    use_mailer("dbmail.models.CustomSMTPBackend", host="127.0.0.1", port=1)
    with pytest.raises(RelayUnavailable, match=r"127\.0\.0\.1:1"):
        send()


@pytest.mark.parametrize("to", ["", "nobody", "a@b@c", "a@example.org, b@example.org", "a@example.org\nb@example.org"])
def test_what_is_no_address_is_refused(relay, to):
    with pytest.raises(AddressError):
        send(to)
    assert relay.connections == 0


@pytest.mark.parametrize("backend", ["console", "locmem", "filebased"])
def test_other_backends_get_the_same_mail(backend, use_mailer, tmp_path, mailoutbox, capsys):
    options = {"file_path": str(tmp_path)} if backend == "filebased" else {}
    use_mailer(f"django.core.mail.backends.{backend}.EmailBackend", **options)
    assert send('"Ann, A." <ann@example.org>') == 1
    if backend == "locmem":
        (message,) = mailoutbox
        assert (message.from_email, message.extra_headers["From"]) == ("bounces@example.org", "info@example.org")
    else:
        text = capsys.readouterr().out if backend == "console" else next(tmp_path.iterdir()).read_text()
        assert 'To: "Ann, A." <ann@example.org>' in text and "From: info@example.org" in text
