"""The survey of everyone: kept piece by piece, by pages and passes, however often it is broken off."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone, translation

from dbmail.models import MessageRequest, Preflight, PreflightPiece, Suppression
from dbmail.preflight import everyone
from dbmail.preflight.everyone import fingerprint, go_on, still_failing, take_further
from dbmail.preflight.reach import Reach, Seen

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
State = MessageRequest.State


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Without time, each looks at one person."""
    monkeypatch.setattr("dbmail.preflight.everyone._PIECE", 0)


@pytest.fixture
def draft():
    for n in range(10):
        a_user(
            f"u{n}",
            first_name="" if n == 4 else "Ann",
            email="same@example.org" if n % 2 or n == 4 else f"u{n}@example.org",
        )
    Suppression.objects.create(address="u2@example.org", reason="bounced")
    return a_request(state=State.DRAFT)


def seen(row):
    return Seen.read(row.seen)


def seen_of(draft):
    """What is kept for the draft as it is now."""
    row = Preflight.objects.filter(messagerequest=draft, fingerprint=fingerprint(draft)).first()
    return Seen.read(row.seen if row else {})


def left_alone():
    Preflight.objects.update(asked_at=timezone.now() - timedelta(minutes=1))


def test_piece_after_piece_it_comes_to_the_end_and_counts_each_address_once(draft):
    sizes = []
    row = take_further(draft, 0)
    while not row.finished_at:
        sizes.append(seen(row).people)
        row = take_further(draft, 0)
    assert sizes == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    found = seen(row)
    assert (found.people, found.reach[""], found.empty["user.first_name"].count) == (10, Reach(5, 1, 4), 1)
    assert not PreflightPiece.objects.exists()
    assert take_further(draft, 0).finished_at == row.finished_at
    assert seen_of(draft) == found


def test_what_two_look_at_together_is_kept_once(draft, monkeypatch):
    take_further(draft, 0)
    real = everyone.survey_piece

    def meanwhile(*given):
        piece = real(*given)
        monkeypatch.setattr(everyone, "survey_piece", real)
        take_further(draft, 0)  # another page is faster
        return piece

    monkeypatch.setattr(everyone, "survey_piece", meanwhile)
    assert seen(take_further(draft, 0)).people == 2
    assert PreflightPiece.objects.count() == 2


def test_a_change_of_the_draft_begins_it_anew_also_in_the_middle_of_a_piece(draft, monkeypatch):
    take_further(draft, 0)
    draft.subject = "Another"
    draft.save()
    assert seen_of(draft) == Seen()
    assert seen(take_further(draft, 0)).people == 1
    assert PreflightPiece.objects.count() == 1
    real = everyone.survey_piece

    def meanwhile(*given):
        piece = real(*given)
        monkeypatch.setattr(everyone, "survey_piece", real)
        MessageRequest.objects.filter(pk=draft.pk).update(subject="A third")
        take_further(MessageRequest.objects.get(pk=draft.pk), 0)
        return piece

    monkeypatch.setattr(everyone, "survey_piece", meanwhile)
    assert seen(take_further(draft, 0)).people == 1  # of the third, not two of the second
    assert seen_of(MessageRequest.objects.get(pk=draft.pk)).people == 1


def test_variables_and_the_audience_count_and_the_sender_does_not(draft):
    marks = {everyone.fingerprint(draft)}
    draft.sender = "other@example.org"
    assert everyone.fingerprint(draft) in marks
    draft.messagevars_set.create(provider_name="day", provider={"value": 1})
    marks.add(everyone.fingerprint(draft))
    draft.category = "news"
    marks.add(everyone.fingerprint(draft))
    draft.recipients.q_filter = "{}"
    marks.add(everyone.fingerprint(draft))
    assert len(marks) == 4


def test_what_was_seen_long_ago_is_looked_at_again(draft):
    while not take_further(draft, 0).finished_at:
        pass
    Suppression.objects.create(address="same@example.org", reason="unsubscribed")
    assert seen_of(draft).reach[""].suppressed == 1
    Preflight.objects.update(finished_at=timezone.now() - everyone.FRESH)
    while not take_further(draft, 0).finished_at:
        pass
    assert seen_of(draft).reach[""].suppressed == 3


def test_a_pass_goes_on_when_no_page_does(draft, relay):
    take_further(draft, 0)
    call_command("dbmail_cron")
    assert Preflight.objects.get().finished_at is None  # the page is still open
    left_alone()
    call_command("dbmail_cron")
    row = Preflight.objects.get()
    assert row.finished_at
    assert seen(row).reach[""] == Reach(5, 1, 4)
    draft.refresh_from_db()
    assert draft.state == State.DRAFT and relay.connections == 0


def test_a_pass_stops_when_told_and_when_its_time_is_over(draft):
    take_further(draft, 0)
    left_alone()
    asked = iter([False, True])
    assert go_on(lambda: next(asked), 60)
    assert seen(Preflight.objects.get()).people == 2
    assert go_on(lambda: False, -1)
    assert seen(Preflight.objects.get()).people == 2
    assert not go_on(lambda: False, 60)


def test_an_audience_that_breaks_stops_its_own_look_only(draft, monkeypatch):
    bad = a_request(state=State.DRAFT, subject="Bad")
    for request in (bad, draft):
        take_further(request, 0)
    left_alone()
    real = everyone.survey_piece

    def broken(request, *rest):
        if request.pk == bad.pk:
            raise ZeroDivisionError("a property of the project's")
        return real(request, *rest)

    monkeypatch.setattr(everyone, "survey_piece", broken)
    assert not go_on(lambda: False, 60)
    assert [(row.messagerequest_id, bool(row.finished_at)) for row in Preflight.objects.all()] == [(draft.pk, True)]


def test_what_is_sent_off_in_the_middle_is_looked_at_no_more(draft):
    take_further(draft, 0)
    left_alone()
    MessageRequest.objects.update(state=State.SCHEDULED)
    assert not go_on(lambda: False, 60)
    assert not Preflight.objects.exists() and not PreflightPiece.objects.exists()


def test_no_address_is_kept(draft):
    take_further(draft, 0)
    row, piece = Preflight.objects.get(), PreflightPiece.objects.get()
    assert "@" not in str(row.seen)
    assert len(bytes(piece.self_keys)) == 8


def test_a_pass_leaves_to_another_what_that_one_takes_further(draft, monkeypatch):
    take_further(draft, 0)
    left_alone()
    real, looks = everyone.survey_piece, []

    def look(request, *rest):
        if len(looks) == 1:
            assert not go_on(lambda: False, 60)  # a second pass finds nothing to do
        looks.append(rest[0])
        return real(request, *rest)

    monkeypatch.setattr(everyone, "survey_piece", look)
    assert not go_on(lambda: False, 60)
    assert len(looks) == len(set(looks)) == 9


def test_a_failure_that_was_mended_in_the_data_is_looked_at_again(draft):
    MessageRequest.objects.update(msgtext="{% if user.first_name %}Dear {{ user.first_name }}{% endif %}")
    draft.refresh_from_db()
    while not take_further(draft, 0).finished_at:
        pass
    assert still_failing(draft) == 1
    get_user_model().objects.update(first_name="Ann")
    assert still_failing(draft) == 0
    assert seen_of(draft) == Seen()
    while not take_further(draft, 0).finished_at:
        pass
    assert seen_of(draft).failed == 0


def test_reasons_are_in_the_projects_language_whoever_looks(draft):
    MessageRequest.objects.update(msgtext="{% if user.first_name %}Dear{% endif %}")
    draft.refresh_from_db()
    with translation.override("de"):
        while not take_further(draft, 0).finished_at:
            pass
    assert list(seen_of(draft).failures) == ["Nothing of it is left for them."]
