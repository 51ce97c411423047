"""Signed return paths."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.delivery import return_path
from dbmail.exceptions import InvalidToken


@given(st.integers(1, 2**63 - 1))
def test_a_return_path_names_its_mail_in_any_case(number):
    signed = return_path.signed(number)
    assert len(signed.partition("@")[0]) <= 64
    assert return_path.read(signed) == return_path.read(signed.upper()) == number


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bounces@example.org",
        "bounces+1-@example.org",
        "bounces+1-0000000000000000@example.org",
        "b+x-y@example.org",
    ],
)
def test_a_forged_return_path_is_refused(address):
    with pytest.raises(InvalidToken, match=f"'{re.escape(address)}' is not a return path"):
        return_path.read(address)


def test_the_signature_of_one_mail_is_none_for_another():
    with pytest.raises(InvalidToken):
        return_path.read(return_path.signed(1).replace("+1-", "+2-"))


def test_the_bounces_address_may_hold_a_plus_itself(settings):
    settings.DBMAIL = {**settings.DBMAIL, "BOUNCES": "post+office-1@example.org"}
    assert return_path.signed(7).startswith("post+office-1+7-")
    assert return_path.read(return_path.signed(7)) == 7


def test_a_retired_key_still_reads_old_mail(settings):
    old = return_path.signed(7)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert return_path.read(old) == 7
    assert return_path.signed(7) != old
