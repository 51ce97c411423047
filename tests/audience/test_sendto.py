"""Each send-to function finds the addresses it names; one bad record costs one user."""

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from dbmail import sendto_fns
from dbmail.audience.sendto import addresses_for, send_to_function
from dbmail.exceptions import SettingError, UnknownSendTo
from dbmail.models import MessageRequest

calls = []
BOOK = {}


def contacts(users):
    """The resolver of these tests: answers from BOOK, and raises for a user called "broken"."""
    calls.append(len(users))
    if any(user.username == "broken" for user in users):
        raise LookupError("no such record")
    return {user.pk: BOOK[user.pk] for user in users if user.pk in BOOK}


@pytest.fixture(autouse=True)
def resolver():
    calls.clear()
    BOOK.clear()
    with override_settings(DBMAIL={"CONTACTS": f"{__name__}.contacts", "BOUNCES": "b@example.org"}):
        yield


def user(pk=1, email="ann@example.org", username=None):
    return User(pk=pk, username=username or f"user{pk}", email=email, first_name="Ann", last_name="Doe")


SELF, GUARDIAN, EMERGENCY = ("ann@example.org", "Ann Doe"), ("g@example.org", "Gu"), ("e@example.org", "Em")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("send_to_self", [SELF]),
        ("send_to_guardian", [GUARDIAN]),
        ("send_to_emergency", [EMERGENCY]),
        ("send_to_self_and_guardian", [SELF, GUARDIAN]),
        ("send_to_self_and_emergency", [SELF, EMERGENCY]),
        ("send_to_guardian_and_emergency", [GUARDIAN, EMERGENCY]),
        ("send_to_self_and_guardian_and_emergency", [SELF, GUARDIAN, EMERGENCY]),
    ],
)
def test_each_function_finds_what_its_name_says(name, wanted):
    BOOK[1] = {"guardian": GUARDIAN, "emergency": EMERGENCY}
    assert getattr(sendto_fns, name)(user()) == wanted


def test_the_empty_name_means_the_user():
    assert send_to_function("")(user()) == [SELF]
    assert calls == []


def test_a_missing_emergency_contact_is_the_guardian_and_no_address_is_nobody():
    BOOK[1] = {"guardian": GUARDIAN}
    assert sendto_fns.send_to_emergency(user()) == [GUARDIAN]
    BOOK[1] = {"guardian": ("", "Gu")}
    assert sendto_fns.send_to_guardian(user()) == []
    assert sendto_fns.send_to_self_and_guardian(user(pk=2, email="")) == []


def test_an_address_that_comes_twice_counts_once():
    BOOK[1] = {"guardian": ("ANN@Example.org", "Gu")}
    assert sendto_fns.send_to_self_and_guardian(user()) == [SELF]


def test_a_chunk_of_users_costs_one_call():
    found, failed = addresses_for([user(pk=number) for number in range(1, 501)], "send_to_self_and_guardian")
    assert (len(found), failed, calls) == (500, {}, [500])


def test_a_resolver_that_raises_loses_one_user_only():
    BOOK.update({1: {"guardian": GUARDIAN}, 3: {"guardian": EMERGENCY}})
    found, failed = addresses_for([user(1), user(2, username="broken"), user(3)], "send_to_guardian")
    assert found == {1: [GUARDIAN], 2: [], 3: [EMERGENCY]}
    assert list(failed) == [2]
    assert "no such record" in failed[2]


@pytest.mark.parametrize(
    "answer", [{"guardian": ("nobody", "")}, {"guardian": "g@example.org"}, ["g"], {"guardian": 1}]
)
def test_an_answer_that_cannot_be_used_is_reported_and_the_other_addresses_stand(answer):
    BOOK[1] = answer
    found, failed = addresses_for([user()], "send_to_self_and_guardian")
    assert found == {1: [SELF]}
    assert "guardian" in failed[1]


def test_a_line_break_in_a_name_stays_out():
    BOOK[1] = {"guardian": ("g@example.org", "Gu\nBcc: x@example.org")}
    assert sendto_fns.send_to_guardian(user()) == [("g@example.org", "Gu Bcc: x@example.org")]


def test_an_unknown_name_and_a_missing_resolver_say_what_to_do():
    with pytest.raises(UnknownSendTo, match="send_to_guardian"):
        send_to_function("send_to_everyone")
    with override_settings(DBMAIL={}), pytest.raises(SettingError, match="CONTACTS"):
        sendto_fns.send_to_guardian(user())
    with override_settings(DBMAIL={"CONTACTS": "no.such.path"}), pytest.raises(SettingError, match="CONTACTS"):
        sendto_fns.send_to_guardian(user())


def test_every_choice_of_a_request_has_its_function():
    BOOK[1] = {"guardian": GUARDIAN, "emergency": EMERGENCY}
    for name, _label in MessageRequest.SENDTO_FN_CHOICES:
        assert MessageRequest.get_sendto_fn_callable(name)(user())
