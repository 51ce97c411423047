"""A held message waits until a person decides, and is then done once."""

import pytest

from dbmail.exceptions import DbmailError
from dbmail.incoming.moderation import NotHeld, NotReplayable, approve, reject, replay
from dbmail.models import EmailList, IncomingMessage, PlainRedirect, TextOfEmail
from tests.incoming.builders import letter, person, post, recipients, the_header, the_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def held():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")
    EmailList.objects.update(admin_hold=True)
    post("directors@example.org")
    return the_message()


def test_an_approved_message_goes_to_the_list_as_it_is_now(held):
    PlainRedirect.objects.update(destination="dora@home.test")
    moderator = person("mo", staff=True)
    assert approve(held, moderator).verdict == "send"
    assert recipients() == ["dora@home.test"]
    assert "Subject: Hello" in the_header()
    message = the_message()
    assert (message.state, message.moderated_by) == ("handled", moderator)
    assert message.moderated_at


def test_the_second_moderator_is_told_that_it_is_done(held):
    second = IncomingMessage.objects.get()
    approve(held, person("mo"))
    with pytest.raises(NotHeld):
        approve(second, person("mia"))
    with pytest.raises(NotHeld):
        reject(second, person("max"))
    assert TextOfEmail.objects.count() == 1


def test_a_rejected_message_goes_nowhere_and_the_note_is_kept(held):
    reject(held, person("mo"), "Advertising")
    assert (the_message().state, the_message().reason) == ("dropped", "Advertising")
    assert post("directors@example.org", letter()).rule == "duplicate"
    with pytest.raises(NotHeld):
        approve(held, person("mia"))
    assert recipients() == []


def test_a_message_held_for_having_no_author_can_be_approved():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")
    post("directors@example.org", b"Subject: x\n\nbody")
    assert approve(the_message(), person("mo")).verdict == "send"
    assert '\r\nFrom: "directors" <directors@example.org>\r\n' in the_header()


def test_what_was_refused_by_mistake_is_decided_on_anew():
    assert post("directors@example.org").exit_code == 67
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")
    assert replay(the_message()).verdict == "send"
    assert recipients() == ["dan@home.test"]
    assert (the_message().state, the_message().exit_code) == ("handled", 0)


def test_whoever_was_missing_gets_a_copy_and_nobody_else_a_second_one():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")
    post("directors@example.org")
    TextOfEmail.objects.update(state="sent")
    PlainRedirect.objects.update(destination="dan@home.test, dora@home.test")
    assert replay(the_message()).verdict == "send"
    assert recipients() == ["dora@home.test"]
    # Another row takes it now.
    EmailList.objects.create(regex="^directors$", handler="PlainList", seq=1)
    assert replay(the_message()).verdict == "send"
    assert recipients() == ["dora@home.test"]
    assert TextOfEmail.objects.count() == 2


def test_what_is_held_purged_or_incomplete_is_not_decided_on_anew(held, settings):
    with pytest.raises(NotReplayable, match="held"):
        replay(held)
    reject(held, person("mo"))
    IncomingMessage.objects.update(raw=b"")
    with pytest.raises(NotReplayable, match="purged"):
        replay(held)
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {**settings.DBMAIL["INCOMING"], "MAX_SIZE": 1000}}
    post("directors@example.org", letter(body=b"x" * 1000))
    with pytest.raises(NotReplayable, match="too large"):
        replay(IncomingMessage.objects.latest("pk"))


def test_a_replay_that_fails_says_why_in_the_row():
    post("directors@example.org")
    bad = EmailList.objects.create(regex="^directors$", handler="Gone", seq=1)
    with pytest.raises(DbmailError):
        replay(the_message())
    assert the_message().state == "failed"
    assert "could not be asked" in the_message().reason
    bad.delete()
    assert replay(the_message()).exit_code == 67
