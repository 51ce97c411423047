"""Transactions that the database breaks off."""

import threading

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from dbmail.models import TextOfEmail
from dbmail.queue.claim import Claims
from dbmail.service.passes import send_email_requests

from .queue.test_claim import queued, sending
from .waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
State = TextOfEmail.State
#: How many wait for what this connection has locked.
_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))",
    "mysql": "SELECT count(*) FROM information_schema.innodb_lock_waits waits JOIN information_schema.innodb_trx ours "
    "ON ours.trx_id = waits.blocking_trx_id WHERE ours.trx_mysql_thread_id = CONNECTION_ID()",
}


def others_wait_for_us():
    with connection.cursor() as cursor:
        cursor.execute(_WAITING[connection.vendor])
        return cursor.fetchone()[0]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite is a file that one locks as a whole")
def test_a_deadlock_is_no_error_but_another_try():
    queued(sending(), 20)
    claims = Claims("w")
    rows = sorted(claims.take(2), key=lambda row: row.pk)
    holds_last, blocked = threading.Event(), threading.Event()
    errors = []

    def other():
        try:
            with transaction.atomic():
                # Much changed, so that MariaDB ends the other one; PostgreSQL ends whoever waited first.
                TextOfEmail.objects.filter(state=State.QUEUED).update(tries=1)
                TextOfEmail.objects.filter(pk=rows[1].pk).update(tries=1)
                holds_last.set()
                blocked.wait(10)
                until(others_wait_for_us, 10, every=0.15)  # MariaDB looks only ten times a second, if nobody asked
                TextOfEmail.objects.filter(pk=rows[0].pk).update(tries=1)
        except OperationalError as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=other)
    thread.start()
    assert holds_last.wait(10)
    tries = []

    def count(execute, sql, params, many, context):
        if sql.startswith("UPDATE"):
            tries.append(sql)
            blocked.set()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        claims.put_off([row.pk for row in rows], timezone.now(), "later")
    thread.join()
    assert errors == [] and len(tries) == 2  # it was ended once
    assert set(TextOfEmail.objects.values_list("state", "tries")) == {(State.QUEUED, 1)}


def test_mails_claimed_when_the_database_broke_off_are_sent_all_the_same(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "1000/h"}}
    queued(sending(), 30)
    broken = []

    def break_off(execute, sql, params, many, context):
        if "dbmail_ratecount" in sql and not broken:
            broken.append(State(TextOfEmail.objects.values_list("state", flat=True).earliest("pk")))
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(break_off):
        report = send_email_requests()
    assert broken == [State.SENDING]
    assert report.sent == 30 and len(set(relay.recipients())) == 30
