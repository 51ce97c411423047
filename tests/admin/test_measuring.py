"""Who may not see recipients learns nothing that depends on a single person, however they ask.

Each test asks the same in two worlds that differ in one person's data only: the answers are the same, byte by byte.
"""

import json
import re
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core import mail as outbox
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from dbmail.broadcasts import control
from dbmail.exceptions import DbmailError
from dbmail.models import MessageRequest, PlainRedirect, Preflight, Suppression, TextOfEmail

from ..builders import a_request, a_user
from .test_compose import fields, url

pytestmark = pytest.mark.django_db
State = MessageRequest.State
Mail = TextOfEmail.State
#: What is different in each answer anyway.
_TOKENS = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"|\d\d?:\d\d(:\d\d)?')
ANN = json.dumps({"match": "all", "rows": [{"field": "first_name", "is": "starts", "value": "A"}]})
#: Nineteen people whom the writer knows, and whoever fits a condition: twenty are not fewer than twenty.
PADDED = json.dumps(
    {
        "match": "any",
        "rows": [
            {"field": "first_name", "is": "starts", "value": "A"},
            {"field": "username", "is": "starts", "value": "known"},
        ],
    }
)
DRAFT_DOORS = ("count", "survey", "everyone", "preview", "body", "test")
TEXTS = {
    "is long for her": "{% if user.first_name == 'Ann' %}{% for a in '12345678901234567890' %}"
    + "x" * 9000
    + "{% endfor %}{% endif %}x",
    "fails for her": "{{ user.username|center:user.first_name }}",
    "is empty for her": "{% if user.first_name != 'Ann' %}x{% endif %}",
    "has an empty variable": "Dear {{ user.first_name }}",
}


@pytest.fixture
def ann():
    return a_user("ann", first_name="Ann", email="ann@example.org")


def log_in(client, *groups, name="clerk"):
    """Log in as staff in these groups of `dbmail_groups` and with no other right."""
    call_command("dbmail_groups", stdout=StringIO())
    model = get_user_model()
    user = model.objects.filter(username=name).first() or a_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=[f"Mail: {group}" for group in groups]))
    client.force_login(user)
    return client


def body_of(response):
    content = b"".join(response) if response.streaming else response.content
    return response.status_code, _TOKENS.sub(b"", content)


def another_person(user):
    """The same account with other data in every field that a condition or a text reads."""
    get_user_model().objects.filter(pk=user.pk).update(
        first_name="", last_name="Zed", email="", is_active=False, date_joined="2001-01-01T00:00Z"
    )


@pytest.mark.parametrize("groups", [["writers"], ["writers", "senders"]])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("tree", [ANN, PADDED, '{"match": "everyone"}'])
def test_a_draft_of_ones_own_measures_nobody(client, ann, groups, text, tree, settings, use_mailer):
    use_mailer("django.core.mail.backends.locmem.EmailBackend")
    for number in range(19):
        a_user(f"known{number}", email="same@example.org")
    for number in range(3):
        a_user(f"more{number}")
    settings.DBMAIL = {**settings.DBMAIL, "LARGE_AUDIENCE": {"PEOPLE": 19 if tree == PADDED else 2000}}
    draft = a_request(state=State.DRAFT)
    log_in(client, *groups)
    kept = client.post(url("save", draft), fields(draft, audience=tree, msgtext=TEXTS[text]))
    assert kept.json()["errors"] == {}
    given = fields(draft, audience=tree, msgtext=TEXTS[text], to="")

    def answers():
        found = {door: body_of(client.post(url(door, draft), given)) for door in DRAFT_DOORS}
        for door in ("confirm", "change", "history"):
            found[door] = body_of(client.get(url(door, draft)))
        found["list"] = body_of(client.get(reverse("admin:dbmail_messagerequest_changelist")))
        return found

    first = answers()
    another_person(ann)
    Preflight.objects.all().delete()
    LogEntry.objects.filter(change_message__contains="Sent a test").delete()
    second = answers()
    assert {status for status, _body in first.values()} == {200}
    assert [door for door in first if first[door] != second[door]] == []
    for _status, content in first.values():
        assert b"ann@" not in content and b"KB" not in content


def test_the_look_over_everyone_is_asked_for_and_looks_at_nobody_while_a_writer_waits(client, ann, monkeypatch):
    draft = a_request(state=State.DRAFT)
    log_in(client, "writers")
    monkeypatch.setattr("dbmail.admin.preflight.survey_piece", None)  # a call would fail
    monkeypatch.setattr("dbmail.admin.preflight.take_further", None)
    monkeypatch.setattr("dbmail.admin.preflight.people_in", None)
    given = fields(draft, audience=ANN)
    assert client.post(url("save", draft), given).status_code == 200
    for door in ("survey", "everyone", "count"):
        assert client.post(url(door, draft), given).status_code == 200
    monkeypatch.undo()
    assert Preflight.objects.get().finished_at is None
    call_command("dbmail_cron")
    assert Preflight.objects.get().finished_at


def test_a_sender_asks_about_the_stored_draft_and_no_other(client, ann):
    draft = a_request(state=State.DRAFT)
    log_in(client, "senders")
    for text, audience in (("{{ nothing }}", ANN), ("x", PADDED)):
        given = fields(draft, msgtext=text, audience=audience)
        assert body_of(client.post(url("count", draft), given)) == body_of(client.post(url("count", draft)))
        assert body_of(client.post(url("preview", draft), given)) == body_of(client.post(url("preview", draft)))


def test_numbers_are_exact_for_who_may_see_recipients_and_rough_for_who_may_only_send(client, ann):
    for number in range(143):
        a_user(f"more{number}")
    draft = a_request(state=State.DRAFT)
    people = draft.recipients.getList(get_user_model()).count()
    assert people == 144
    log_in(client, "senders")  # itself one more
    assert client.post(url("count", draft)).json()["said"] == "about 140 people"
    assert b"about 140" in client.get(url("confirm", draft)).content
    log_in(client, "writers", "recipients")
    assert client.post(url("count", draft)).json()["people"] == people + 1


def test_a_writer_who_may_not_see_recipients_reads_the_size_of_everyone_only(client, ann):
    for number in range(25):
        a_user(f"more{number}")
    draft = a_request(state=State.DRAFT)
    log_in(client, "writers")
    seen = client.post(url("count", draft), fields(draft, audience='{"match": "everyone"}')).json()
    assert (seen["people"], seen["said"]) == (None, "about 20 people")
    seen = client.post(url("count", draft), fields(draft, audience=PADDED)).json()
    assert (seen["people"], seen["said"]) == (None, "Who may see recipients sees how many people this is.")


def test_who_writes_and_sends_types_the_number_of_the_broadcast_and_is_told_nothing_of_people(client, ann):
    draft = a_request(state=State.DRAFT)
    log_in(client, "writers", "senders")
    client.post(url("save", draft), fields(draft, audience=ANN, msgtext=TEXTS["fails for her"]))
    token = fields(draft)["token"]
    page = client.post(url("confirm", draft), {"token": token})
    assert f"Type the number of this broadcast, {draft.pk}" in page.content.decode()
    # While it cannot be sent for want of that, it says the same whatever is wrong with the people.
    get_user_model().objects.update(first_name="")
    assert body_of(client.post(url("confirm", draft), {"token": token})) == body_of(page)
    # Who really tries to send it reads no more than that it cannot be sent, and it is in the history.
    page = client.post(url("confirm", draft), {"token": token, "typed": str(draft.pk)}).content.decode()
    assert "It cannot be sent to this audience like this" in page and "Nobody is in" not in page
    assert LogEntry.objects.filter(change_message__contains="Not sent").count() == 1
    get_user_model().objects.filter(pk=ann.pk).update(first_name="Ann")
    client.post(url("save", draft), fields(draft, msgtext="Hello"))
    sent = client.post(url("confirm", draft), {"token": fields(draft)["token"], "typed": str(draft.pk)})
    assert sent.status_code == 302
    assert not LogEntry.objects.filter(change_message__contains="1 p").exists()


def test_who_has_an_address_of_staff_is_not_told_by_a_test(client, ann, use_mailer):
    use_mailer("django.core.mail.backends.locmem.EmailBackend")
    a_user("boss", is_staff=True)
    draft = a_request(state=State.DRAFT)
    log_in(client, "writers")
    given = fields(draft)
    said = {
        address: client.post(url("test", draft), {**given, "to": f"{address}@example.org"}).json()["problem"]
        for address in ("boss", "ann", "stranger")
    }
    assert len(set(said.values())) == 1 and outbox.outbox == []
    assert "done" in client.post(url("test", draft), {**given, "to": "clerk@example.org"}).json()


@pytest.mark.parametrize("groups", [["writers"], ["senders"], ["writers", "senders"]])
def test_what_became_of_a_few_mails_is_not_told(client, ann, groups):
    for number in range(10):
        a_user(f"more{number}")
    log_in(client, *groups)
    request = a_request()
    request.process()
    mails = TextOfEmail.objects.filter(messagerequest=request)

    def answers(**fate):
        mails.update(state=Mail.SENT, sent=timezone.now())
        mails.filter(address="ann@example.org").update(**fate)
        control.finish_requests()
        found = {door: body_of(client.get(url(door, request))) for door in ("progress", "parts", "change", "chart")}
        return {**found, "list": body_of(client.get(reverse("admin:dbmail_messagerequest_changelist")))}

    first = answers(state=Mail.SENT)
    assert first == answers(state=Mail.FAILED, last_reply="550 5.1.1 Ann Example is unknown here")
    assert first == answers(state=Mail.SUPPRESSED)
    assert b"fewer than 20" in first["parts"][1]


def test_of_many_mails_round_numbers_and_codes_are_told(client, ann):
    for number in range(60):
        a_user(f"more{number}")
    log_in(client, "senders")
    request = a_request()
    request.process()
    mails = TextOfEmail.objects.filter(messagerequest=request)
    mails.update(state=Mail.SENT, sent=timezone.now())
    mails.filter(address="ann@example.org").update(
        state=Mail.FAILED, tries=8, last_reply="550 5.1.1 Ann Example is unknown here"
    )
    control.finish_requests()
    seen = client.get(url("progress", request)).json()
    assert (seen["counts"]["sent"], seen["shown"]["sent"]) == (60, "about 60")
    assert (seen["shown"]["failed"], seen["shown"]["expired"]) == ("fewer than 20", "0")
    page = client.get(url("change", request)).content.decode()
    assert "550 5.1.1" in page and "Ann Example" not in page
    client.post(url("requeue", request), {"state": "failed", "reason": "550 5.1.1"})
    assert mails.get(address="ann@example.org").state == Mail.QUEUED


def test_why_a_text_failed_is_told_without_the_data_that_it_quotes(client, ann, use_mailer):
    use_mailer("django.core.mail.backends.locmem.EmailBackend")
    request = a_request(msgtext=TEXTS["fails for her"], to=None)
    get_user_model().objects.exclude(pk=ann.pk).filter(is_staff=False).delete()
    with pytest.raises(DbmailError):
        request.process()
    assert "'Ann'" in request.state_reason
    assert "Ann" not in outbox.outbox[0].body and "fails or is empty for a recipient" in outbox.outbox[0].body
    for groups in (["writers"], ["senders"]):
        log_in(client, *groups)
        for door in ("change", "progress", "parts"):
            seen = client.get(url(door, request)).content.decode()
            assert "Ann" not in seen and "fails or is empty for a recipient" in seen
    log_in(client, "recipients")
    assert "Ann" in client.get(url("progress", request)).json()["reason"]


def test_a_reason_that_quotes_nobody_is_told_to_everybody(client, ann):
    request = a_request(msgtext="{% include 'x' %}")
    with pytest.raises(DbmailError):
        request.process()
    log_in(client, "writers")
    assert "include" in client.get(url("progress", request)).json()["reason"]
    other = a_request(subject="Other")
    control.pause(other, "Paused by itself: 5 of 40 mails were refused")
    assert "Paused by itself" in client.get(url("progress", other)).json()["reason"]


def test_a_creator_who_may_not_see_recipients_is_told_of_failed_mails_without_addresses(ann, relay):
    relay.reply("RCPT", "ann@", "550 5.1.1 <ann@example.org> unknown")
    request = a_request()
    call_command("dbmail_cron")
    notice = relay.messages[-1].message
    assert "550 5.1.1" in notice.get_content() and "ann@" not in notice.get_content()
    request.creator.user_permissions.add(Permission.objects.get(codename="view_recipients"))
    relay.reply("RCPT", "ann@", "552 5.2.2 <ann@example.org> full")
    Suppression.objects.all().delete()
    a_request(subject="Again")
    call_command("dbmail_cron")
    assert "ann@example.org" in relay.messages[-1].message.get_content()


@pytest.mark.parametrize(
    ("table", "query"),
    [
        ("messagerequest", "state_reason__startswith=A"),
        ("messagerequest", "progress__problems__0__contains=ann"),
        ("messagerequest", "progress__mails__lt=5"),
        ("messagerequest", "accepted__gt=0"),
        ("messagerequest", "textofemail__address=ann@example.org"),
        ("messagerequest", "creator__email__startswith=a"),
        ("messagerequest", "recipients__q_filter__contains=ann"),
        ("persistentqueryfilter", "q_filter__contains=ann"),
        ("persistentqueryfilter", "q_filter__regex=("),
    ],
)
def test_a_list_is_filtered_by_what_it_offers_and_by_no_other_column(client, ann, table, query):
    a_request()
    log_in(client, "writers")
    page = reverse(f"admin:dbmail_{table}_changelist")
    assert client.get(page).status_code == 200
    assert client.get(f"{page}?{query}").status_code == 400


@pytest.mark.parametrize(
    ("codenames", "page"),
    [
        (["add_suppression"], "admin:dbmail_suppression_add"),
        (["delete_plainredirect", "view_plainredirect"], "admin:dbmail_plainredirect_delete"),
    ],
)
def test_a_right_to_change_addresses_takes_the_right_to_see_them(client, codenames, page):
    user = a_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    row = PlainRedirect.objects.create(original="boss", destination="ann@example.org")
    assert client.get(reverse(page, args=[] if page.endswith("add") else [row.pk])).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_recipients"))
    assert client.get(reverse(page, args=[] if page.endswith("add") else [row.pk])).status_code == 200


def test_what_the_projects_own_code_raises_is_quoted_to_who_may_see_recipients(client, monkeypatch):
    def broken(*given):
        raise KeyError("ann@example.org")

    monkeypatch.setattr("dbmail.admin.routing.plan_for", broken)
    page = reverse("admin:dbmail_emaillist_tester")
    user = a_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_emaillist"))
    client.force_login(user)
    seen = client.get(page, {"q": "list"}).content
    assert b"KeyError. Who may see" in seen and b"ann@" not in seen
    user.user_permissions.add(Permission.objects.get(codename="view_recipients"))
    assert b"ann@" in client.get(page, {"q": "list"}).content


def test_people_are_no_choice_of_a_condition_by_default(client, ann):
    draft = a_request(state=State.DRAFT)
    page = log_in(client, "writers").get(url("change", draft)).content.decode()
    assert '"path": "username"' in page and '"ann"' not in page


def test_conditions_of_an_audience_are_not_quoted_by_what_is_wrong_with_them(client, ann):
    from django.db.models import Q

    draft = a_request(state=State.DRAFT, to=Q(email="ann@example.org"))
    audience = draft.recipients
    audience.q_filter = audience.q_filter.replace('"email"', '"pk"')
    audience.save()
    log_in(client, "writers")
    for door in ("count", "survey", "everyone", "preview"):
        assert b"ann@" not in client.post(url(door, draft), fields(draft, audience="")).content
    for door in ("confirm", "change"):
        assert b"ann@" not in client.get(url(door, draft)).content
    log_in(client, "writers", "recipients")
    assert b"ann@" in client.post(url("count", draft)).content
