"""The bytes that we assemble, against what Python's own parser reads."""

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.addresses import Mailbox, one_line
from dbmail.delivery.message import Mail

ANN = Mailbox("ann@example.org", "Ann")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=400)


def mail(**fields):
    values = {"subject": "Hello", "body": "Text", "sender": Mailbox("info@example.org"), "to": (ANN,)}
    return Mail(**{**values, "return_path": "bounces@example.org", "message_id": "1@example.org", **fields})


def parsed(**fields):
    data = mail(**fields).for_smtp().data
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    assert b"\n" not in data.replace(b"\r\n", b"") and b"\r" not in data.replace(b"\r\n", b"")
    message = message_from_bytes(data, policy=policy.default)
    assert not message.defects
    assert all(not part.defects for part in message.walk())
    return message


def mailbox(message, field):
    """Name and address in a field, decoded by hand: Python 3.13.0 puts blanks between encoded words in a name."""
    raw = next(value for name, value in message.raw_items() if name == field)
    name, address = parseaddr(str(raw).replace("\r\n", ""))
    return str(make_header(decode_header(name))), address


def lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


@given(TEXT)
def test_any_plain_body_arrives_as_it_was_written(body):
    assert lines(parsed(body=body).get_content()) == lines(body)


@given(TEXT)
def test_any_html_body_arrives_beside_its_text_part(body):
    message = parsed(body=f"<html>{body}", plaintext="In text: ü")
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert lines(text.get_content()) == ["In text: ü"]
    assert lines(html.get_content()) == lines(f"<html>{body}")


@given(TEXT)
def test_any_subject_arrives_on_one_line(text):
    subject = one_line(text)
    assert parsed(subject=subject)["Subject"] == subject


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=120).map(one_line)


@given(NAMES)
def test_any_name_arrives_with_its_address_and_no_other(name):
    message = parsed(to=(Mailbox("ann@example.org", name),), sender=Mailbox("info@example.org", name))
    for field in ("To", "From"):
        assert len(message[field].addresses) == 1
        shown, address = mailbox(message, field)
        assert address in ("ann@example.org", "info@example.org")
        assert shown == name


@pytest.mark.parametrize(
    "name",
    ['Ann "the cat" Example', "Example, Ann", "Ånn Exämple", "安娜" * 30, "=?utf-8?q?x?=", "A" * 300, "<b@c.d>"],
)
def test_awkward_names_keep_their_spelling(name):
    assert mailbox(parsed(to=(Mailbox("ann@example.org", name),)), "To") == (name, "ann@example.org")


def test_the_domain_of_an_address_goes_out_in_ascii():
    envelope = mail(to=(Mailbox("ann@bücher.example", "Ann"),)).for_smtp()
    assert envelope.recipients == ("ann@xn--bcher-kva.example",)
    assert b"To: Ann <ann@xn--bcher-kva.example>\r\n" in envelope.data


def test_long_lines_are_broken_for_transport_and_whole_again_after():
    body = "x" * 5000 + "\n" + "ü" * 3000
    assert lines(parsed(body=body).get_content()) == lines(body)


def test_special_headers_are_folded_and_encoded():
    headers = {"X-Program": "Füße " * 40, "List-Id": "<list.example.org>", "X-Long": "word " * 100 + "end"}
    message = parsed(headers=headers)
    assert message["List-Id"] == "<list.example.org>"
    assert message["X-Program"].strip() == headers["X-Program"].strip()
    assert message["X-Long"] == headers["X-Long"]


def test_reply_to_keeps_all_its_addresses():
    message = parsed(headers={"Reply-To": '"Müller, Jo" <jo@example.org>, info@example.org'})
    assert [(a.display_name, a.addr_spec) for a in message["Reply-To"].addresses] == [
        ("Müller, Jo", "jo@example.org"),
        ("", "info@example.org"),
    ]


def test_mail_without_visible_recipients_says_so():
    assert parsed(to=(), bcc=(ANN,))["To"].groups[0].display_name == "undisclosed-recipients"


@given(st.sampled_from(["text", "<html><p>Hi <b>there</b>"]), NAMES, NAMES)
def test_the_same_mail_as_a_django_message_says_the_same(body, name, subject):
    fields = {"body": body, "subject": subject, "to": (Mailbox("ann@example.org", name),), "headers": {"X-A": "b"}}
    ours = parsed(**fields)
    django = mail(**fields).email_message()
    theirs = message_from_bytes(django.message().as_bytes(), policy=policy.default)
    assert django.from_email == "bounces@example.org"
    for field in ("From", "Subject", "Message-ID", "X-A"):
        assert ours[field] == theirs[field].strip()  # Django 5.2 folds before a long word, and the parser keeps that
    assert [a.addr_spec for a in ours["To"].addresses] == [a.addr_spec for a in theirs["To"].addresses]
    for kind in ("plain", "html"):
        part, other = (message.get_body((kind,)) for message in (ours, theirs))
        assert (part and lines(part.get_content())) == (other and lines(other.get_content()))
