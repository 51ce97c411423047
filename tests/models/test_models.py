"""Facts of the tables."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from dbmail.exceptions import DbmailError
from dbmail.models import EmailList, MessageRequest, PersistentQueryFilter, PlainRedirect, Suppression, TextOfEmail

pytestmark = pytest.mark.django_db


def request(**fields):
    creator, _ = User.objects.get_or_create(username="admin")
    return MessageRequest(recipients=PersistentQueryFilter.create_from_Q(User, Q()), creator=creator, **fields)


def test_special_headers_are_read_and_written_as_a_dict():
    broadcast = request()
    assert broadcast.special_headers_dict == {}
    broadcast.special_headers_dict = {"Reply-To": "us@example.org"}
    broadcast.save()
    assert MessageRequest.objects.get().special_headers_dict == {"Reply-To": "us@example.org"}
    with pytest.raises(TypeError):
        broadcast.special_headers_dict = "Reply-To: us@example.org"
    broadcast.special_headers = "[1]"
    with pytest.raises(DbmailError):
        _ = broadcast.special_headers_dict


def test_a_request_is_due_unless_it_is_processed_later_or_set_aside():
    now = request()
    now.save()
    for fields in (
        {"processed": True},
        {"processed_by": timezone.now() + timedelta(hours=1)},
        {"state": MessageRequest.State.PAUSED},
        {"state": MessageRequest.State.DRAFT},
    ):
        request(**fields).save()
    assert list(MessageRequest.objects.due()) == [now]


def test_one_request_has_one_copy_of_a_mail_for_an_address():
    broadcast = request()
    broadcast.save()
    now = timezone.now()
    row = {"messagerequest": broadcast, "address": "a@example.org", "copy_key": "k", "created_at": now, "due_at": now}
    first = TextOfEmail.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        TextOfEmail.objects.create(**row)
    other = TextOfEmail.objects.create(**{**row, "copy_key": "other"})
    assert first.message_id != other.message_id
    assert first.message_id.endswith("@example.org")


def test_rules_without_a_number_are_put_last():
    EmailList.objects.all().delete()
    numbers = [EmailList.objects.create(regex="^a$", handler="PlainList").seq for _ in range(3)]
    assert numbers == [0, 5, 10]


def test_a_regex_that_does_not_compile_is_refused():
    with pytest.raises(ValidationError, match="regular expression"):
        EmailList(regex="(", handler="PlainList", seq=0).full_clean()


@pytest.mark.parametrize("destination", ["", " , ", "a@example.org, nobody", "a@example.org\nBcc: b@example.org"])
def test_a_redirect_to_something_that_is_no_address_is_refused(destination):
    with pytest.raises(ValidationError):
        PlainRedirect(original="directors", destination=destination).full_clean()


def test_a_suppressed_address_is_stored_in_its_normal_form():
    Suppression.objects.create(address="Ann@Example.ORG", reason=Suppression.Reason.MANUAL)
    assert Suppression.objects.get().address == "ann@example.org"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL alone compresses bodies")
def test_bodies_are_compressed_the_fast_way():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT attcompression FROM pg_attribute "
            "WHERE attrelid = 'dbmail_textofemail'::regclass AND attname IN ('msgtext', 'plaintext')"
        )
        assert cursor.fetchall() == [("l",)]
