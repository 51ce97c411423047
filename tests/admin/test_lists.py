"""The list pages: every table is there, and none of them counts or loads the whole of it."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dbmail.admin.paging import REACHABLE
from dbmail.broadcasts.insight import MAILS
from dbmail.models import (
    Attempt,
    EmailList,
    EmailRequest,
    IncomingMessage,
    MailEvent,
    PlainRedirect,
    Suppression,
    TextOfEmail,
)

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


@pytest.mark.parametrize("table", ["textofemail", "emailrequest", "attempt", "incomingmessage"])
def test_a_list_leaves_bodies_where_they_are(table, admin_client, a_row_of_each):
    with CaptureQueriesContext(connection) as asked:
        admin_client.get(reverse(f"admin:dbmail_{table}_changelist"))
    read = set(re.findall(r"[`\"](msgtext|plaintext|raw)[`\"]", " ".join(one["sql"] for one in asked)))
    assert not read


def test_a_mail_that_was_tried_hundreds_of_times_shows_the_last_tries(admin_client):
    mail = a_mail()
    Attempt.objects.bulk_create(
        Attempt(textofemail=mail, at=mail.created_at, outcome="deferred", host="h", text=f"no {n}.", message_id="x@y")
        for n in range(300)
    )
    page = admin_client.get(reverse("admin:dbmail_textofemail_change", args=[mail.pk])).content.decode()
    assert "no 299." in page
    assert "no 249." not in page
    assert page.index("no 299.") < page.index("no 250.")


def test_lists_lead_from_a_row_to_what_it_belongs_to(admin_client, a_row_of_each):
    mail = TextOfEmail.objects.get()
    ways = {
        "textofemail": ("messagerequest", mail.messagerequest_id),
        "attempt": ("textofemail", mail.pk),
        "emailrequest": ("textofemail", mail.pk),
    }
    for table, (other, key) in ways.items():
        page = admin_client.get(reverse(f"admin:dbmail_{table}_changelist")).content.decode()
        assert f'href="{reverse(f"admin:dbmail_{other}_change", args=[key])}"' in page, table


def test_a_help_text_is_not_taken_for_a_tag(admin_client):
    page = admin_client.get(reverse("admin:dbmail_textofemail_change", args=[a_mail().pk])).content.decode()
    assert "<address>" not in page


def test_the_tester_without_an_author_asks_on_behalf_of_a_stranger(admin_client):
    EmailList.objects.all().delete()
    EmailList.objects.create(regex="^(.*)$", handler="PlainList")
    PlainRedirect.objects.create(original="directors", destination="ann@example.org")
    page = admin_client.get(reverse("admin:dbmail_emaillist_tester"), {"q": "directors@example.org"})
    assert page.context["plan"].decision.verdict == "send"


ROWS = 200_000
#: By table: a rare kind, a common one, one that there is not.
FILTERS = {
    "textofemail": ("state", ["cancelled", "sent", "in_doubt"]),
    "attempt": ("outcome", ["refused", "sent", "broken"]),
    "mailevent": ("event_type", ["complained", "bounced", "rejected"]),
    "suppression": ("reason", ["manual", "bounced", "complained"]),
    "incomingmessage": ("state", ["held", "handled", "failed"]),
}


def _numbers(last):
    """1 to `last`, as a table with a column n."""
    if connection.vendor == "postgresql":
        return f"generate_series(1, {last}) AS numbers(n)"
    if connection.vendor == "mysql":
        return f"(SELECT seq AS n FROM seq_1_to_{last}) AS numbers"  # noqa: S608 - a number
    counted = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {last}) SELECT n FROM c"  # noqa: S608
    return f"({counted}) AS numbers"


def _many(row, number=ROWS, **values):
    """`row` once more for each number n, but for the columns that `values` gives in SQL."""
    quoted = connection.ops.quote_name
    columns = [field.column for field in type(row)._meta.concrete_fields if not field.primary_key]
    given = ", ".join(values.get(column, f"o.{quoted(column)}") for column in columns)
    table = quoted(type(row)._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(map(quoted, columns))}) "  # noqa: S608 - our own names
            f"SELECT {given} FROM {table} o CROSS JOIN {_numbers(number)} WHERE o.id = %s",
            [row.pk],
        )


@pytest.fixture
def full_tables(admin_client, a_row_of_each):
    """200,000 rows in each table, most of one kind and of one broadcast, with the rare ones behind them."""
    written = "CONCAT('x', n, '@example.org')" if connection.vendor == "mysql" else "'x' || n || '@example.org'"
    mail, incoming = TextOfEmail.objects.get(), IncomingMessage.objects.get()
    rare = a_mail("rare@example.org", state="cancelled")
    TextOfEmail.objects.filter(pk=mail.pk).update(state="sent")
    Attempt.objects.create(textofemail=rare, at=mail.created_at, outcome="refused", host="relay", message_id="x@y")
    MailEvent.objects.create(address="rare@example.org", event_type="complained", source="arf", textofemail=rare)
    Suppression.objects.create(address="rare@example.org", reason="manual")
    IncomingMessage.objects.filter(pk=incoming.pk).update(state="held", recipient="rare@example.org")
    post("directors@example.org", queue_id="q2")
    IncomingMessage.objects.exclude(pk=incoming.pk).update(state="handled")
    _many(mail, address=written)
    _many(EmailRequest.objects.get(), textofemail_id=f"{rare.pk} + n")
    _many(Attempt.objects.get(outcome="sent"), textofemail_id=f"{rare.pk} + n")
    _many(MailEvent.objects.get(event_type="bounced"), address=written)
    _many(Suppression.objects.get(reason="bounced"), address=written)
    apart = {"received_at": "o.received_at + n * interval '1 second'"} if connection.vendor == "postgresql" else {}
    _many(IncomingMessage.objects.get(state="handled"), content_hash="n", **apart)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return mail


def _work(asked):
    """What a database has to do beyond reading the rows that it gives back, in its own words."""
    if not asked.startswith("SELECT"):
        return []
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            thousands = []
            connection.connection.set_progress_handler(lambda: thousands.append(1) and None, 1000)
            cursor.execute(asked)
            cursor.fetchall()
            connection.connection.set_progress_handler(None, 0)
            cursor.execute(f"EXPLAIN QUERY PLAN {asked}")
            return [str(row[-1]) for row in cursor.fetchall()] if len(thousands) > 500 else []
        if connection.vendor == "postgresql":
            cursor.execute(f"EXPLAIN ANALYZE {asked}")
            plan = [row[0] for row in cursor.fetchall()]
            read = [(step, re.search("Removed by Filter: ([0-9]+)|rows=([0-9]+) loops", step)) for step in plan]
            return [step for step, rows in read if rows and int(rows[1] or rows[2]) > 20_000]
    return []


def test_lists_of_200_000_rows_read_no_more_than_they_show(admin_client, full_tables, django_assert_max_num_queries):
    for table in (*FILTERS, "emailrequest"):
        name, kinds = FILTERS.get(table, ("", []))
        queries = ["", "?p=100", "?q=rare@example.org", "?q=x77@example.org", "?q=nobody@example.org"]
        queries += [f"?q={key}" for key in (full_tables.messagerequest_id, full_tables.pk, 150_000, 10**12)]
        queries += [f"?{name}={kind}" for kind in kinds]
        queries += [
            f"?{name}={kind}&q={q}" for kind in kinds for q in ("rare@example.org", full_tables.messagerequest_id)
        ]
        if kinds:
            queries.append(f"?{name}={kinds[1]}&p=100")
        for query in queries:
            with django_assert_max_num_queries(10) as asked:
                page = admin_client.get(reverse(f"admin:dbmail_{table}_changelist") + query)
            assert page.status_code == 200, (table, query)
            for one in asked.captured_queries:
                assert not one["sql"].startswith("SELECT COUNT(") or "LIMIT" in one["sql"], (table, query)
                assert not _work(one["sql"]), (table, query, one["sql"][:2000], _work(one["sql"]))
        if kinds:
            page = admin_client.get(reverse(f"admin:dbmail_{table}_changelist"), {name: kinds[0]})
            assert page.context["cl"].result_count == 1, table
            page = admin_client.get(reverse(f"admin:dbmail_{table}_changelist"), {name: kinds[1]})
            assert page.context["cl"].result_count == REACHABLE, table


def test_the_page_of_an_address_with_thousands_of_mails_reads_the_newest(admin_client):
    mail = a_mail("busy@example.org", state="sent")
    _many(mail, 3000)
    with CaptureQueriesContext(connection) as asked:
        page = admin_client.get(reverse("admin:dbmail_textofemail_address"), {"q": "busy@example.org"})
    assert len(page.context["found"].mails) == MAILS
    assert len(asked) < 12
    for one in asked.captured_queries:
        assert "msgtext" not in one["sql"]
        assert "auth_user" in one["sql"] or not _work(one["sql"]), one["sql"]
