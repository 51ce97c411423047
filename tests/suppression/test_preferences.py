"""The page on which a person chooses among the categories that a project declares."""

import pytest
from django.test import Client

from dbmail.models import Suppression
from dbmail.suppression import tokens
from dbmail.suppression.entries import suppress, suppressed

pytestmark = pytest.mark.django_db
ANN = "ann@example.org"


@pytest.fixture(autouse=True)
def categories(settings):
    settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": {"news": "News & <dates>", "courses": "Courses"}}


@pytest.fixture
def page():
    return tokens.path(tokens.make(ANN, "news"))


@pytest.fixture
def person():
    return Client(enforce_csrf_checks=True)


def entries():
    return set(Suppression.objects.values_list("scope", "reason"))


def test_the_page_shows_every_category_with_its_title_escaped(person, page):
    html = person.get(page).content.decode()
    assert html.count('type="checkbox"') == 2
    assert html.count(" checked") == 2
    assert "News &amp; &lt;dates&gt;" in html and "<dates>" not in html
    assert entries() == set()


def test_one_click_leaves_the_category_of_the_mail_and_no_other(person, page):
    html = person.post(page, {"List-Unsubscribe": "One-Click"}).content.decode()
    assert entries() == {("news", "unsubscribed")}
    assert "You are unsubscribed" in html and html.count(" checked") == 1
    assert "You get our mail again" in person.post(page, {"action": "undo"}).content.decode()
    assert entries() == set()


def test_what_is_ticked_is_what_comes(person, page):
    person.post(page, {"action": "save", "category": ["courses"]})
    assert entries() == {("news", "unsubscribed")}
    person.post(page, {"action": "save", "category": ["news"]})
    assert entries() == {("courses", "unsubscribed")}
    person.post(page, {"action": "save"})
    assert entries() == {("courses", "unsubscribed"), ("news", "unsubscribed")}
    person.post(page, {"action": "save", "category": ["news", "courses", "no-such-category", "all"]})
    assert entries() == set()


def test_all_mail_can_be_stopped_and_had_again_from_any_mail(person, page):
    html = person.post(page, {"action": "all"}).content.decode()
    assert suppressed([ANN], "courses") and 'value="again"' in html
    person.post(page, {"action": "again"})
    assert entries() == set()


def test_what_an_administrator_or_a_bounce_stopped_is_not_theirs_to_start(person, page):
    suppress(ANN, Suppression.Reason.MANUAL, scope="courses")
    assert person.get(page).content.decode().count(" disabled") == 1
    person.post(page, {"action": "save", "category": ["news", "courses"]})
    assert entries() == {("courses", "manual")}
    suppress(ANN, Suppression.Reason.COMPLAINED)
    person.post(page, {"action": "again"})
    assert ("all", "complained") in entries()


@pytest.mark.parametrize("name", ["all", "", "News", "a b", "x" * 65, "ä", 3, None])
def test_a_name_that_cannot_be_a_scope_is_refused(settings, name):
    from dbmail.conf import config
    from dbmail.exceptions import SettingError

    settings.DBMAIL = {"CATEGORIES": {name: "Title"}}
    with pytest.raises(SettingError, match="CATEGORIES"):
        config()


def test_a_broadcast_takes_a_declared_category_only():
    from dbmail.broadcasts.validate import request_errors  # the fields' own check is full_clean's

    from ..builders import a_request

    good, bad = a_request(category="news"), a_request(category="spam")
    good.clean_fields()
    with pytest.raises(Exception, match="spam"):
        bad.clean_fields()
    assert request_errors(good) == {}
