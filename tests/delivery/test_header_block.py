"""Header fields are edited as bytes; what nobody edits, and every body, leaves as it came."""

import email
import re
from email import policy
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.delivery.header_block import (
    address_spec,
    encoded,
    mailbox,
    make_field,
    message_bytes,
    readable,
    readable_message,
    split,
    wire_bytes,
)
from dbmail.incoming.facts import Envelope, content_hash, read
from dbmail.incoming.rewrite import ListStyle, for_alias, for_list
from dbmail.models import Forward, IncomingMessage
from tests.effort import at_most

ENVELOPE = Envelope("directors", "example.org", "ann@home.test")
STYLE = ListStyle(tags=("Splash", "S12"), support="help@example.org")

names = st.sampled_from(["From", "To", "Cc", "Bcc", "Subject", "Reply-To", "Message-ID", "Date", "X-A", "List-Id"])
values = st.binary(max_size=60) | st.sampled_from(
    [b" =?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", b" =?x?b?!!?=", b" a@b.test,\r\n\tc@d.test", b" Ann <ann@home.test>", b""]
)
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"])
messages = st.builds(
    lambda top, fields, body: top + b"".join(n.encode() + b":" + v + e for n, v, e in fields) + body,
    st.sampled_from([b"", b"From ann Tue Nov 24\n", b"\n", b" folded\n"]),
    st.lists(st.tuples(names, values, line_ends), max_size=8),
    st.binary(max_size=200),
) | st.binary(max_size=300)


def as_list(raw, style=STYLE):
    header, _body = split(raw)
    return for_list(header, ENVELOPE, read(header, len(raw)), style)


@given(messages)
def test_any_bytes_are_a_header_and_a_body_and_the_body_is_their_end(raw):
    header, body = split(raw)
    assert raw.endswith(body)
    assert split(header.as_bytes()) == (header, b"")


@given(messages)
def test_a_lists_header_is_one_header_whatever_came(raw):
    block = as_list(raw).as_bytes()
    assert block.endswith(b"\r\n\r\n")
    assert block.count(b"\r\n\r\n") == 1
    assert b"\0" not in block
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", block)
    again, rest = split(block)
    assert rest == b""
    for once in ("from", "to", "reply-to", "list-id", "precedence", "x-esp-sender", "subject", "message-id", "date"):
        assert len(again.all(once)) <= 1 or once in ("message-id", "date")
    assert not again.all("bcc")
    assert not again.all("cc")
    assert again.first("from").raw.endswith(b"<directors@example.org>") or again.first("from").value == (
        b" directors@example.org"
    )
    parsed = email.message_from_bytes(block, policy=policy.compat32)
    assert parsed["To"] == "directors@example.org"


@given(messages)
def test_an_aliass_header_has_every_field_but_those_that_are_private(raw):
    header, _body = split(raw)
    kept = for_alias(header, ENVELOPE)
    assert [f for f in header.fields if f.name != "bcc"] == list(kept.fields[: len(header.without(["bcc"]).fields)])


@given(st.text(max_size=200))
def test_no_text_of_ours_can_begin_a_line_of_its_own(text):
    field = make_field("X-A", text)
    assert split(field.raw + b"\r\n\r\n")[0].fields == (field,)
    assert readable(mailbox("a@b.test", text)).endswith(("<a@b.test>", "a@b.test"))


@given(st.binary(max_size=300))
def test_any_value_can_be_read(value):
    assert readable(value).isprintable()


def test_a_field_of_bytes_with_a_line_of_its_own_is_refused():
    for value in (b"a\r\nBcc: x", b"a\nb", b"a\rb", b"a\0b", b"a\r\n\r\nbody"):
        with pytest.raises(ValueError, match="X-A"):
            make_field("X-A", value)


@pytest.mark.parametrize(
    ("raw", "fields", "body"),
    [
        (b"A: 1\nB: 2\n\nbody", [b"A: 1", b"B: 2"], b"body"),
        (b"A: 1\r\nB: 2\r\n\r\nbody\r\n", [b"A: 1", b"B: 2"], b"body\r\n"),
        (b"A: 1\r\n x\n\ty\nB: 2\n\r\nbody", [b"A: 1\r\n x\r\n\ty", b"B: 2"], b"body"),
        (b"From ann Tue\nA: 1\n\nFrom the", [b"A: 1"], b"From the"),
        (b"A: 1\nno field\nB: 2\n\nbody", [b"A: 1"], b"no field\nB: 2\n\nbody"),
        (b"A: 1\n \nB: 2\n\nbody", [b"A: 1", b"B: 2"], b"body"),
        (b"A: 1\rBcc: x\n\nbody\r\0", [b"A: 1 Bcc: x"], b"body\r\0"),
        (b"A: \0\n\n", [b"A:  "], b""),
        (b"\nA: 1\n\nbody", [], b"A: 1\n\nbody"),
        (b"A: 1", [b"A: 1"], b""),
        (b"", [], b""),
        (b"A : 1\n\n", [b"A : 1"], b""),
        (b"\xe9: 1\n\nbody", [], b"\xe9: 1\n\nbody"),
    ],
)
def test_the_header_ends_where_exim_ends_it(raw, fields, body):
    header, rest = split(raw)
    assert [field.raw for field in header.fields] == fields
    assert rest == body


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        (b"Subject: Hello", b"Subject: [Splash] [S12] Hello"),
        (b"Subject: Re: [splash] [S12] Hello", b"Subject: Re: [splash] [S12] Hello"),
        (b"Subject: [S12] Hello", b"Subject: [Splash] [S12] Hello"),
        (b"X-A: 1", b"Subject: [Splash] [S12]"),
        (b"Subject:", b"Subject: [Splash] [S12]"),
        (b"Subject:Hello", b"Subject: [Splash] [S12] Hello"),
        (b"Subject:\n Hello", b"Subject: [Splash] [S12]\r\n Hello"),
        (b"Subject: =?gb18030?b?xOO6ww==?=", b"Subject: [Splash] [S12] =?gb18030?b?xOO6ww==?="),
        (b"Subject: \xe9t\xe9", b"Subject: [Splash] [S12] \xe9t\xe9"),
        (b"Subject: =?utf-8?q?a=0D=0ABcc:_x?=", b"Subject: [Splash] [S12] =?utf-8?q?a=0D=0ABcc:_x?="),
        (b"Subject: a\nSubject: b", b"Subject: [Splash] [S12] a"),
    ],
)
def test_tags_stand_before_the_subject_once_and_its_bytes_stay(subject, wanted):
    block = as_list(b"From: ann@home.test\n" + subject + b"\n\n")
    assert [field.raw for field in block.all("subject")] == [wanted]


@pytest.mark.parametrize(
    ("charset", "text"), [("iso-2022-jp", "日本語の件名"), ("gb18030", "你好"), ("utf-8", "Grüße")]
)
def test_a_prefix_in_one_charset_and_a_subject_in_another_both_read(charset, text):
    from email.header import Header

    raw = b"Subject: " + Header(text, charset).encode().encode() + b"\n\n"
    assert as_list(raw, ListStyle(tags=("Präfix",))).first("subject").text == f"[Präfix] {text}"


def test_a_very_long_line_is_folded_after_the_prefix():
    raw = b"Subject: " + b"x" * 980 + b"\n\n"
    assert max(map(len, as_list(raw).as_bytes().split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("author", "shown", "reply"),
    [
        ("Ann Doe <ann@home.test>", '"Ann Doe via directors" <directors@example.org>', '"Ann Doe" <ann@home.test>'),
        ("ann@home.test", '"ann via directors" <directors@example.org>', "ann@home.test"),
        ('"eve@evil.test" <ann@home.test>', '"ann via directors" <directors@example.org>', '"eve@evil.test" <ann@h'),
        (
            '"Doe, Ann \\"A\\"" <ann@home.test>',
            '"Doe, Ann \\"A\\" via directors" <',
            '"Doe, Ann \\"A\\"" <ann@home.test>',
        ),
        (
            "=?utf-8?q?J=C3=BCrgen?= <j@home.test>",
            "=?utf-8?q?J=C3=BCrgen_via_directors?= <dir",
            "=?utf-8?q?J=C3=BCrgen?= <",
        ),
        ("=?utf-8?q?a=0D=0ABcc:_x?= <j@home.test>", '"a Bcc: x via directors" <dir', '"a Bcc: x" <j@home.test>'),
        ("J\xfcrgen <j@home.test>", "=?utf-8?q?J=C3=BCrgen_via_directors?= <dir", "=?utf-8?q?J=C3=BCrgen?= <"),
    ],
)
def test_from_is_the_list_and_replies_go_to_the_author(author, shown, reply):
    block = as_list(b"From: " + author.encode("latin-1") + b"\n\n")
    assert block.first("from").value.decode().strip().startswith(shown)
    assert block.first("reply-to").value.decode().strip().startswith(reply)


def test_where_the_author_wants_answers_elsewhere_both_are_named():
    block = as_list(b'From: ann@home.test\nReply-To: "B, B" <b@home.test>, ANN@home.test, broken@\n\n')
    assert block.first("reply-to").value == b' "B, B" <b@home.test>,\r\n ANN@home.test'


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b"ann@home.test", "ann@home.test"),
        (b"Ann <ann@home.test>\n", "ann@home.test"),
        (b"a@home.test, b@home.test", None),
        (b"a@home.test <b@home.test>", None),
        (b"<a@home.test> <b@home.test>", None),
        (b"", None),
        (b"nobody", None),
        (b"undisclosed:;", None),
        (b"\xff\xfe <ann@home.test>", "ann@home.test"),
        ("jürgen@home.test".encode(), "jürgen@home.test"),
        (b"=?utf-8?q?eve=40evil.test?= <ann@home.test>", "ann@home.test"),
    ],
)
def test_there_is_one_author_or_none(value, address):
    header, _body = split(b"From: " + value.strip() + b"\n\n")
    author = read(header, 1).author
    assert (author.address if author else None) == address


def test_two_from_fields_are_no_author():
    header, _body = split(b"From: a@home.test\nFrom: b@home.test\n\n")
    assert read(header, 1).author is None


def test_local_parts_are_quoted_where_they_need_it():
    assert address_spec("a.b+c", "x.test") == "a.b+c@x.test"
    assert address_spec('a "b"\\', "x.test") == '"a \\"b\\"\\\\"@x.test'
    assert address_spec(".a", "x.test") == '".a"@x.test'


def test_long_names_are_encoded_in_lines_of_legal_length():
    assert all(len(line) <= 78 for line in encoded("ü" * 300).split(b"\r\n"))


def test_the_same_content_has_one_hash_whatever_the_way_it_took():
    one = split(b"Received: a\nMessage-ID: <1@x>\nSubject: a\n b\n\nbody")
    two = split(b"Delivery-date: x\nMessage-ID:  <1@x>\r\nSubject: a b\n\nbody")
    other = split(b"Message-ID: <1@x>\nSubject: a b\n\nbody2")
    assert content_hash(*one, "q1") == content_hash(*two, "q2") != content_hash(*other, "q1")


def test_without_any_identity_of_its_own_the_mtas_name_for_it_counts():
    message = split(b"Subject: a\n\nbody")
    assert content_hash(*message, "q1") == content_hash(*message, "q1") != content_hash(*message, "q2")


def test_a_handler_reads_the_fields_as_they_came():
    raw = b"From: =?utf-8?q?J=C3=B6rg?= <j@home.test>\nX-Long: a\n\tb\nTO : c\nSubject: \xff\n\nbody"
    message = readable_message(split(raw)[0])
    assert (message["from"], message["x-long"], message["To"]) == (
        "=?utf-8?q?J=C3=B6rg?= <j@home.test>",
        "a\r\n\tb",
        "c",
    )
    assert make_header(decode_header(message["subject"])) is not None
    assert message.get_payload() is None


def test_a_huge_header_takes_no_time_to_speak_of():
    with at_most(5):
        for raw in (
            b"X: " + b"(" * 200_000 + b"\n\n",
            b"Subject: " + b"=?" * 100_000 + b"\n\n",
            b"From: " + b"<" * 200_000 + b"\n\n",
            b"From: " + b'"\\' * 100_000 + b"\n\n",
            b"Reply-To: " + b"a@b.test," * 20_000 + b"\n\n",
            b"A: 1\n" * 40_000 + b"\n",
            b"A: 1\n" + b" x\n" * 60_000 + b"\n",
            b"DKIM-Signature: h=" + b"a:" * 100_000 + b"\n\n",
            b'Content-Type: multipart/mixed; boundary="x"' + b";" * 1_000_000 + b"\n\n",
            b"From: a@home.test\nAuthentication-Results: mx; " + b"a" * 200_000 + b"\n\n",
        ):
            header, _body = split(raw)
            read(header, len(raw), ("mx",))
            as_list(raw)
            for_alias(header, ENVELOPE)
            readable_message(header)


def test_a_field_takes_the_place_of_the_first_of_its_name_and_the_others_go():
    header, _body = split(b"A: 1\nTo: x\nB: 2\nTo: y\n\n")
    assert header.with_only("TO", "z").as_bytes() == b"A: 1\r\nTO: z\r\nB: 2\r\n\r\n"
    assert header.with_only("C", "3").as_bytes() == b"A: 1\r\nTo: x\r\nB: 2\r\nTo: y\r\nC: 3\r\n\r\n"


def test_a_name_with_a_hyphen_at_its_end_stands_for_all_that_begin_with_it():
    header, _body = split(b"List-Id: 1\nList-Post: 2\nListing: 3\nTo: x\n\n")
    assert [field.name for field in header.without(["List-"], unless=["list-post"]).fields] == [
        "list-post",
        "listing",
        "to",
    ]


def test_a_handler_reads_all_after_the_first_colon_but_the_white_space_before_it():
    header, _body = split(b"Subject: \t X: a: b \nX-A: \x0cform\n\n")
    message = readable_message(header)
    assert (message["subject"], message["x-a"]) == ("X: a: b ", "\x0cform")


@pytest.mark.parametrize("value", [b" a", b"\ta", b"\r\n a"])
def test_a_value_that_brings_its_white_space_gets_no_more(value):
    assert make_field("X-A", value).raw == b"X-A:" + value
    assert make_field("X-A", b"a").raw == b"X-A: a"


def test_a_name_is_quoted_and_not_longer_than_a_line():
    assert mailbox("a@b.test", "Ann \\ Doe") == b'"Ann \\\\ Doe" <a@b.test>'
    assert mailbox("a@b.test", "x" * 90) == b'"' + b"x" * 80 + b'" <a@b.test>'


def test_the_first_line_of_an_encoded_value_leaves_room_for_the_name_of_its_field():
    """Ten characters of it, such as "Reply-To: "."""
    longest = max(len(encoded("ü" * number).split(b"\r\n")[0]) for number in range(20, 60))
    assert 60 < 10 + longest <= 76


def test_what_a_charset_has_and_no_database_takes_is_read_as_a_question_mark():
    assert readable(b"=?utf-16?b?2AA=?= a").isprintable()
    assert readable(b"=?utf-7?q?+2AA-?=") == "?"
    assert readable(b"=?unicode-escape?q?=5Cud800?=") == "=?unicode-escape?q?=5Cud800?="  # none of mail


def test_a_copy_is_our_header_and_their_body_with_line_ends_as_smtp_wants_them():
    incoming = IncomingMessage(raw=b"Subject: theirs\n\none\ntwo\r\nthree\r.\rfour")
    forward = Forward(incoming=incoming, headers=b"Subject: ours\r\n\r\n")
    assert message_bytes(forward) == b"Subject: ours\r\n\r\none\ntwo\r\nthree\r.\rfour"
    assert wire_bytes(forward) == b"Subject: ours\r\n\r\none\r\ntwo\r\nthree\r\n.\rfour"
