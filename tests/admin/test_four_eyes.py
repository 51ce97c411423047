"""APPROVAL "second" for a large audience: whoever lets it go has neither begun nor changed it."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db.models import Q
from django.test import Client
from django.urls import reverse

from dbmail.broadcasts import control
from dbmail.broadcasts.approval import authors, note_change
from dbmail.models import DraftChange, MessageRequest, PersistentQueryFilter, TextOfEmail

from ..builders import a_request, a_user
from .test_compose import fields, url

pytestmark = pytest.mark.django_db
State = MessageRequest.State
ALL = ("add_messagerequest", "change_messagerequest", "delete_messagerequest", "view_messagerequest")
SENDS = (*ALL, "approve_messagerequest", "view_recipients")


@pytest.fixture(autouse=True)
def two_people(settings):
    settings.DBMAIL = {
        **settings.DBMAIL,
        "LARGE_AUDIENCE": {"PEOPLE": 1, "APPROVAL": "second"},
        "CATEGORIES": {"news": "Monthly news"},
    }
    a_user("ann")
    a_user("bob")


def somebody(name, *codenames, superuser=False):
    """A client logged in as staff who may write and send."""
    user = a_user(name, is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames or SENDS))
    client = Client()
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def writer():
    return somebody("writer")


@pytest.fixture
def editor():
    return somebody("editor")


@pytest.fixture
def third():
    return somebody("third")


@pytest.fixture
def draft(writer):
    writer.post(reverse("admin:dbmail_messagerequest_add"))
    draft = MessageRequest.objects.get()
    given = fields(draft, subject="News", msgtext="Hello", sender="info@example.org", audience='{"match": "everyone"}')
    assert writer.post(url("save", draft), given).json()["errors"] == {}
    draft.messagevars_set.create(provider_name="unused", provider={"value": 1})
    return draft


def state(draft):
    return MessageRequest.objects.get(pk=draft.pk).state


def let_go(client, draft, token=None):
    """Press the button with what the page of this moment holds; whether it went."""
    page = client.get(url("confirm", draft))
    client.post(url("confirm", draft), {"token": token or page.context["token"]})
    return state(draft) == State.SCHEDULED


def names(draft):
    return [user.get_username() for user in authors(MessageRequest.objects.get(pk=draft.pk))]


def autosave(client, draft):
    assert client.post(url("save", draft), fields(draft, subject="Other")).status_code == 200


def form_without_script(client, draft):
    assert client.post(url("change", draft), {**fields(draft, subject="Other"), "_save": "1"}).status_code == 302


def audience(client, draft):
    tree = json.dumps({"match": "any", "rows": [{"field": "username", "is": "filled"}]})
    client.post(url("save", draft), fields(draft, audience=tree))


def category(client, draft):
    client.post(url("save", draft), fields(draft, category="news"))


def layout(client, draft):
    client.post(url("save", draft), fields(draft, layout="newsletter"))


def time(client, draft):
    client.post(url("save", draft), fields(draft, processed_by="2099-01-01T10:00"))


def answers(client, draft):
    client.post(url("save", draft), fields(draft, reply_to="other@example.org"))


def public(client, draft):
    client.post(url("save", draft), fields(draft, public="on"))


def sendto(client, draft):
    client.post(url("save", draft), fields(draft, sendto_fn_name="send_to_self_and_guardian"))


def variable(client, draft):
    row = draft.messagevars_set.get()
    client.user.user_permissions.add(Permission.objects.get(codename="view_messagevars"))
    client.post(reverse("admin:dbmail_messagevars_delete", args=[row.pk]), {"post": "yes"})
    assert not draft.messagevars_set.exists()


def program(client, draft):
    note_change(draft, client.user, ["subject"])
    MessageRequest.objects.filter(pk=draft.pk).update(subject="By a program")


DOORS = (autosave, form_without_script, audience, category, layout, time, answers, public, sendto, variable, program)


def test_whoever_began_it_does_not_let_it_go_and_another_does(writer, editor, draft):
    assert not let_go(writer, draft)
    page = writer.get(url("confirm", draft)).content.decode()
    assert "Somebody has to send it who has not written or changed it, as writer did" in page
    assert let_go(editor, draft)


@pytest.mark.parametrize("door", DOORS)
def test_whoever_changed_it_by_any_door_does_not_let_it_go_either(door, draft, editor, third):
    door(editor, draft)
    assert names(draft) == ["writer", "editor"]
    page = editor.post(url("confirm", draft), {"token": editor.get(url("confirm", draft)).context["token"]})
    assert "somebody else than those who wrote or changed it: writer, editor" in page.content.decode()
    assert state(draft) == State.DRAFT
    assert let_go(third, draft)


def test_a_superuser_is_no_exception(draft):
    chief = somebody("chief", superuser=True)
    autosave(chief, draft)
    assert not let_go(chief, draft)


def test_whoever_looks_without_a_change_has_changed_nothing(draft, editor):
    for _ in range(2):
        editor.get(url("change", draft))
        editor.post(url("save", draft), fields(draft))
        editor.post(url("change", draft), {**fields(draft), "_save": "1"})
        editor.post(url("preview", draft), fields(draft, subject="Only in the preview"))
    assert names(draft) == ["writer"]
    assert let_go(editor, draft)


@pytest.mark.parametrize("door", DOORS)
def test_a_change_between_the_look_and_the_press_is_looked_at_again(door, draft, editor, third):
    token = third.get(url("confirm", draft)).context["token"]
    door(editor, draft)
    page = third.post(url("confirm", draft), {"token": token})
    assert b"was changed since you opened this page" in page.content and state(draft) == State.DRAFT
    assert let_go(third, draft)


def test_two_tabs_of_one_person_are_one_person(draft, editor):
    token = editor.get(url("confirm", draft)).context["token"]  # the first tab: not changed by them yet
    autosave(editor, draft)  # the second
    assert not let_go(editor, draft, token)
    assert not let_go(editor, draft, fields(draft)["token"])


@pytest.mark.parametrize("token", ["", "x", "0" * 24])
def test_a_press_without_a_look_is_none(draft, editor, token):
    assert editor.post(url("confirm", draft), {"token": token}).status_code == 200
    assert editor.post(url("confirm", draft)).status_code == 200
    assert state(draft) == State.DRAFT


def test_a_page_that_is_out_of_date_changes_nothing_and_makes_nobody_its_author(draft, editor, third):
    stale = fields(draft, subject="Mine")
    autosave(editor, draft)
    assert third.post(url("save", draft), stale).status_code == 409
    assert third.post(url("change", draft), stale).status_code == 200
    assert "third" not in names(draft) and MessageRequest.objects.get().subject == "Other"


def test_changes_count_from_the_last_time_that_another_let_it_go(writer, draft, editor, third):
    autosave(editor, draft)
    assert let_go(third, draft)
    third.post(url("reopen", draft))
    assert names(draft) == ["writer"]  # whoever began it never lets it go
    third.post(url("save", draft), fields(draft, subject="Third"))
    assert names(draft) == ["writer", "third"]
    assert not let_go(third, draft)
    assert let_go(editor, draft)


def test_an_author_who_sends_it_to_a_few_has_not_approved_it(draft, editor, settings):
    autosave(editor, draft)
    settings.DBMAIL = {**settings.DBMAIL, "LARGE_AUDIENCE": {"PEOPLE": 1000, "APPROVAL": "second"}}
    assert let_go(editor, draft)
    settings.DBMAIL = {**settings.DBMAIL, "LARGE_AUDIENCE": {"PEOPLE": 1, "APPROVAL": "second"}}
    editor.post(url("reopen", draft))
    assert not let_go(editor, draft)


def test_a_copy_of_what_nobody_has_approved_is_still_its_authors_work(draft, editor, third):
    third.post(reverse("admin:dbmail_messagerequest_add"), {"from": draft.pk})
    copy = MessageRequest.objects.exclude(pk=draft.pk).get()
    assert names(copy) == ["writer", "third"]
    assert not let_go(somebody_again("writer"), copy)
    assert let_go(editor, copy)


def somebody_again(name):
    client = Client()
    client.force_login(get_user_model().objects.get(username=name))
    return client


def test_a_stored_audience_that_is_changed_behind_a_draft_is_looked_at_again(draft, editor):
    token = editor.get(url("confirm", draft)).context["token"]
    row = PersistentQueryFilter.objects.get(pk=MessageRequest.objects.get().recipients_id)
    row.set_Q(Q(username__startswith="a") | Q(username__startswith="b"))
    row.save()
    assert not let_go(editor, draft, token)
    assert let_go(editor, draft)


@pytest.mark.parametrize("what", ["audience", "text", "variable", "layout"])
def test_what_was_changed_after_it_was_let_go_is_not_sent(draft, editor, third, relay, settings, what, tmp_path):
    (tmp_path / "own.html").write_text("<html>{{ body }} {{ unsubscribe_url }}</html>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.DBMAIL = {**settings.DBMAIL, "LAYOUTS": {"own": "own.html"}}
    editor.post(url("save", draft), fields(draft, layout="own"))
    assert let_go(third, draft)
    request = MessageRequest.objects.get(pk=draft.pk)
    if what == "audience":
        request.recipients.set_Q(Q(is_staff=True))
        request.recipients.save()
    elif what == "text":
        MessageRequest.objects.update(msgtext="Other")
    elif what == "variable":
        request.messagevars_set.create(provider_name="day", provider={"value": "Monday"})
    else:
        (tmp_path / "own.html").write_text("<html>Other {{ body }} {{ unsubscribe_url }}</html>")
        settings.TEMPLATES = [dict(settings.TEMPLATES[0])]  # as after a deployment
    with pytest.raises(SystemExit):
        call_command("dbmail_cron")
    request.refresh_from_db()
    assert request.state == State.FAILED and "changed after it was let go" in request.state_reason
    assert not TextOfEmail.objects.filter(messagerequest=request).exists()
    third.post(url("resume", draft))  # is no second look
    with pytest.raises(SystemExit):
        call_command("dbmail_cron")
    assert state(draft) == State.FAILED
    third.post(url("reopen", draft))
    assert let_go(third, draft)
    call_command("dbmail_cron")
    assert TextOfEmail.objects.filter(messagerequest=request).exists()


def test_what_is_let_go_goes_out(draft, editor, relay):
    assert let_go(editor, draft)
    call_command("dbmail_cron")
    assert {"ann@example.org", "bob@example.org"} <= set(relay.recipients())


def test_a_program_sends_off_what_it_made_itself(relay):
    request = a_request()
    call_command("dbmail_cron")
    assert relay.recipients()
    draft = a_request(state=State.DRAFT, subject="A draft")
    control.schedule(draft)
    MessageRequest.objects.filter(pk=draft.pk).update(subject="Changed")
    call_command("dbmail_cron")
    assert state(draft) == state(request) == State.DONE


def test_an_hour_of_typing_is_one_row_that_says_what_was_changed(draft, editor):
    for number in range(5):
        editor.post(url("save", draft), fields(draft, subject=f"News {number}"))
    editor.post(url("save", draft), fields(draft, msgtext="Hello all"))
    row = DraftChange.objects.get(by=editor.user)
    assert row.what == "msgtext, subject"


def test_where_a_number_is_not_told_the_audience_counts_as_large(draft, settings):
    settings.DBMAIL = {**settings.DBMAIL, "LARGE_AUDIENCE": {"PEOPLE": 1000, "APPROVAL": "second"}}
    blind = somebody("blind", *ALL, "approve_messagerequest")
    audience(blind, draft)
    assert not let_go(blind, draft)
    sighted = somebody("sighted")
    autosave(sighted, draft)
    assert let_go(sighted, draft)  # who may see that there are few needs nobody else
