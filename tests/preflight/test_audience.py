"""Checks of an audience, and the look over it."""

import pytest
from django.contrib.auth import get_user_model

from dbmail.models import Suppression
from dbmail.preflight.audience import Audience, check_audience
from dbmail.preflight.survey import survey
from testproject.outreach.models import Profile

from ..builders import a_request, a_user


def said(**numbers):
    return [(str(f.level), f.field, f.message) for f in check_audience(Audience(**{"people": 5, **numbers}))]


def test_an_ordinary_audience_is_not_complained_of():
    assert said(looked_at=5, mails=5) == []


def test_what_one_should_know_is_said_in_numbers():
    assert said(people=0)[0][:2] == ("error", "audience")
    assert "large: 3,000" in said(people=3000)[0][2]
    assert "Guardians" in said(sendto="send_to_self_and_guardian")[0][2]
    assert "emergencies" in said(sendto="send_to_emergency")[0][2]
    assert "1 address is left out" in said(suppressed=1)[0][2]
    assert "2 people have no such address" in said(without_address=2)[0][2]
    assert said(failed=1, why_failed="Line 2: boom")[0][0] == "error"
    assert "{{ user.first_name }} is empty for 3 people" in said(empty={"user.first_name": 3})[0][2]


@pytest.mark.parametrize(
    "numbers", [None, [], {"mails": "many", "suppressed": -1, "empty": [], "failed": True}, {"empty": {"x": "y"}}]
)
def test_numbers_that_are_none_count_as_nothing(numbers):
    read = Audience.read(numbers)
    assert (read.mails, read.suppressed, read.failed) == (0, 0, 0)
    check_audience(read)


@pytest.mark.django_db
def test_the_look_goes_on_where_it_stopped_and_counts_everyone_once(monkeypatch):
    monkeypatch.setattr("dbmail.preflight.survey._CHUNK", 3)
    for n in range(8):
        a_user(f"u{n}", first_name="" if n % 2 else "Ann")
    Profile.objects.create(user=get_user_model().objects.get(username="u1"), guardian_email="g@example.org")
    Suppression.objects.create(address="u2@example.org", reason="bounced")
    request = a_request(sendto_fn_name="send_to_self_and_guardian")
    people, empty, keys, suppressed, after = 0, 0, [], 0, None
    for _ in range(10):
        seen = survey(request, after, seconds=0)
        people += seen.people
        empty += seen.empty.get("user.first_name", 0)
        keys += seen.addresses["self"] + seen.addresses["guardian"]
        suppressed += len(seen.suppressed)
        after = seen.after
        if after is None:
            break
    assert (people, empty, suppressed, len(keys), len(set(keys))) == (8, 4, 1, 9, 9)


@pytest.mark.django_db
def test_people_for_whom_the_text_fails_are_counted_with_the_reason():
    a_user("ann", first_name="x")
    a_user("bob", first_name="3")
    request = a_request(
        msgtext="{{ user.username|center:user.first_name }}{% widthratio user.first_name 1 user.last_name %}"
    )
    assert survey(request).failed + survey(request).rendered == 2
