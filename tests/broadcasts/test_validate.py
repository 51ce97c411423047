"""full_clean of a broadcast: everything that can be known before it is processed."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from ..builders import a_request

pytestmark = pytest.mark.django_db


def errors(**fields):
    variables = fields.pop("variables", None)
    request = a_request(variables=variables, **fields)
    try:
        request.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def test_a_good_broadcast_passes():
    assert (
        errors(msgtext="<html>{{ user.first_name }} {{ x.y }} {{ request.subject }}", variables={"x": {"y": 1}}) == {}
    )


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"msgtext": "a\n{% if x %}"}, "msgtext", "Line 2"),
        ({"msgtext": "a\n\n{{ user.first_name|shout }}"}, "msgtext", "shout"),
        ({"msgtext": "{{ programm.niceName }}"}, "msgtext", "programm"),
        ({"subject": "{{ user.password }}"}, "subject", "password"),
        ({"msgtext": ""}, "msgtext", "body"),
        ({"msgtext": None}, "msgtext", "body"),
        ({"subject": ""}, "subject", "subject"),
        ({"subject": "a\nb"}, "subject", "one line"),
        ({"sender": "x@evil.test"}, "sender", "evil.test"),
        ({"sender": "nobody"}, "sender", "nobody"),
        ({"sendto_fn_name": "everyone"}, "sendto_fn_name", "everyone"),
        ({"special_headers": '{"To": "eve@example.org"}'}, "special_headers", "To"),
        ({"special_headers": "{"}, "special_headers", "JSON"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(fields, field, words):
    assert words in " ".join(errors(**fields)[field])


def test_a_template_error_carries_line_and_token():
    request = a_request(msgtext="a\n{{ nonsense }}")
    with pytest.raises(ValidationError) as caught:
        request.full_clean()
    (error,) = caught.value.error_dict["msgtext"]
    assert error.params["line"] == 2
    assert "nonsense" in error.params["token"]


@pytest.mark.filterwarnings("ignore:DateTimeField")
def test_a_naive_datetime_is_taken_in_the_current_time_zone_by_the_form_and_refused_in_code(settings):
    request = a_request()
    request.processed_by = datetime(2026, 12, 1, 12)
    with pytest.raises(ValidationError, match="time zone"):
        request.full_clean()


def test_the_last_moment_is_to_come_and_behind_the_first():
    now, hour = timezone.now(), timedelta(hours=1)
    assert "is over already" in errors(not_after=now - hour)["not_after"][0]
    assert "later than" in errors(processed_by=now + hour, not_after=now + hour)["not_after"][0]
    assert errors(processed_by=now + hour, not_after=now + 2 * hour) == {}
    assert errors(not_after=now + hour) == {}
