"""Audiences put together on the page."""

from datetime import date

import pytest
from django.contrib.auth import get_user_model
from django.db.models import Q

from dbmail.audience import stored_query
from dbmail.audience.builder import from_q, to_q
from dbmail.audience.fields import audience_fields
from dbmail.exceptions import SettingError, UnstorableQuery
from testproject.outreach.models import Program, StudentInfo

from ..builders import a_user

pytestmark = pytest.mark.django_db


def found(tree):
    return {user.get_username() for user in get_user_model().objects.filter(to_q(tree)).distinct()}


def row(field, condition, value=""):
    return {"field": field, "is": condition, "value": value}


@pytest.fixture
def splash():
    program = Program.objects.create(niceName="Splash", startdate=date(2027, 2, 6), director_email="d@example.org")
    StudentInfo.objects.create(user=a_user("ann", first_name="Ann"), program=program)
    a_user("bob", first_name="Bob", is_staff=True)
    return program


def test_conditions_on_the_user_and_on_related_tables_find_people(splash):
    program = row("studentinfo__program", "is", str(splash.pk))
    assert found({"match": "all", "rows": [program]}) == {"ann"}
    assert found({"match": "none", "rows": [program]}) == {"bob"}
    assert found({"match": "any", "rows": [program, row("is_staff", "yes")]}) == {"ann", "bob"}
    nested = {"match": "none", "rows": [row("first_name", "starts", "b")]}
    assert found({"match": "all", "rows": [row("first_name", "filled"), nested]}) == {"ann"}


def test_everyone_and_nobody_are_said_outright(splash):
    assert found({"match": "everyone"}) == {"ann", "bob"}
    assert found({"match": "nobody"}) == set()


TREES = [
    {"match": "everyone"},
    {"match": "nobody"},
    {"match": "all", "rows": [row("first_name", "is", "Ann"), row("is_staff", "no")]},
    {"match": "any", "rows": [row("last_name", "is_not", "X"), row("date_joined", "since", "2026-01-31")]},
    {"match": "none", "rows": [row("first_name", "empty"), row("last_login", "empty")]},
    {"match": "none", "rows": [row("first_name", "contains", "x")]},
    {
        "match": "all",
        "rows": [
            row("is_staff", "yes"),
            {"match": "any", "rows": [row("last_name", "is", "A"), row("last_name", "is", "B")]},
        ],
    },
]


@pytest.mark.parametrize("tree", TREES)
def test_a_stored_audience_comes_back_as_it_was_built(tree):
    stored = stored_query.dump_query(to_q(tree))
    again = from_q(stored_query.load_query(stored))
    assert again is not None
    assert stored_query.dump_query(to_q(again)) == stored or found(again) == found(tree)
    if tree != TREES[5]:
        assert again == tree


def test_what_a_program_made_is_not_shown_as_conditions():
    assert from_q(Q(email__endswith="@example.org")) is None
    assert from_q(Q(first_name="Ann") ^ Q(last_name="B")) is None


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {"match": "all", "rows": []},
        {"match": "all", "rows": [row("password", "starts", "pbkdf2")]},
        {"match": "all", "rows": [row("email", "is", "ann@example.org")]},
        {"match": "all", "rows": [row("first_name__regex", "is", "(a+)+$")]},
        {"match": "all", "rows": [row("first_name", "regex", "x")]},
        {"match": "all", "rows": [row("first_name", "is", " ")]},
        {"match": "all", "rows": [row("date_joined", "since", "2026-02-31")]},
        {"match": "all", "rows": [row("studentinfo__program", "is", "many")]},
        {
            "match": "all",
            "rows": [{"match": "all", "rows": [{"match": "all", "rows": [{"match": "all", "rows": []}]}]}],
        },
        {"match": "all", "rows": ["first_name"]},
    ],
)
def test_what_is_not_allowed_or_not_complete_is_refused(tree):
    with pytest.raises(UnstorableQuery):
        to_q(tree)


def test_addresses_and_secrets_are_not_offered_unless_the_project_says_so(settings):
    paths = {field.path for field in audience_fields()}
    assert {"first_name", "groups", "studentinfo__program", "profile__guardian_name"} <= paths
    assert not paths & {"password", "email", "profile__guardian_email", "profile__user", "id"}
    settings.DBMAIL = {**settings.DBMAIL, "AUDIENCE_FIELDS": ["email", "studentinfo__program__startdate"]}
    assert [field.kind for field in audience_fields()] == ["text", "date"]
    settings.DBMAIL = {**settings.DBMAIL, "AUDIENCE_FIELDS": ["password"]}
    with pytest.raises(SettingError):
        audience_fields()
