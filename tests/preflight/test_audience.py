"""Checks of an audience, and the look over its people."""

import json

import pytest
from django.contrib.auth import get_user_model
from hypothesis import given
from hypothesis import strategies as st

from dbmail.models import PreflightPiece, Suppression, TextOfEmail
from dbmail.preflight import reach as reaches
from dbmail.preflight.audience import Audience, check_audience
from dbmail.preflight.reach import EXAMPLES, KINDS, REASONS, Keys, Reach, Seen, Tally, key_of, reach_of
from dbmail.preflight.survey import survey_piece
from testproject.outreach.models import Profile

from ..builders import a_request, a_user

BOTH = "send_to_self_and_guardian"


def said(*, people=5, sendto="", reach=None, **seen):
    look = Seen(**seen, reach={sendto: reach or Reach()})
    return [(str(f.severity), f.field, f.message, f.people) for f in check_audience(Audience(people, look, sendto))]


def test_an_ordinary_audience_is_not_complained_of():
    assert said(reach=Reach(mails=5), people=5) == []


def test_what_one_should_know_is_said_in_numbers_and_with_people():
    two = Tally(2, ["7", "8"])
    assert said(people=0)[0][:2] == ("error", "audience")
    assert said(**{"people": 5}) == []  # nobody was looked at yet
    assert "large: 3,000" in said(people=3000)[0][2]
    assert "Guardians" in said(sendto=BOTH)[0][2]
    assert "emergencies" in said(sendto="send_to_emergency")[0][2]
    assert "1 address is left out" in said(reach=Reach(4, 1))[0][2]
    assert "2 mails less: the same text" in said(reach=Reach(4, 0, 2))[0][2]
    for seen, severity, message in (
        ({"without_address": two}, "note", "2 people have no such address and get nothing."),
        ({"unresolved": two}, "warning", "2 people have an address that cannot be used."),
        ({"failures": {"Line 2: boom": two}}, "error", "The text fails for 2 people: Line 2: boom"),
        ({"failures": {"": two}}, "error", "The text fails for 2 people."),
        ({"empty": {"user.first_name": two}}, "warning", "{{ user.first_name }} is empty for 2 people."),
    ):
        found = said(**seen)[0]
        assert (found[0], found[2], found[3]) == (severity, message, ("7", "8"))
    longest = said(biggest=200 * 1024, biggest_for="9")[0]
    assert longest[2:] == ("The longest mail has 200 KB; Gmail cuts off after 102 KB.", ("9",))


def test_nobody_who_can_be_reached_is_an_error():
    look = Audience(5, Seen(reach={"": Reach(0, 5)}))
    look.seen.people = 5
    assert "has an address" in check_audience(look)[0].message


def tallied(*keys):
    tally = Tally()
    for key in keys:
        tally.note(key)
    return tally


def test_what_two_looks_have_seen_adds_up_and_is_kept_as_json():
    first = Seen(people=4, biggest=10, biggest_for="1", reach={"": Reach(4)})
    first.failures, first.empty = {"a": tallied("1", "2")}, {"user.x": tallied("3")}
    second = Seen(people=3, biggest=20, biggest_for="5", reach={"": Reach(2, 1)})
    second.failures, second.empty = {"a": tallied("5", "6"), "b": tallied("7")}, {"user.y": tallied("8")}
    first.add(Seen.read(json.loads(json.dumps(second.as_json()))))
    assert (first.people, first.biggest, first.biggest_for, first.reach[""]) == (7, 20, "5", Reach(6, 1))
    assert first.failures == {"a": Tally(4, ["1", "2", "5"]), "b": Tally(1, ["7"])}
    assert first.empty == {"user.x": Tally(1, ["3"]), "user.y": Tally(1, ["8"])}
    assert first.failed == 5
    assert Seen.read(json.loads(json.dumps(first.as_json()))) == first
    assert Seen.read({}) == Seen()


def test_however_many_reasons_there_are_a_few_are_told_apart_and_all_are_counted():
    seen = Seen()
    for n in range(100):
        seen.failures_for(f"reason {n}").note(str(n))
    assert len(seen.failures) == REASONS + 1
    assert seen.failed == 100
    assert len(seen.failures[""].people) == EXAMPLES


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30)), max_size=60), st.sets(st.integers(0, 30)))
def test_addresses_that_come_twice_count_once_however_they_are_divided(found, left_out):
    keys = Keys()
    for kind, key in found:
        keys.add_person({kind: [key]})
    keys.suppressed.extend(left_out)
    wanted = {key for kind, key in found if kind in ("self", "guardian")}
    links = sum(kind in ("self", "guardian") for kind, _key in found)
    expected = Reach(len(wanted - left_out), len(wanted & left_out), links - len(wanted))
    whole, reaches._AT_A_TIME = reaches._AT_A_TIME, 7
    try:
        assert reach_of(keys)[BOTH] == expected
    finally:
        reaches._AT_A_TIME = whole
    assert reach_of(keys)[BOTH] == expected


def test_a_key_tells_equal_addresses_and_fits_its_column():
    assert key_of("ann@example.org") == key_of("ann@example.org") != key_of("bob@example.org")
    keys = Keys()
    keys.add_person({"self": [key_of("ann@example.org")]})
    assert len(keys.as_columns()["self_keys"]) == 8
    assert Keys.of(PreflightPiece(**keys.as_columns())) == keys


@pytest.mark.django_db
def test_the_look_goes_on_where_it_stopped_and_counts_everyone_once(monkeypatch):
    monkeypatch.setattr("dbmail.preflight.survey._CHUNK", 3)
    for n in range(8):
        a_user(f"u{n}", first_name="" if n % 2 else "Ann")
    Profile.objects.create(user=get_user_model().objects.get(username="u1"), guardian_email="g@example.org")
    Suppression.objects.create(address="u2@example.org", reason="bounced")
    request = a_request(sendto_fn_name=BOTH)
    seen, keys, after = Seen(), Keys(), None
    for _ in range(10):
        piece = survey_piece(request, after, seconds=0)
        seen.add(piece.seen)
        keys.add(piece.keys)
        after = piece.after
        if after is None:
            break
    assert (seen.people, seen.empty["user.first_name"].count) == (8, 4)
    assert reach_of(keys)[BOTH] == seen.reach[BOTH] == Reach(8, 1, 0)
    assert reach_of(keys)["send_to_guardian"] == Reach(1)


@pytest.mark.django_db
def test_people_for_whom_the_text_fails_or_says_nothing_are_counted_with_the_reason():
    a_user("ann", first_name="Ann")
    bob = a_user("bob", first_name="")
    request = a_request(msgtext="{% if user.first_name %}Dear {{ user.first_name }}{% endif %}")
    seen = survey_piece(request).seen
    assert seen.failures == {"Nothing of it is left for them.": Tally(1, [str(bob.pk)])}
    request = a_request(msgtext="{{ user.username|center:user.first_name }}")
    assert survey_piece(request).seen.failed + survey_piece(request).seen.people >= 2


@pytest.mark.django_db
def test_an_address_that_cannot_be_used_is_told_from_none():
    no_use, none = a_user("ann", email="no address"), a_user("bob", email="")
    seen = survey_piece(a_request()).seen
    assert (seen.unresolved.people, seen.without_address.people) == ([str(no_use.pk)], [str(none.pk)])


@pytest.mark.django_db
def test_a_text_that_nobody_can_get_leaves_the_addresses_to_be_counted():
    a_user("ann")
    seen = survey_piece(a_request(msgtext="{% nonsense %}")).seen
    assert (seen.reach[""].mails, seen.failed) == (1, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "merges", "made"), [("Dear {{ user.first_name }}", True, 2), ("Hi", True, 1), ("Hi", False, 3)]
)
def test_it_counts_what_processing_will_make(text, merges, made, settings):
    settings.DBMAIL = {**settings.DBMAIL, "MERGE_FAMILIES": merges}
    for name in ("ann", "bob", "cleo"):
        a_user(name, email="family@example.org", first_name="Ann" if name == "ann" else "You")
    request = a_request(msgtext=text)
    seen = survey_piece(request).seen.reach[""]
    request.process()
    assert seen.mails == TextOfEmail.objects.count() == made
    assert seen.duplicates == 3 - made


@pytest.mark.django_db
def test_a_persons_contacts_at_one_address_are_no_repetition():
    ann = a_user("ann")
    Profile.objects.create(user=ann, guardian_email="g@example.org")  # who is the emergency contact too
    seen = survey_piece(a_request(sendto_fn_name="send_to_guardian_and_emergency")).seen
    assert seen.reach["send_to_guardian_and_emergency"] == Reach(1, 0, 0)


@pytest.mark.django_db
def test_a_slow_text_does_not_make_the_look_longer_than_it_may_be(monkeypatch):
    for n in range(20):
        a_user(f"u{n}")
    moments = iter(range(1000))
    monkeypatch.setattr("dbmail.preflight.survey.time.monotonic", lambda: next(moments))
    piece = survey_piece(a_request(), seconds=5)
    assert 1 <= piece.seen.people < 10 and piece.after is not None
