"""The admin with users of another kind: keys that are UUIDs, no first name, an address of another name."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from dbmail.admin.draft_form import edition_of, shown_values
from dbmail.models import MessageRequest

from ..conftest import relay, use_mailer
from ..smtp import smtp_server

__all__ = ["relay", "smtp_server", "use_mailer"]
pytestmark = pytest.mark.django_db


def test_every_screen_of_a_draft_works(client):
    model = get_user_model()
    boss = model.objects.create(handle="boss", contact_email="boss@example.org", is_superuser=True)
    client.force_login(boss)
    client.post(reverse("admin:dbmail_messagerequest_add"))
    draft = MessageRequest.objects.select_related("recipients").get()
    given = {
        **{name: value for name, value in shown_values(draft).items() if value},
        "audience": '{"match": "all", "rows": [{"field": "handle", "is": "starts", "value": "bo"}]}',
        "subject": "News",
        "msgtext": "Dear {{ user.full_name }} {{ user.handle }}",
        "sender": "info@example.org",
        "as": str(boss.pk),
        "token": edition_of(draft),
    }

    def post(name):
        return client.post(reverse(f"admin:dbmail_messagerequest_{name}", args=[draft.pk]), given)

    assert post("save").json()["errors"] == {}
    assert post("preview").json()["text"].endswith("boss")
    assert post("count").json()["people"] == 1
    assert "{{ user.full_name }} is empty for 1 person." in [f["message"] for f in post("survey").json()["findings"]]
    for name in ("change", "confirm", "people", "progress", "parts"):
        page = client.get(reverse(f"admin:dbmail_messagerequest_{name}", args=[draft.pk]), {"q": "bos"})
        assert page.status_code == 200
    page = client.get(reverse("admin:dbmail_textofemail_address"), {"q": "boss@example.org"})
    assert page.context["found"].accounts == [boss]


def test_a_test_goes_to_staff_and_to_no_other_member(client, relay):
    model = get_user_model()
    boss = model.objects.create(handle="boss", contact_email="boss@example.org", is_superuser=True)
    model.objects.create(handle="clerk", contact_email="clerk@example.org", is_superuser=True)
    model.objects.create(handle="ann", contact_email="ann@example.org")
    client.force_login(boss)
    client.post(reverse("admin:dbmail_messagerequest_add"))
    draft = MessageRequest.objects.select_related("recipients").get()
    given = {
        **{name: value for name, value in shown_values(draft).items() if value},
        "subject": "News",
        "msgtext": "Hello",
        "sender": "info@example.org",
    }

    def answer(to):
        return client.post(
            reverse("admin:dbmail_messagerequest_test", args=[draft.pk]), {**given, "to": f"{to}@example.org"}
        ).json()

    assert "neither" in answer("ann")["problem"]
    assert "done" in answer("clerk")
    assert relay.recipients() == ["clerk@example.org"]
