"""/email/<id>: what the whole world may see."""

import datetime
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from dbmail.models import MessageRequest, TextOfEmail
from testproject.outreach.models import ClassSubject, Profile, Program, StudentInfo

from .builders import a_mail, a_request, a_user

pytestmark = pytest.mark.django_db


def test_a_public_broadcast_is_shown_without_any_recipient(client):
    a_user("ann", first_name="Annabel")
    request = a_request(public=True, subject="News for {{ user.first_name }}")
    request.process()
    response = client.get(f"/email/{request.pk}")
    assert response.status_code == 200
    assert "News for [first name]" in response.content.decode()
    assert "Annabel" not in response.content.decode() and "ann@" not in response.content.decode()
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert request.public_url() == f"https://example.org/email/{request.pk}"


def test_html_is_shown_in_a_sandbox(client):
    request = a_request(
        public=True, state="done", msgtext="<html><script>alert(1)</script><p>Dear {{ user.first_name }}</html>"
    )
    page = client.get(f"/email/{request.pk}")
    assert "<script>" not in page.content.decode()
    assert f'src="/email/{request.pk}/body" sandbox="' in page.content.decode()
    body = client.get(f"/email/{request.pk}/body")
    policy = body["Content-Security-Policy"]
    assert policy.startswith("sandbox") and "allow-scripts" not in policy and "default-src 'none'" in policy
    assert "Dear [first name]" in body.content.decode()


@pytest.mark.parametrize("state", ["draft", "scheduled", "paused", "failed", "cancelled"])
def test_it_cannot_be_read_before_sending_begins(client, state):
    request = a_request(public=True, msgtext="<html>Soon", state=state)
    for page in (f"/email/{request.pk}", f"/email/{request.pk}/body"):
        assert client.get(page).status_code == 404


@pytest.mark.parametrize("state", ["processing", "sending", "done"])
def test_it_is_open_while_it_is_being_sent_and_after(client, state):
    assert client.get(f"/email/{a_request(public=True, state=state).pk}").status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"state": "paused"}, 200),
        ({"state": "failed"}, 200),
        ({"state": "cancelled"}, 200),
        ({"state": "scheduled"}, 200),  # resumed, and the next pass goes on with it
        ({"state": "scheduled", "processed_by": timezone.now() + timedelta(days=1)}, 404),
        ({"state": "draft"}, 404),  # it is being corrected
        ({"state": "done", "public": False}, 404),
    ],
)
def test_what_some_have_got_already_stays_readable(client, fields, status):
    request = a_request(**{"public": True, **fields})
    mail = a_mail("ann@example.org", messagerequest=request, state="queued")
    if fields["state"] != "done":
        assert client.get(f"/email/{request.pk}").status_code == 404  # nothing has left yet
    TextOfEmail.objects.filter(pk=mail.pk).update(state="sent", sent=timezone.now())
    assert client.get(f"/email/{request.pk}").status_code == status


def test_a_broadcast_for_later_is_read_by_nobody_until_it_goes_out(client, relay):
    a_user("ann")
    request = a_request(public=True, processed_by=timezone.now() + timedelta(days=3))
    call_command("dbmail_cron")
    assert client.get(f"/email/{request.pk}").status_code == 404
    MessageRequest.objects.update(processed_by=timezone.now())
    call_command("dbmail_cron")
    assert relay.recipients() and client.get(f"/email/{request.pk}").status_code == 200


def test_the_screens_say_when_the_public_page_opens_instead_of_leading_to_none(admin_client):
    request = a_request(public=True)
    page = reverse("admin:dbmail_messagerequest_change", args=[request.pk])
    assert f'href="/email/{request.pk}"' not in admin_client.get(page).content.decode()
    assert "anyone may read it when it is being sent" in admin_client.get(page).content.decode()
    MessageRequest.objects.update(state="done")
    assert f'href="/email/{request.pk}"' in admin_client.get(page).content.decode()


def test_a_link_to_a_page_that_nobody_may_read_is_warned_of(admin_client):
    draft = a_request(state="draft", msgtext="{{ request.public_url }} {{ unsubscribe_url }}")
    page = reverse("admin:dbmail_messagerequest_preview", args=[draft.pk])

    def warned():
        return [finding["field"] for finding in admin_client.post(page).json()["findings"]]

    assert "public" in warned()
    MessageRequest.objects.update(public=True)
    assert "public" not in warned()


@pytest.mark.parametrize("fields", [{"public": False}, {"state": "draft"}, {"state": "cancelled"}])
def test_anything_else_is_not_found(client, fields):
    request = a_request(**{"public": True, **fields})
    assert client.get(f"/email/{request.pk}").status_code == 404
    assert client.get(f"/email/{request.pk}/body").status_code == 404
    for number in ("999999", "9" * 30, "9" * 5000):
        assert client.get(f"/email/{number}").status_code == 404


def test_a_broadcast_that_cannot_be_shown_is_not_found(client):
    request = a_request(public=True, msgtext="{% nonsense %}")
    assert client.get(f"/email/{request.pk}").status_code == 404


@pytest.fixture
def ann():
    return a_user("ann", first_name="Annabel", last_name="Secretly")


@pytest.fixture
def program(ann):
    program = Program.objects.create(
        niceName="Splash", startdate=datetime.date(2026, 11, 21), director_email="d@example.org"
    )
    StudentInfo.objects.create(user=ann, program=program)
    return program


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ program }} {{ program.director_email }} {{ program.startdate.year }}", "Splash d@example.org 2026"),
        ("{{ info.program.niceName }} {{ subject.program }}", "Splash Splash"),
        (
            "{{ boss.first_name }} {{ boss.get_full_name }} {{ boss.email }}",
            "[first name] [first name] [last name] [email address]",
        ),
        ("{{ boss }} {{ boss.pk }} {{ boss.username|upper }}", "[username] None [USERNAME]"),
        (
            "{{ info.user.first_name }} {{ info.user.email }} {{ info.user }}",
            "[first name] [email address] [username]",
        ),
        ("[{{ boss.profile.guardian_name }}{{ info.user.profile.guardian_name }}{{ user.profile }}]", "[]"),
        ("[{% for i in program.studentinfo_set.all %}{{ i }}{% endfor %}{{ program.studentinfo_set.count }}]", "[]"),
    ],
)
def test_of_the_variables_it_shows_what_they_hold_and_point_to_and_no_account(
    client, settings, ann, program, text, wanted
):
    settings.DBMAIL = {**settings.DBMAIL, "TEMPLATE_RELATIONS": ["outreach.Program.studentinfo_set"]}
    Profile.objects.create(user=ann, guardian_name="Gwen")
    variables = {
        "boss": ann,
        "program": program,
        "info": StudentInfo.objects.get(),
        "subject": ClassSubject.objects.create(title="Pottery", program=program),
    }
    request = a_request(state="sending", public=True, msgtext=f"<html>{text}</html>", variables=variables)
    request.full_clean()
    assert client.get(f"/email/{request.pk}/body").content.decode() == f"<html>{wanted}</html>"
    request.state = "scheduled"
    request.save()
    assert request.process() == 1


@pytest.mark.parametrize(
    "text",
    ["{{ program.studentinfo_set.all }}", "{% for i in program.studentinfo_set.all %}{{ i.user.email }}{% endfor %}"],
)
def test_many_rows_that_are_not_open_close_the_page(client, program, text):
    request = a_request(state="sending", public=True, msgtext=text, variables={"program": program})
    answer = client.get(f"/email/{request.pk}")
    assert answer.status_code == 404 and "ann@" not in answer.content.decode()


def test_what_methods_and_get_msg_vars_give_is_of_no_account_either(client, monkeypatch, ann, program):
    people = [ann]
    monkeypatch.setattr(Program, "director", property(lambda self: ann), raising=False)
    monkeypatch.setattr(
        Program, "people", lambda self: {"all": people, "query": type(ann).objects.all()}, raising=False
    )
    monkeypatch.setattr(
        Program, "get_msg_vars", lambda self, user, key: ann if key == "chief" else None, raising=False
    )
    text = (
        "{{ program.director }} {{ program.director.email }} {{ program.people.all.0.email }} {{ program.people.all }}"
        " {% for p in program.people.query %}{{ p }}{% endfor %}{{ program.people.query.first.email }}"
        "{{ program.chief.email }}"
    )
    request = a_request(state="sending", public=True, msgtext=text, variables={"program": program})
    page = client.get(f"/email/{request.pk}").content.decode()
    assert "[username] [email address] [email address] [<User: [username]>]" in page
    assert "ann" not in page and "Annabel" not in page


def test_mails_that_are_rendered_after_the_page_was_shown_are_the_recipients_own(client, ann):
    request = a_request(state="sending", public=True, msgtext="Dear {{ user.first_name }}")
    client.get(f"/email/{request.pk}")
    request.state = "scheduled"
    request.save()
    assert request.process() == 1
    assert request.textofemail_set.get().msgtext == "Dear Annabel"


def test_rows_of_a_query_are_not_shown_whoever_gives_them(client, monkeypatch, ann, program):
    Profile.objects.create(user=ann, guardian_name="Gwen")
    monkeypatch.setattr(Program, "profiles", lambda self: Profile.objects.all(), raising=False)
    monkeypatch.setattr(
        Program, "get_msg_vars", lambda self, user, key: Profile.objects if key == "all" else None, raising=False
    )
    text = (
        "{{ program.profiles.first.guardian_name }}{% for p in program.profiles %}{{ p.guardian_name }}{% endfor %}"
        "{{ program.profiles.count }}{{ program.profiles|first }}{{ program.all.first.guardian_name }}"
    )
    request = a_request(state="sending", public=True, msgtext=f"<html>[{text}]", variables={"program": program})
    assert client.get(f"/email/{request.pk}/body").content.decode() == "<html>[]"


def test_an_account_that_answers_for_itself_is_nobody_there_too(client, monkeypatch, ann):
    answers = {"nickname": lambda user: f"known as {user.first_name}"}
    monkeypatch.setattr(type(ann), "get_msg_vars", lambda self, user, key: answers.get(key, str)(self), raising=False)
    request = a_request(state="sending", public=True, msgtext="<html>{{ boss.nickname }}", variables={"boss": ann})
    assert client.get(f"/email/{request.pk}/body").content.decode() == "<html>known as [first name]"
