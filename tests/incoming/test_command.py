"""dbmail_incoming: what came in, and decisions on it, for somebody at a terminal."""

import io

import pytest
from django.core.management import CommandError, call_command

from dbmail.models import EmailList, IncomingMessage, PlainRedirect
from tests.incoming.builders import letter, person, post, recipients, the_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def directors():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")


def run(*words):
    out = io.StringIO()
    call_command("dbmail_incoming", *map(str, words), stdout=out)
    return out.getvalue()


def test_messages_are_listed_the_latest_first_and_can_be_chosen(directors):
    post("directors@example.org")
    post("nobody@example.org", letter(subject="Second"))
    first, second = run("list").splitlines()
    assert "rejected" in first and "nobody@example.org" in first and "Second" in first
    assert "handled" in second
    assert run("list", "--state", "handled").splitlines() == [second]
    assert run("list", "--to", "Nobody@Example.org").splitlines() == [first]
    assert run("list", "--limit", 1).splitlines() == [first]


def test_a_message_is_shown_with_why_and_who_has_a_copy(directors):
    post("directors@example.org")
    said = run("show", the_message().pk)
    for part in ("handled", "clear: Nothing speaks against it.", "subject: Hello", "queued dan@home.test", "q1"):
        assert part in said


def test_its_bytes_can_be_had(directors, capfdbinary):
    post("directors@example.org", letter(body=b"\xff\0"))
    run("show", the_message().pk, "--raw")
    assert capfdbinary.readouterr().out == letter(body=b"\xff\0")


def test_a_held_message_is_approved_or_rejected_in_somebodys_name(directors):
    EmailList.objects.update(admin_hold=True)
    moderator = person("mo")
    post("directors@example.org")
    post("directors@example.org", letter(body=b"2").replace(b"<one@", b"<two@"))
    first, second = IncomingMessage.objects.order_by("pk")
    assert "send (approved)" in run("approve", first.pk, "--by", "mo")
    assert recipients() == ["dan@home.test"]
    run("reject", second.pk, "--note", "Advertising")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.moderated_by, second.moderated_by, second.reason) == (moderator, None, "Advertising")
    with pytest.raises(CommandError, match="not held"):
        run("approve", first.pk)


def test_a_replay_says_what_was_decided_now(directors):
    post("staff@example.org")
    PlainRedirect.objects.create(original="staff", destination="sue@home.test")
    assert "send (clear)" in run("replay", the_message().pk)
    assert recipients() == ["sue@home.test"]


def test_a_replay_that_fails_is_an_error(directors):
    EmailList.objects.create(regex="^directors$", handler="tests.incoming.test_gate.Failing", seq=1)
    post("directors@example.org")
    with pytest.raises(CommandError, match="LookupError: a bug"):
        run("replay", the_message().pk)


@pytest.mark.parametrize("words", [["show", 999], ["replay", 999], ["approve", 1, "--by", "nobody"], ["show", "x"]])
def test_what_is_not_there_is_named(words):
    with pytest.raises(CommandError):
        run(*words)
