"""What a stranger sends costs little and is never lost: it is passed on, dropped, or held for a person to look at."""

import encodings
import io

import pytest
from django.core.management import CommandError, call_command

from dbmail.addresses import addresses_in, parse_mailbox
from dbmail.delivery import caps, return_path
from dbmail.delivery.header_block import readable, split
from dbmail.exceptions import AddressError
from dbmail.incoming import facts, intake
from dbmail.incoming.gate import receive
from dbmail.incoming.moderation import StillHeld, approve, legible, reject
from dbmail.models import Forward, IncomingMessage, PlainRedirect, TextOfEmail
from tests.builders import a_mail
from tests.effort import at_most
from tests.incoming.bombs import BOMBS
from tests.incoming.builders import letter, person, post, the_message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def directors():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")


def too_many_fields(number=caps.FIELDS):
    return letter(*["X-A: 1"] * number)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_to_a_list_or_a_return_path_costs_little_and_is_stored_as_it_came(name):
    raw = BOMBS[name]()
    for address, sender in (("directors@example.org", "eve@evil.test"), (return_path.signed(a_mail().pk), "")):
        with at_most(2):
            assert post(address, raw, sender=sender).exit_code == 0
        message = IncomingMessage.objects.latest("pk")
        assert message.state in ("handled", "held", "dropped")
        assert bytes(message.raw) == raw


@pytest.mark.parametrize("name", BOMBS)
def test_a_moderator_who_looks_at_one_does_not_wait_either(name):
    raw = BOMBS[name]()
    with at_most(2):
        assert legible(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (too_many_fields(), "more than 1000 fields"),
        (letter("X-A: " + "x" * caps.FIELD), "A field of its header has more than 100000 bytes"),
        (letter("X-A: 1" + "\n x" * (caps.FIELD // 3)), "A field of its header has more than 100000 bytes"),
        (letter(*["X-A: " + "x" * 90_000] * 6), "Its header has more than 500000 bytes"),
    ],
)
def test_a_list_holds_a_message_whose_header_nobody_would_read_and_says_why(raw, reason):
    decision = post("directors@example.org", raw)
    assert (decision.exit_code, decision.verdict, decision.rule) == (0, "hold", "unreadable")
    message = the_message()
    assert reason in message.reason
    assert (message.state, message.subject, message.author) == ("held", "Hello", "Tess Doe <tess@home.test>")
    assert bytes(message.raw) == raw
    assert not TextOfEmail.objects.exists()


def test_up_to_the_caps_it_passes_whole():
    fields = ["X-A: 1"] * (caps.FIELDS - 7) + ["X-B: " + "x" * (caps.FIELD - 6), "X-C: c"]
    assert post("directors@example.org", letter(*fields)).verdict == "send"
    assert bytes(Forward.objects.get().headers).count(b"X-A: 1\r\n") == caps.FIELDS - 7
    assert b"\r\nX-C: c\r\n" in bytes(Forward.objects.get().headers)


def test_only_a_body_is_long_where_the_header_is_short():
    assert post("directors@example.org", letter(body=b"x" * 1_000_000)).verdict == "send"
    assert post("directors@example.org", b"From: a@home.test\n" + b"x" * 1_000_000).verdict == "send"


def test_such_a_message_for_an_unknown_address_is_refused_like_any_other():
    assert post("nobody@example.org", too_many_fields()).exit_code == 67


def test_such_a_message_that_comes_again_is_known():
    assert post("directors@example.org", too_many_fields()).rule == "unreadable"
    assert post("directors@example.org", too_many_fields()).rule == "duplicate"


def test_what_cannot_be_read_cannot_be_approved_but_it_can_be_rejected():
    post("directors@example.org", too_many_fields())
    with pytest.raises(StillHeld, match="more than 1000 fields"):
        approve(the_message(), person("mo", staff=True))
    with pytest.raises(CommandError, match="stays held"):
        call_command("dbmail_incoming", "approve", str(the_message().pk))
    assert (the_message().state, the_message().moderated_by) == ("held", None)
    reject(the_message(), None, "A bomb")
    assert the_message().state == "dropped"


def test_whatever_reading_raises_the_message_is_held_and_the_mail_server_need_not_try_again(monkeypatch, caplog):
    def give_up(header):
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(facts, "_author", give_up)
    decision = post("directors@example.org")
    assert (decision.exit_code, decision.rule) == (0, "unreadable")
    assert "RecursionError" in the_message().reason
    assert bytes(the_message().raw) == letter()
    assert "The header of a message cannot be read." in caplog.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("multiparts 10,000 deep", "more than 20 deep"),
        ("100,000 parts", "more than 500 parts"),
        ("messages in messages, 10,000 deep", "more than 20 deep"),
        ("a report on 100,000 recipients", "more than 500 parts"),
        ("a million fields", "more than 1000 fields"),
    ],
)
def test_a_report_with_too_much_in_it_is_held(name, reason):
    decision = post(return_path.signed(a_mail().pk), BOMBS[name](), sender="")
    assert (decision.exit_code, decision.verdict, decision.rule) == (0, "hold", "unreadable")
    assert reason in decision.reason


def test_a_bounce_that_cannot_be_understood_in_a_second_is_held():
    pytest.importorskip("flufl.bounce")
    raw = BOMBS["a bounce in words that flufl.bounce takes minutes for"]()
    decision = post(return_path.signed(a_mail().pk), raw, sender="")
    assert (decision.verdict, decision.rule) == ("hold", "unreadable")


def test_a_bounce_in_words_is_found_under_a_long_message_that_it_returns():
    pytest.importorskip("flufl.bounce")
    mail = a_mail("ann@home.test")
    words = b"Hi. This is the qmail-send program at home.test.\nI'm afraid I wasn't able to deliver your message.\n\n"
    raw = b"From: MAILER-DAEMON@home.test\nSubject: failure notice\n\n" + words
    raw += b"<ann@home.test>:\n550 5.1.1 No such user\n\n--- Below this line is a copy of the message.\n\n"
    assert post(return_path.signed(mail.pk), raw + b"A: 1\n" * 100_000, sender="").rule == "report"


def test_a_field_that_is_too_long_for_the_parser_is_empty_to_it_and_not_another():
    part = caps.parsed(b"A: " + b"x" * 5_000 + b"\nB: b\nContent-Type: text/plain; a=" + b"x" * 5_000 + b"\n\nbody")
    assert (part["A"], part["B"], part.get_content_type(), part.get_payload()) == ("", "b", "text/plain", "body")


@pytest.mark.parametrize("text", ["(" * 60 + ")" * 60 + "a@b.test", "a:" * 60 + "a@b.test", "x" * 3_000 + "@b.test"])
def test_addresses_that_would_keep_a_parser_busy_are_none(text):
    for take_apart in (parse_mailbox, addresses_in):
        with pytest.raises(AddressError):
            take_apart(text)


def test_a_names_comments_and_colons_are_no_harm():
    assert parse_mailbox("Ann (a (b)) <ann@home.test>").address == "ann@home.test"
    assert parse_mailbox('"Re: all" <ann@home.test>') == ("ann@home.test", "Re: all")


def test_a_field_of_our_own_may_be_as_long_as_its_list():
    header, body = split(
        b"To: " + b"a@b.test,\r\n " * 50_000 + b"a@b.test\r\nSubject: Hello\r\n\r\nbody", is_ours=True
    )
    assert (header.first("subject").text, header.excess, body) == ("Hello", "", b"body")


def test_a_charset_that_nobody_knows_leaves_nothing_behind_in_the_process():
    """Python remembers each name for ever, and a stranger may have a new one for every word."""
    assert readable(b"=?x-made-up?q?a?=") == "=?x-made-up?q?a?="
    part = caps.parsed("Content-Type: text/plain; charset=x-made-up\n\nGrün".encode())
    assert part.get_payload()
    assert "Grün" in legible("Content-Type: text/html; charset=x-made-up\n\nGrün".encode())
    assert not [name for name in encodings._cache if "made" in name]


def test_a_subject_in_known_charsets_is_read_still():
    assert readable(b"=?windows-1252?q?Gr=FCn?= =?koi8-u?q?=A4?=") == "Grünє"
    assert readable(b"=?utf-8?q?" + b"?= =?utf-8?q?".join([b"a"] * 90) + b"?=") == "a" * 90


def test_of_a_message_that_is_too_large_the_beginning_is_read_and_the_rest_only_counted(settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {"MAX_SIZE": 1_000}}
    pipe = io.BytesIO(letter(body=b"x" * 5_000_000))
    raw, size = intake.read_message(pipe)
    assert (len(raw), size, pipe.read()) == (1_001, len(pipe.getvalue()), b"")
    envelope = intake.envelope_for("directors@example.org", "eve@evil.test")
    assert receive(envelope, raw, size=size).exit_code == 65
    assert str(size) in the_message().reason
