"""Variables are kept as JSON, read back with one query a model, and refused where they could not be."""

import datetime
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils.translation import gettext_lazy

from dbmail.exceptions import MissingVariable, UnstorableVariable
from dbmail.models import MessageRequest, MessageVars, PersistentQueryFilter
from dbmail.rendering.engine import compile_template
from dbmail.rendering.variables import load_variables, request_context, store_variables
from testproject.outreach.models import Program

pytestmark = pytest.mark.django_db


@pytest.fixture
def msgrequest():
    creator = User.objects.create(username="boss", email="boss@example.org")
    audience = PersistentQueryFilter.objects.create(item_model="auth.User", q_filter="{}", sha1_hash="0" * 40)
    return MessageRequest.objects.create(subject="s", msgtext="b", creator=creator, recipients=audience)


def program(name="Splash"):
    return Program.objects.create(niceName=name, startdate=datetime.date(2026, 11, 21), director_email="d@example.org")


def test_objects_and_plain_data_come_back(msgrequest):
    plain = {"text": "é\n", "number": 3, "half": 0.5, "none": None, "list": [1, {"a": (2, "b")}], "yes": True}
    store_variables(msgrequest, {**plain, "program": program(), "lazy": gettext_lazy("Yes")})
    found = load_variables(msgrequest)
    assert found.pop("program").niceName == "Splash"
    assert found.pop("lazy") == "Yes"
    assert found == {**plain, "list": [1, {"a": [2, "b"]}]}


def test_a_name_that_is_stored_again_is_replaced(msgrequest):
    store_variables(msgrequest, {"a": 1, "b": 1})
    store_variables(msgrequest, {"a": program()})
    assert load_variables(msgrequest) == {"a": Program.objects.get(), "b": 1}


def test_many_objects_cost_one_query_for_each_model(msgrequest, django_assert_num_queries):
    values = {f"p{number}": program(str(number)) for number in range(20)}
    store_variables(msgrequest, {**values, "boss": msgrequest.creator})
    with django_assert_num_queries(3):
        assert load_variables(msgrequest)["p7"].niceName == "7"


@pytest.mark.parametrize(
    "value",
    [
        object(),
        len,
        lambda: 1,
        {1, 2},
        float("nan"),
        float("inf"),
        b"x",
        datetime.date(2026, 1, 1),
        datetime.datetime(2026, 1, 1),
        Program(niceName="unsaved"),
        Program(pk=7, niceName="not in the table either"),
        {"deep": [1, {"deeper": object()}]},
        {1: "key"},
        {"a": Program()},
        SimpleNamespace(a=1),
        Program,
        "nul \0",
        "\ud800",
    ],
)
def test_what_cannot_be_kept_is_refused_by_name_and_nothing_is_stored(msgrequest, value):
    with pytest.raises(UnstorableVariable, match="thing"):
        store_variables(msgrequest, {"fine": 1, "thing": value})
    assert not MessageVars.objects.exists()


def test_a_query_set_is_refused(msgrequest):
    with pytest.raises(TypeError, match="'thing' is a QuerySet"):
        store_variables(msgrequest, {"thing": User.objects.all()})


@pytest.mark.parametrize("name", ["", "a b", "a.b", "1a", "_a", "password", "api_key", "a-b", "x" * 129, 3])
def test_a_name_that_no_template_could_use_is_refused(msgrequest, name):
    with pytest.raises(UnstorableVariable):
        store_variables(msgrequest, {name: 1})


def test_an_object_that_was_deleted_since_is_named(msgrequest):
    gone = program()
    store_variables(msgrequest, {"program": gone})
    pk = gone.pk
    gone.delete()
    with pytest.raises(MissingVariable, match=rf"program is outreach\.Program {pk}, which has been deleted"):
        load_variables(msgrequest)


@pytest.mark.parametrize("provider", [{"model": "no.Model", "pk": 1}, {"model": "outreach.Program", "pk": "x"}])
def test_a_reference_that_means_nothing_is_named(msgrequest, provider):
    MessageVars.objects.create(messagerequest=msgrequest, provider_name="thing", provider=provider)
    with pytest.raises(MissingVariable, match="thing"):
        load_variables(msgrequest)


def test_the_recipient_wins_over_a_variable_called_user(msgrequest):
    store_variables(msgrequest, {"user": msgrequest.creator, "request": 1})
    ann = User(username="ann", first_name="Ann")
    context = request_context(msgrequest, ann)
    source = "{{ user.first_name }} {{ user }} {{ request.subject }}"
    assert compile_template(source, html=False).render(context) == "Ann ann s"


@override_settings(DEFAULT_FROM_EMAIL="Us <us@mail.example.org>")
def test_the_sending_domain_is_a_setting_or_the_default_senders(msgrequest):
    assert request_context(msgrequest, User(), {})["EMAIL_HOST_SENDER"] == "mail.example.org"
    with override_settings(EMAIL_HOST_SENDER="example.com"):
        assert request_context(msgrequest, User(), {})["EMAIL_HOST_SENDER"] == "example.com"
