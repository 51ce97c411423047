"""A user's name and address, on user models that know neither method."""

import pytest
from django.contrib.auth.models import AnonymousUser, User

from dbmail.people import address_of, has_address, name_of


class Member:
    """As an AbstractBaseUser may be: an address in a field of its own, and no get_full_name."""

    post = " ann@example.org "

    def get_email_field_name(self):
        return "post"


def test_a_user_model_without_get_full_name_has_no_name():
    assert name_of(Member()) == ""


def test_the_address_is_in_the_field_that_the_model_names():
    assert address_of(Member()) == "ann@example.org"


@pytest.mark.parametrize("address", ["", None, 7])
def test_what_is_no_address_is_none(address):
    user = Member()
    user.post = address
    assert address_of(user) == ""


def test_nobody_has_neither():
    assert (name_of(None), address_of(None)) == ("", "")
    assert name_of(AnonymousUser()) == ""


@pytest.mark.django_db
def test_accounts_are_found_by_address_whatever_its_case():
    ann = User.objects.create_user("ann", "Ann@Example.org", first_name="Ann", last_name="Example")
    assert list(User.objects.filter(has_address(" ann@example.ORG"))) == [ann]
    assert (name_of(ann), address_of(ann)) == ("Ann Example", "Ann@example.org")
