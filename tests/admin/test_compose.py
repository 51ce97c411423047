"""Writing, checking and letting go of a broadcast."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail as outbox
from django.core.management import call_command
from django.db.models import Q
from django.urls import resolve, reverse

from dbmail.models import MessageRequest, PersistentQueryFilter, Preflight, Suppression

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
State = MessageRequest.State


def url(name, request):
    return reverse(f"admin:dbmail_messagerequest_{name}", args=[request.pk])


@pytest.fixture
def draft():
    a_user("ann", first_name="Ann", last_name="Example")
    a_user("bob")
    return a_request(state=State.DRAFT)


@pytest.fixture
def log_in(client):
    """A client logged in as staff with these permissions only."""

    def as_staff(*codenames, name="clerk"):
        user = a_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return as_staff


def fields(request, **changes):
    """What the page of `request` would send."""
    from dbmail.admin.draft_form import edition_of, shown_values

    request = MessageRequest.objects.get(pk=request.pk)
    values = {**shown_values(request), "token": edition_of(request), **changes}
    return {name: value for name, value in values.items() if value not in (None, False)}


def test_a_new_broadcast_is_a_draft_to_nobody(admin_client):
    page = admin_client.post(reverse("admin:dbmail_messagerequest_add"))
    draft = MessageRequest.objects.get()
    assert page.url == url("change", draft)
    assert (draft.state, draft.recipients.getList(get_user_model()).count()) == (State.DRAFT, 0)
    assert admin_client.get(page.url).status_code == 200
    call_command("dbmail_cron")
    draft.refresh_from_db()
    assert draft.state == State.DRAFT


def test_a_copy_takes_text_audience_and_variables_along_and_nothing_of_its_fate(admin_client):
    a_user("ann")
    earlier = a_request(subject="News", variables={"day": "Monday"})
    earlier.process()
    assert b"News" in admin_client.get(reverse("admin:dbmail_messagerequest_add"), {"q": "new"}).content
    admin_client.post(reverse("admin:dbmail_messagerequest_add"), {"from": earlier.pk})
    draft = MessageRequest.objects.first()
    assert draft.pk != earlier.pk
    assert (draft.subject, draft.recipients, draft.state) == ("News", earlier.recipients, State.DRAFT)
    assert (draft.processed, draft.cursor, draft.progress) == (False, "", {})
    assert draft.messagevars_set.get().provider == {"value": "Monday"}


def test_a_draft_is_kept_while_it_is_written_however_unfinished(admin_client, draft):
    tree = json.dumps({"match": "all", "rows": [{"field": "first_name", "is": "is", "value": "Ann"}]})
    given = fields(
        draft, subject="Hi {{ user.", msgtext="a\r\nb", audience=tree, reply_to="us@example.org", sender="x"
    )
    kept = admin_client.post(url("save", draft), given)
    assert (kept.status_code, kept.json()["errors"]) == (200, {})
    draft = MessageRequest.objects.get(pk=draft.pk)
    assert (draft.subject, draft.msgtext, draft.sender) == ("Hi {{ user.", "a\nb", "x")
    assert draft.special_headers_dict == {"Reply-To": "us@example.org"}
    assert [user.get_username() for user in draft.recipients.getList(get_user_model())] == ["ann"]


def test_an_audience_that_is_not_finished_leaves_the_last_one(admin_client, draft):
    tree = json.dumps({"match": "all", "rows": [{"field": "first_name", "is": "is", "value": ""}]})
    kept = admin_client.post(url("save", draft), fields(draft, audience=tree)).json()
    assert "audience" in kept["errors"]
    assert MessageRequest.objects.get(pk=draft.pk).recipients == draft.recipients


def test_audiences_on_the_way_leave_no_rows_behind_and_named_ones_stay(admin_client, draft):
    named = PersistentQueryFilter.objects.create(item_model="x.Y", sha1_hash="1", useful_name="kept")
    for value in ("A", "An", "Ann"):
        tree = json.dumps({"match": "all", "rows": [{"field": "first_name", "is": "is", "value": value}]})
        admin_client.post(url("save", draft), fields(draft, audience=tree))
    assert set(PersistentQueryFilter.objects.values_list("useful_name", flat=True)) <= {"kept", ""}
    assert PersistentQueryFilter.objects.count() <= 3
    assert PersistentQueryFilter.objects.filter(pk=named.pk).exists()


def test_two_windows_do_not_overwrite_one_another(admin_client, draft):
    first = fields(draft, subject="one")
    second = fields(draft, subject="two")
    assert admin_client.post(url("save", draft), first).status_code == 200
    assert admin_client.post(url("save", draft), second).status_code == 409
    assert MessageRequest.objects.get(pk=draft.pk).subject == "one"


def test_what_is_on_its_way_cannot_be_changed(admin_client):
    request = a_request()
    assert admin_client.post(url("save", request), fields(request, subject="x")).status_code == 409
    admin_client.post(url("change", request), fields(request, subject="x"))
    assert MessageRequest.objects.get().subject == "Hello"


def test_the_preview_shows_the_mail_as_a_chosen_recipient_gets_it(admin_client, draft):
    bob = get_user_model().objects.get(email="bob@example.org")
    seen = admin_client.post(
        url("preview", draft), fields(draft, msgtext="Hi {{ user.username }}", **{"as": bob.pk})
    ).json()
    assert seen["text"] == "Hi bob"
    assert dict(seen["headers"])["To"] == "bob@example.org"
    assert "List-Unsubscribe" in dict(seen["headers"])
    draft.refresh_from_db()
    assert draft.msgtext == "Dear {{ user.first_name }}"


def test_the_preview_shows_a_link_that_unsubscribes_nobody_and_misses_it_where_there_is_none(admin_client, draft):
    def seen(text):
        found = admin_client.post(url("preview", draft), fields(draft, msgtext=text)).json()
        return found["text"], [f["message"] for f in found["findings"] if "unsubscribe_url" in f["message"]]

    assert "takes no filter" in seen("{% filter upper %}{{ unsubscribe_url }}{% endfilter %}")[1][0]
    assert seen("Stop: {{ unsubscribe_url }}") == ("Stop: https://example.org/unsubscribe/example/", [])
    assert len(seen("Hello")[1]) == 1
    body = admin_client.post(url("body", draft), fields(draft, msgtext="{{ unsubscribe_url }}"))
    assert b"/unsubscribe/example/" in body.content


def test_the_html_preview_runs_no_script_and_escapes_plain_text(admin_client, draft):
    html = "<html><body><script>alert(1)</script>Hi</body></html>"
    page = admin_client.post(url("body", draft), fields(draft, msgtext=html))
    policy = page["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "allow-scripts" not in policy
    assert page["X-Frame-Options"] == "SAMEORIGIN"
    page = admin_client.post(url("body", draft), fields(draft, msgtext="<script>alert(1)</script>"))
    assert b"<script>" not in page.content


def test_mistakes_are_found_with_their_place(admin_client, draft):
    seen = admin_client.post(
        url("preview", draft), fields(draft, msgtext="\n{{ user.frist_name }}", sender="eve@evil.test")
    ).json()
    found = {(f["level"], f["field"], f["line"]) for f in seen["findings"]}
    assert not any("Line 2: Line 2" in f["message"] for f in seen["findings"])
    assert {("error", "msgtext", 2), ("error", "sender", None)} <= found


def test_the_audience_is_counted_as_it_is_chosen(admin_client, draft):
    seen = admin_client.post(url("count", draft), fields(draft, audience='{"match": "everyone"}')).json()
    assert seen["people"] == get_user_model().objects.count()
    seen = admin_client.post(url("count", draft), fields(draft, audience='{"match": "all", "rows": []}')).json()
    assert "condition" in seen["problem"]


def test_the_first_people_are_looked_at_as_it_is_written(admin_client, draft):
    """Numbers by send-to function, what is empty for whom, who is left out."""
    Suppression.objects.create(address="bob@example.org", reason="unsubscribed")
    MessageRequest.objects.filter(pk=draft.pk).update(sendto_fn_name="send_to_self")
    text = "Dear {{ user.first_name }} {{ user.last_name }}"
    seen = admin_client.post(url("survey", draft), fields(draft, msgtext=text)).json()
    assert (seen["complete"], seen["said"]) == (True, "")
    assert seen["mails"][""] == seen["chosen"] == "1 mail"
    assert seen["mails"]["send_to_guardian"] == "0 mails"
    by_message = {finding["message"]: finding["people"] for finding in seen["findings"]}
    bob = get_user_model().objects.get(email="bob@example.org")
    person = {"pk": str(bob.pk), "name": "bob · bob@example.org"}
    assert by_message["{{ user.first_name }} is empty for 1 person."] == [person]
    assert by_message["1 address is left out: it unsubscribed or cannot be reached."] == []


def test_a_large_audience_is_looked_at_piece_by_piece_and_the_result_stays(admin_client, draft, monkeypatch):
    monkeypatch.setattr("dbmail.preflight.survey._CHUNK", 1)
    monkeypatch.setattr("dbmail.admin.preflight._SECONDS", 0)
    first = admin_client.post(url("everyone", draft)).json()
    assert (first["complete"], first["chosen"]) == (False, "about 2 mails")
    assert first["said"].startswith("Looked at 1 of 2 people.")
    seen = first
    for _ in range(5):
        if seen["complete"]:
            break
        seen = admin_client.post(url("everyone", draft)).json()
    assert (seen["complete"], seen["chosen"]) == (True, "2 mails")
    assert seen["said"].startswith("Everyone was looked at")
    assert admin_client.post(url("everyone", draft)).json() == seen  # nobody is looked at again


def test_a_look_at_people_holds_no_transaction_and_is_for_drafts(admin_client, draft):
    for name in ("survey", "everyone"):
        assert "default" in resolve(url(name, draft)).func._non_atomic_requests
    MessageRequest.objects.update(state=State.SCHEDULED)
    assert admin_client.post(url("everyone", draft)).status_code == 409
    assert not Preflight.objects.exists()


def test_a_text_that_fails_for_somebody_is_not_sent(admin_client, draft):
    admin_client.post(url("save", draft), fields(draft, msgtext="{% if user.first_name %}Dear you{% endif %}"))
    seen = admin_client.post(url("everyone", draft)).json()
    finding = next(finding for finding in seen["findings"] if finding["level"] == "error")
    assert finding["message"] == "The text fails for 1 person: Nothing of it is left for them."
    assert finding["people"][0]["name"] == "bob · bob@example.org"
    page = confirm(admin_client, draft)
    assert b"there it would stop" in page.content
    assert MessageRequest.objects.get(pk=draft.pk).state == State.DRAFT
    admin_client.post(url("save", draft), fields(draft, msgtext="Dear you"))
    assert confirm(admin_client, draft).status_code == 302


def test_an_audience_that_does_not_resolve_any_more_is_a_problem_not_an_error(admin_client, draft):
    PersistentQueryFilter.objects.update(q_filter=draft.recipients.q_filter.replace("pk", "gone"))
    for page in ("survey", "everyone"):
        assert "gone" in admin_client.post(url(page, draft), fields(draft, audience="")).json()["problem"]


def test_a_test_goes_to_oneself_or_to_staff_and_to_nobody_else(admin_client, admin_user, draft, use_mailer):
    use_mailer("django.core.mail.backends.locmem.EmailBackend")
    sent = admin_client.post(url("test", draft), fields(draft, to="", subject="Hi"))
    assert "done" in sent.json(), sent.json()
    assert (outbox.outbox[0].to, outbox.outbox[0].subject) == ([admin_user.email], "[Test] Hi")
    refused = admin_client.post(url("test", draft), fields(draft, to="ann@example.org")).json()
    assert "neither" in refused["problem"]
    assert len(outbox.outbox) == 1


def confirm(client, draft, **more):
    return client.post(url("confirm", draft), {"token": fields(draft)["token"], **more})


def test_its_last_moment_is_kept_in_the_shown_time_zone_and_checked(admin_client, draft, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    admin_client.post(url("save", draft), fields(draft, not_after="2099-07-01T18:00"))
    draft.refresh_from_db()
    assert draft.not_after.isoformat() == "2099-07-01T16:00:00+00:00"
    assert b'value="2099-07-01T18:00"' in admin_client.get(url("change", draft)).content
    assert b"July 1, 2099, 6 p.m. (Europe/Berlin)" in admin_client.get(url("confirm", draft)).content
    seen = admin_client.post(url("preview", draft), fields(draft, not_after="2020-01-01T10:00")).json()
    assert [f["field"] for f in seen["findings"] if f["level"] == "error"] == ["not_after"]
    admin_client.post(url("save", draft), fields(draft, not_after="2020-01-01T10:00"))
    assert confirm(admin_client, draft).status_code == 200
    assert MessageRequest.objects.get(pk=draft.pk).state == State.DRAFT


def test_confirming_lets_it_go_and_the_next_pass_sends_it(admin_client, draft, relay):
    page = admin_client.get(url("confirm", draft))
    assert page.status_code == 200
    long_ago = draft.created_at.replace(year=2020)
    MessageRequest.objects.update(created_at=long_ago)  # drafts may be old: expiry counts from now
    assert confirm(admin_client, draft).url == url("change", draft)
    draft.refresh_from_db()
    assert draft.state == State.SCHEDULED
    assert LogEntry.objects.filter(object_id=str(draft.pk)).exists()
    call_command("dbmail_cron")
    draft.refresh_from_db()
    assert draft.state == State.DONE
    assert "ann@example.org" in relay.recipients()


def test_what_was_changed_after_the_page_was_opened_is_not_sent(admin_client, draft):
    token = fields(draft)["token"]
    admin_client.post(url("save", draft), fields(draft, subject="Other"))
    page = admin_client.post(url("confirm", draft), {"token": token})
    assert b"was changed" in page.content
    assert MessageRequest.objects.get(pk=draft.pk).state == State.DRAFT


def test_what_has_errors_is_not_sent(admin_client, draft):
    admin_client.post(url("save", draft), fields(draft, msgtext="{{ nothing }}"))
    confirm(admin_client, draft)
    assert MessageRequest.objects.get(pk=draft.pk).state == State.DRAFT


def test_a_large_audience_takes_its_number_typed(admin_client, draft, settings):
    settings.DBMAIL = {**settings.DBMAIL, "LARGE_AUDIENCE": {"PEOPLE": 1}}
    people = draft.recipients.getList(get_user_model()).count()
    assert b"Type the number" in confirm(admin_client, draft).content
    assert b"Type the number" in confirm(admin_client, draft, typed=str(people + 1)).content
    assert confirm(admin_client, draft, typed=f" {people} ").status_code == 302


def test_a_large_audience_can_take_a_second_person(admin_client, admin_user, draft, settings):
    settings.DBMAIL = {**settings.DBMAIL, "LARGE_AUDIENCE": {"PEOPLE": 1, "APPROVAL": "second"}}
    MessageRequest.objects.update(creator=admin_user)
    assert confirm(admin_client, draft).status_code == 200
    MessageRequest.objects.update(creator=get_user_model().objects.get(email="ann@example.org"))
    assert confirm(admin_client, draft).status_code == 302


def test_a_composer_writes_and_sees_no_recipient_and_sends_nothing(log_in, draft):
    client = log_in("add_messagerequest", "change_messagerequest", "view_messagerequest")
    for page in (
        client.get(url("change", draft)),
        client.get(url("confirm", draft)),
        client.post(url("preview", draft), fields(draft, msgtext="{{ user.email }} {{ user.first_name }}")),
        client.post(url("survey", draft), fields(draft)),
        client.post(url("everyone", draft)),
    ):
        assert page.status_code == 200
        assert b"ann@" not in page.content and b"Ann" not in page.content
    assert client.get(url("people", draft), {"q": "Ann"}).status_code == 403
    assert client.get(url("export", draft)).status_code == 403
    assert confirm(client, draft).status_code == 403
    for verb in ("pause", "resume", "cancel", "reopen", "requeue"):
        assert client.post(url(verb, draft)).status_code == 403


def test_who_may_send_may_not_write(log_in, draft):
    client = log_in("approve_messagerequest")
    assert client.post(url("save", draft), fields(draft, subject="x")).status_code == 403
    assert client.get(url("confirm", draft)).status_code == 200
    assert confirm(client, draft).status_code == 302


def test_a_viewer_sees_numbers_only(log_in, draft):
    client = log_in("view_messagerequest")
    assert client.get(url("change", draft)).status_code == 200
    for page in (
        client.post(url("preview", draft)),
        client.get(url("confirm", draft)),
        client.get(reverse("admin:dbmail_textofemail_address")),
    ):
        assert page.status_code == 403


@pytest.mark.parametrize(
    "verb", ["save", "preview", "count", "survey", "everyone", "test", "pause", "cancel", "requeue"]
)
def test_nothing_is_done_by_a_link(admin_client, draft, verb):
    assert admin_client.get(url(verb, draft)).status_code == 405


def test_changes_of_state_need_a_csrf_token(admin_user, draft):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    for verb in ("save", "confirm", "cancel", "change", "preview"):
        assert client.post(url(verb, draft)).status_code == 403
    assert client.post(reverse("admin:dbmail_messagerequest_add")).status_code == 403


def test_the_form_without_script_saves_and_goes_on_and_overwrites_nobody(admin_client, draft):
    stale = fields(draft, subject="Mine")
    saved = admin_client.post(url("change", draft), {**fields(draft, subject="Theirs"), "_review": "1"})
    assert saved.url == url("confirm", draft)
    page = admin_client.post(url("change", draft), stale)
    assert page.status_code == 200 and b'value="Mine"' in page.content
    assert MessageRequest.objects.get(pk=draft.pk).subject == "Theirs"


def test_a_category_is_kept_and_those_who_left_it_are_left_out(admin_client, draft, settings):
    settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": {"news": "Monthly news"}}
    assert b"Monthly news" in admin_client.get(url("change", draft)).content
    admin_client.post(url("save", draft), fields(draft, category="news"))
    assert MessageRequest.objects.get(pk=draft.pk).category == "news"
    Suppression.objects.create(address="bob@example.org", scope="news", reason="unsubscribed")
    assert admin_client.post(url("survey", draft), fields(draft)).json()["chosen"] == "1 mail"
    assert admin_client.post(url("survey", draft), fields(draft, category="")).json()["chosen"] == "2 mails"


def test_a_category_that_is_gone_is_shown_kept_and_not_sent(admin_client, draft, settings):
    MessageRequest.objects.filter(pk=draft.pk).update(category="news")
    for categories in ({}, {"courses": "New courses"}):
        settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": categories}
        draft.refresh_from_db()
        assert b'<option value="news" selected>' in admin_client.get(url("change", draft)).content
        saved = admin_client.post(url("save", draft), fields(draft, category="news")).json()
        assert "news" in saved["errors"]["category"][0]
        assert MessageRequest.objects.get(pk=draft.pk).category == "news"  # not silently to all who left it
        found = admin_client.post(url("preview", draft), fields(draft, category="news")).json()["findings"]
        assert [f["level"] for f in found if f["field"] == "category" and "CATEGORIES" in f["message"]] == ["error"]
        assert confirm(admin_client, draft).status_code == 200
        assert MessageRequest.objects.get(pk=draft.pk).state == "draft"
    assert admin_client.post(url("save", draft), fields(draft, category="courses")).json()["errors"] == {}


def test_an_audience_is_kept_under_a_name(admin_client, draft):
    assert "done" in admin_client.post(url("name", draft), {"name": " All  families "}).json()
    draft.recipients.refresh_from_db()
    assert draft.recipients.useful_name == "All families"
    assert b"All families" in admin_client.get(url("change", draft)).content


def test_a_name_is_given_once_and_to_ones_own_audience(log_in, draft):
    """What an approver reads as "Just the board" is not to become everybody."""
    admin_name = "Just the board"
    board = PersistentQueryFilter.create_from_Q(get_user_model(), Q(username="board"), admin_name)
    secret = PersistentQueryFilter.create_from_Q(get_user_model(), Q(username="secret"))
    writer = log_in("change_messagerequest", "view_messagerequest", "add_messagerequest")
    writer.post(url("save", draft), fields(draft, audience=json.dumps({"filter": board.pk})))
    assert "problem" in writer.post(url("name", draft), {"name": "RENAMED"}).json()
    board.refresh_from_db()
    assert board.useful_name == admin_name
    answer = writer.post(url("save", draft), fields(draft, audience=json.dumps({"filter": secret.pk}))).json()
    assert "audience" in answer["errors"]
    assert "problem" in writer.post(url("name", a_request(state="scheduled")), {"name": "RENAMED"}).json()
    assert not PersistentQueryFilter.objects.filter(useful_name="RENAMED").exists()


def test_a_draft_goes_with_its_variables_and_what_was_sent_stays(admin_client, draft):
    draft.messagevars_set.create(provider_name="day", provider={"value": 1})
    admin_client.post(url("delete", draft), {"post": "yes"})
    assert not MessageRequest.objects.filter(pk=draft.pk).exists()
    request = a_request()
    assert admin_client.post(url("delete", request), {"post": "yes"}).status_code == 403


def test_conditions_that_may_hold_addresses_are_shown_to_those_who_may_see_them(log_in, admin_client, draft):
    audience = PersistentQueryFilter.create_from_Q(get_user_model(), Q(email="ann@example.org"), "One")
    page = reverse("admin:dbmail_persistentqueryfilter_change", args=[audience.pk])
    assert b"ann@example.org" in admin_client.get(page).content
    client = log_in("view_persistentqueryfilter")
    assert client.get(page).status_code == 200
    assert b"ann@" not in client.get(page).content


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "{"},
        {"audience": "null"},
        {"audience": "[]"},
        {"audience": '{"filter": "x"}'},
        {"audience": '{"filter": 99999999999999999999999}'},
        {"audience": '{"match": ["all"]}'},
        {"audience": '{"match": "all", "rows": [{"field": [], "is": {}, "value": []}]}'},
        {"processed_by": "tomorrow"},
        {"sendto_fn_name": "send_to_everyone"},
        {"category": "nothing"},
        {"subject": "a\0b"},
        {"msgtext": "{% for %}"},
        {"msgtext": "{{ user.password }}"},
        {"msgtext": "{% include 'x' %}"},
        {"sender": "a\r\nBcc: x@example.org"},
        {"reply_to": "no address"},
        {"as": "x"},
        {"as": "99999999999999999999999"},
        {"not_after": "next week"},
        {"not_after": "0001-01-01T00:00"},
    ],
)
def test_whatever_the_page_sends_is_answered(admin_client, draft, changes):
    for name in ("preview", "body", "count", "survey", "everyone", "save"):
        assert admin_client.post(url(name, draft), fields(draft, **changes)).status_code in (200, 400), name
    assert admin_client.get(url("change", draft)).status_code == 200
    assert admin_client.get(url("confirm", draft)).status_code == 200


@pytest.mark.parametrize(("box", "sent_at_once"), [({"canary": "on"}, 1), ({}, 2)])
def test_whether_a_few_mails_go_first_is_chosen_with_each_broadcast(
    admin_client, draft, settings, relay, box, sent_at_once
):
    settings.DBMAIL = {**settings.DBMAIL, "BREAKER": {"CANARY": 1}}
    admin = get_user_model().objects.get(username="admin")
    assert draft.recipients.getList(get_user_model()).exclude(pk=admin.pk).count() == 2
    page = admin_client.get(url("confirm", draft))
    assert 'name="canary" aria-describedby="canary-help" checked' in page.content.decode()
    admin_client.post(url("confirm", draft), {"token": page.context["token"], **box})
    call_command("dbmail_cron")
    assert len(relay.recipients()) == sent_at_once


def test_without_the_setting_there_is_no_such_choice(admin_client, draft):
    assert b'name="canary"' not in admin_client.get(url("confirm", draft)).content
