"""A request is compiled once and rendered for each recipient."""

import datetime

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from dbmail.exceptions import MissingVariable, RenderFailed, TemplateRejected
from dbmail.models import MessageRequest, PersistentQueryFilter
from dbmail.rendering.lint import template_problems
from dbmail.rendering.message import MessageRenderer, parse_smart_text
from dbmail.rendering.text import text_from_html
from dbmail.rendering.variables import store_variables
from testproject.outreach.models import Program

pytestmark = pytest.mark.django_db
ANN = User(pk=1, username="ann", first_name="Ann", email="ann@example.org", password="secret")


def request_of(subject, body, **variables):
    creator, _ = User.objects.get_or_create(username="boss")
    audience, _ = PersistentQueryFilter.objects.get_or_create(
        item_model="auth.User", q_filter="{}", sha1_hash="0" * 40
    )
    made = MessageRequest.objects.create(subject=subject, msgtext=body, creator=creator, recipients=audience)
    store_variables(made, variables)
    return made


def test_a_plain_body_is_not_escaped_and_has_no_text_part():
    mail = MessageRenderer(request_of("Hi {{ user.first_name }}", "A & {{ x }}", x="<b>")).render(ANN)
    assert (mail.subject, mail.body, mail.plaintext) == ("Hi Ann", "A & <b>", "")


def test_an_html_body_is_escaped_and_has_a_text_part():
    made = request_of(
        "{{ x }}", '<HTML lang="en"><p>{{ x }} <a href="{{ u }}">here</a></p></HTML>', x="<b>", u="http://a"
    )
    mail = MessageRenderer(made).render(ANN)
    assert mail.subject == "<b>"
    assert mail.body == '<HTML lang="en"><p>&lt;b&gt; <a href="http://a">here</a></p></HTML>'
    assert mail.plaintext == "<b> [here](<http://a>)\n"


def test_a_subject_is_one_line_whatever_stands_in_it():
    made = request_of("Hi\n{{ x }}\t ", "b", x="a\r\nBcc: eve@example.org\x07\u2028z")
    assert MessageRenderer(made).render(ANN).subject == "Hi a Bcc: eve@example.org z"


def test_no_query_is_made_for_a_recipient(django_assert_num_queries):
    program = Program.objects.create(niceName="Splash", startdate=datetime.date(2026, 1, 1), director_email="d@x.org")
    made = request_of(
        "{{ program.niceName }}", "<html>{{ program.startdate|date:'Y' }} {{ user.email }}", program=program
    )
    renderer = MessageRenderer(made)
    with django_assert_num_queries(0):
        assert [renderer.render(ANN).plaintext for _ in range(3)] == ["2026 ann@example.org\n"] * 3


def test_what_is_wrong_with_a_request_shows_when_the_renderer_is_made():
    with pytest.raises(TemplateRejected):
        MessageRenderer(request_of("{{ user.password }}", "b"))
    with pytest.raises(TemplateRejected):
        MessageRenderer(request_of("s", "{% if %}"))
    program = Program.objects.create(niceName="x", startdate=datetime.date(2026, 1, 1), director_email="d@x.org")
    made = request_of("s", "b", program=program)
    program.delete()
    with pytest.raises(MissingVariable):
        MessageRenderer(made)


def test_a_request_without_subject_and_body_renders_empty():
    mail = MessageRenderer(request_of(None, None)).render(ANN)
    assert (mail.subject, mail.body, mail.plaintext) == ("", "", "")


@override_settings(DBMAIL={"TEXT_LIMITS": {"CHARACTERS": 500}})
@pytest.mark.parametrize("body", ["<html>{% for a in xs %}{{ t }}{% endfor %}", "{{ t }}" * 6])
def test_the_limits_hold_for_html_and_plain_bodies(body):
    renderer = MessageRenderer(request_of("s", body, xs=list(range(10)), t="x" * 100))
    with pytest.raises(RenderFailed, match="500 characters"):
        renderer.render(ANN)


@pytest.mark.parametrize(
    "name", ["Ann", "O'Brien", "", "Ann  Lee", " x ", "a&b", "1. x", "- x", "http://x", "<i>", "é"]
)
@pytest.mark.parametrize(
    "body",
    [
        "<html><p>Dear {{ n }},</p><ul>{% for i in xs %}<li>{{ i }} {{ n }}{% endfor %}</ul>",
        '<html><a href="https://x/?u={{ n }}">{{ n }}</a><b>{{ n }}</b>{% if n %}<p>{{ n }}{% endif %}',
        "<html>{% filter upper %}{{ n }}{% endfilter %}{{ n|safe }}<img alt='{{ n }}' src='{{ n }}'>",
        "<html><head><title>{{ n }}</title></head>{% spaceless %}<p> {{ n }}</p> {% endspaceless %}",
    ],
)
def test_the_text_part_is_that_of_the_html_however_it_was_made(body, name):
    renderer = MessageRenderer(request_of("s", body, n=name, xs=[1, 2, "b"]))
    for _ in range(2):
        mail = renderer.render(ANN)
        assert mail.plaintext == text_from_html(mail.body)


def test_smart_text_is_rendered_as_a_body_of_the_request():
    made = request_of("s", "b", x="<b>")
    assert parse_smart_text(made, "{{ x }} {{ user.first_name }}", ANN) == "<b> Ann"
    assert parse_smart_text(made, "<html>{{ x }}", ANN) == "<html>&lt;b&gt;"


@pytest.mark.parametrize(
    ("subject", "body", "wanted"),
    [
        ("{{ user.first_name }}", "{{ x.a }} {{ request.subject }} {{ EMAIL_HOST_SENDER }} {{ True }}", []),
        ("{{ user.frist_name }}", "", [("subject", 1, "user.frist_name")]),
        ("{{ y }}", "\n{{ z|upper }}", [("subject", 1, "y"), ("msgtext", 2, "z|upper")]),
        ("", "{% for a in x %}{{ a.b }}{{ forloop.counter }}{% endfor %}", []),
        ("", "a\n{% if q %}{% endif %}", [("msgtext", 2, "if q")]),
        ("", "{{ x|nope }}", [("msgtext", 1, "x|nope")]),
        ("", "{% nope %}", [("msgtext", 1, "nope")]),
        ("{{ user.password }}", "{% if %}", [("subject", 1, "user.password"), ("msgtext", 1, "if")]),
        ("{{ user.save }}{{ user.objects }}", "", [("subject", 1, "user.save"), ("subject", 1, "user.objects")]),
        ("{{ user.profile.guardian_email }}{{ user.get_full_name }}{{ user.pk }}", "", []),
        ("{{ x|default:nothing }}", "", [("subject", 1, "x|default:nothing")]),
    ],
)
def test_problems_are_found_before_anything_is_sent(subject, body, wanted):
    assert [(p.field, p.line, p.token) for p in template_problems(subject, body, ["x"])] == wanted
