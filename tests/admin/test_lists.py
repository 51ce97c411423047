"""The list pages: every table is there, and none of them counts or loads the whole of it."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.urls import reverse

from dbmail.models import Attempt, EmailList, MailEvent, PlainRedirect, Suppression, TextOfEmail

from ..builders import a_mail, a_request, a_user
from ..incoming.builders import post

pytestmark = pytest.mark.django_db
TABLES = [
    "attempt",
    "emaillist",
    "emailrequest",
    "messagerequest",
    "messagevars",
    "incomingmessage",
    "mailevent",
    "persistentqueryfilter",
    "plainredirect",
    "suppression",
    "textofemail",
]


@pytest.fixture
def a_row_of_each():
    ann = a_user("ann")
    request = a_request(variables={"day": "Monday"})
    request.process()
    mail = TextOfEmail.objects.get()
    Attempt.objects.create(textofemail=mail, at=mail.created_at, outcome="sent", host="relay", message_id="x@y")
    Suppression.objects.create(address="gone@example.org", reason="bounced")
    post("directors@example.org")
    MailEvent.objects.create(address="gone@example.org", event_type="bounced", source="dsn")
    EmailList.objects.create(regex="^(.*)$", handler="UserEmail")
    PlainRedirect.objects.create(original="directors", destination="ann@example.org")
    return ann


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_a_list_and_a_page(table, admin_client, a_row_of_each):
    assert admin_client.get(reverse(f"admin:dbmail_{table}_changelist")).status_code == 200
    from django.apps import apps

    row = apps.get_model("dbmail", table).objects.first()
    assert admin_client.get(reverse(f"admin:dbmail_{table}_change", args=[row.pk])).status_code == 200


@pytest.mark.parametrize("table", TABLES)
def test_a_list_asks_a_fixed_number_of_questions_and_counts_no_table(
    table, admin_client, a_row_of_each, django_assert_max_num_queries
):
    with django_assert_max_num_queries(9) as queries:
        admin_client.get(reverse(f"admin:dbmail_{table}_changelist"))
    if table not in ("emaillist",):
        for query in queries.captured_queries:
            counts = query["sql"].startswith("SELECT COUNT(")
            assert not counts or "LIMIT" in query["sql"], query["sql"]


def test_the_list_of_broadcasts_asks_no_more_for_many_that_are_under_way(
    admin_client, a_row_of_each, django_assert_max_num_queries
):
    for _ in range(20):
        a_request(state="sending")
    with django_assert_max_num_queries(9):
        page = admin_client.get(reverse("admin:dbmail_messagerequest_changelist"))
    assert page.content.count(b"0 of 1") == 1


def test_a_mail_is_found_by_its_whole_address_however_it_is_written(admin_client):
    a_mail("ann@example.org")
    a_mail("bob@example.org")
    page = admin_client.get(reverse("admin:dbmail_textofemail_changelist"), {"q": " Ann@EXAMPLE.org"})
    assert [mail.address for mail in page.context["cl"].result_list] == ["ann@example.org"]


def test_the_mails_of_one_state_are_not_sorted_first(admin_client):
    a_mail("ann@example.org", state="sent")
    page = admin_client.get(reverse("admin:dbmail_textofemail_changelist"), {"state": "sent"})
    assert [mail.address for mail in page.context["cl"].result_list] == ["ann@example.org"]
    if connection.vendor == "sqlite":
        assert "TEMP B-TREE" not in page.context["cl"].queryset.explain()


def test_what_is_neither_an_address_nor_a_number_finds_nothing(admin_client):
    a_mail("ann@example.org")
    page = admin_client.get(reverse("admin:dbmail_textofemail_changelist"), {"q": "ann"})
    assert not page.context["cl"].result_list


def test_mails_are_hidden_from_staff_without_the_right_to_see_recipients(client):
    model = get_user_model()
    client.force_login(model.objects.create(**{model.USERNAME_FIELD: "clerk"}, is_staff=True))
    mail = a_mail("ann@example.org")
    assert client.get(reverse("admin:dbmail_textofemail_changelist")).status_code == 403
    assert client.get(reverse("admin:dbmail_textofemail_change", args=[mail.pk])).status_code == 403


def double_up(rounds):
    """Every mail once more, as often: each copy has an address of its own."""
    columns = [f.column for f in TextOfEmail._meta.concrete_fields if not f.primary_key]
    names = ", ".join(map(connection.ops.quote_name, columns))
    with connection.cursor() as cursor:
        for letter in "abcdefghijklmnopqrstuvwxyz"[:rounds]:
            values = names.replace(connection.ops.quote_name("address"), f"REPLACE(address, '@', '{letter}@')")
            table = TextOfEmail._meta.db_table
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}")  # noqa: S608 - our own names


def test_hundreds_of_thousands_of_mails_are_listed_as_fast_as_two(admin_client, django_assert_max_num_queries):
    a_mail("x@example.org", state="sent")
    double_up(17)
    last = a_mail("last@example.org", state="failed", messagerequest=a_request())
    assert TextOfEmail.objects.count() > 130_000
    for query in ("", "?state=failed", "?q=xabc@example.org", f"?q={last.pk}", "?p=100", "?state=queued"):
        with django_assert_max_num_queries(8) as queries:
            page = admin_client.get(reverse("admin:dbmail_textofemail_changelist") + query)
        assert page.status_code == 200
        for asked in queries.captured_queries:
            assert float(asked["time"]) < 1.0, asked["sql"]
