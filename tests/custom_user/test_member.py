"""dbmail with a user model whose key is a UUID and whose address has another name.

Run by tests/test_custom_user.py.
"""

import uuid
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db.models import Q

from dbmail.incoming.gate import receive
from dbmail.incoming.intake import envelope_for
from dbmail.models import EmailRequest, IncomingMessage, MessageRequest, PersistentQueryFilter, TextOfEmail, send_mail
from testproject.outreach.models import Profile

from ..builders import a_request, a_user
from ..conftest import relay, use_mailer
from ..smtp import smtp_server

__all__ = ["relay", "smtp_server", "use_mailer"]
pytestmark = pytest.mark.django_db


def test_a_broadcast_reaches_members_across_chunks(relay, chunks_of):
    chunks_of(3)
    for n in range(10):
        a_user(f"m{n}", full_name=f"Member {n}")
    request = a_request(msgtext="Dear {{ user.full_name }}, {{ user.contact_email }}")
    request.full_clean()
    call_command("dbmail_cron", stdout=StringIO())
    assert sorted(relay.recipients()) == [f"m{n}@example.org" for n in range(10)]
    assert EmailRequest.objects.count() == 10
    assert TextOfEmail.objects.get(address="m7@example.org").msgtext == "Dear Member 7, m7@example.org"


def test_a_query_by_key_is_stored_and_found_again():
    ann = a_user("ann")
    a_user("bob")
    assert isinstance(ann.pk, uuid.UUID)
    row = PersistentQueryFilter.create_from_Q(get_user_model(), Q(pk__in=[ann.pk]))
    row.refresh_from_db()
    assert list(row.getList(get_user_model())) == [ann]


def test_guardians_are_found(relay):
    ann = a_user("ann")
    Profile.objects.create(user=ann, guardian_email="g@example.org")
    request = a_request(sendto_fn_name=MessageRequest.SEND_TO_GUARDIAN)
    assert request.process() == 1
    assert TextOfEmail.objects.get().send() is None
    assert relay.recipients() == ["g@example.org"]


def test_the_public_page_and_unsubscribe_headers_work(relay, client):
    ann = a_user("ann", full_name="Ann Example")
    request = a_request(public=True, state="done", msgtext="Dear {{ user.full_name }}")
    page = client.get(f"/email/{request.pk}").content.decode()
    assert "Dear [full name]" in page
    send_mail("Hello", "Text", "info@example.org", "ann@example.org", user=ann)
    assert "List-Unsubscribe" in relay.messages[0].message


def test_incoming_mail_finds_members_whose_standing_is_no_column(relay):
    a_user("joe", is_staff=True)
    a_user("ann")
    raw = b"From: Ann <ann@example.org>\r\nSubject: Hello\r\n\r\nGood morning.\r\n"

    def arrives(name):
        return receive(envelope_for(f"{name}@example.org", "ann@example.org"), raw).exit_code

    assert (arrives("joe"), arrives("ann"), arrives("nobody")) == (0, 67, 67)
    assert not IncomingMessage.objects.filter(state="failed").exists()
