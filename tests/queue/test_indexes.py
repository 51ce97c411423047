"""The queue's queries on a table of 200,000 rows: each by an index, and no index for nothing."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.broadcasts.control import drop_cancelled, finish_requests
from dbmail.broadcasts.expire import expire_mails
from dbmail.models import MessageRequest, TextOfEmail
from dbmail.queue.claim import Claims, recover

from .test_claim import sending

pytestmark = pytest.mark.django_db
ROWS, DOUBLINGS = 200_000, 5
TABLE = TextOfEmail._meta.db_table
State = TextOfEmail.State


def fill():
    """A queue as it is after years: 40 broadcasts, nearly all of it sent, some mails waiting."""
    chance, now = random.Random(1), timezone.now()  # noqa: S311 - the same rows each time
    requests = [sending() for _ in range(40)]
    MessageRequest.objects.filter(pk__in=[request.pk for request in requests[:38]]).update(state="done")
    TextOfEmail.objects.bulk_create(
        TextOfEmail(
            messagerequest=requests[n % 40],
            address=f"person{chance.randrange(50_000)}@example.org",
            copy_key=f"{n}x",
            message_id=str(n),
            send_to="x",
            send_from="x",
            state=State.QUEUED if n % 40 > 37 and n % 7 == 0 else State.SENT,
            created_at=now - timedelta(minutes=n % 5000),
            due_at=now - timedelta(minutes=n % 5000),
        )
        for n in range(ROWS // 2**DOUBLINGS)
    )
    columns = ", ".join(f.column for f in TextOfEmail._meta.local_fields if not f.primary_key)
    with connection.cursor() as cursor:
        for n in range(DOUBLINGS):
            copied = columns.replace("copy_key", f"REPLACE(copy_key, 'x', 'x{n}')")
            cursor.execute(f"INSERT INTO {TABLE} ({columns}) SELECT {copied} FROM {TABLE}")  # noqa: S608 - our words
        if connection.vendor != "mysql":  # there it would commit, and it keeps its statistics by itself
            cursor.execute(f"ANALYZE {TABLE}")


def plan(sql):
    word = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{word} {sql}")
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def scans_the_table(step):
    if connection.vendor == "mysql":
        return step["type"] == "ALL" and (step["rows"] or 0) > ROWS / 10
    text = str(list(step.values())[-1])
    return "Seq Scan on " + TABLE in text or (text.startswith(f"SCAN {TABLE}") and "INDEX" not in text)


def test_the_queue_s_queries_use_an_index_and_every_index_is_used():
    fill()
    with CaptureQueriesContext(connection) as captured:
        mails = Claims("w").take(200)
        Claims("w").give_back(mail.pk for mail in mails)
        recover()
        expire_mails()
        finish_requests()
        drop_cancelled()
        list(TextOfEmail.objects.filter(address="person7@example.org"))
        list(
            TextOfEmail.objects.filter(messagerequest=mails[0].messagerequest_id, address__in=["person7@example.org"])
        )
    asked = [query["sql"] for query in captured if TABLE in query["sql"] and "dbmail_attempt" not in query["sql"]]
    assert len(mails) == 200 and len(asked) >= 9
    plans = {sql: plan(sql) for sql in asked}
    assert [sql for sql, steps in plans.items() if any(map(scans_the_table, steps))] == []
    used = str(plans)
    if connection.vendor == "sqlite":  # the others choose by statistics between two that would do
        names = [index.name for index in TextOfEmail._meta.indexes]
        assert [name for name in names if name not in used] == []
