"""Rate limits on the queue, shared by all workers of a database."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.models import RateCount, TextOfEmail
from dbmail.queue.claim import Claims
from dbmail.queue.deliver import Sender
from dbmail.service.passes import send_email_requests

from ..builders import a_mail
from .test_claim import queued, sending

pytestmark = pytest.mark.django_db
State = TextOfEmail.State


def queued_to(domain, request, number):
    rows = queued(request, number)
    for row in rows:
        row.address = row.send_to = row.address.replace("example.org", domain)
    TextOfEmail.objects.bulk_update(rows, ["address", "send_to"])
    return rows


def later():
    return TextOfEmail.objects.filter(state=State.QUEUED, due_at__gt=timezone.now(), tries=0, claimed_by="")


def a_window_passes(window=timedelta(minutes=1)):
    for row in RateCount.objects.exclude(key=""):
        RateCount.objects.filter(pk=row.pk).update(at=row.at - 1.1 * window)
    TextOfEmail.objects.filter(state=State.QUEUED).update(due_at=timezone.now())


def test_a_recipient_domain_gets_what_its_limit_allows_and_others_are_not_held_up(relay, settings, batches_of):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"domain:slow.example": "20/min"}}
    batches_of(50)
    queued_to("slow.example", sending(), 500)
    queued_to("other.example", sending(), 70)
    assert send_email_requests().sent == 90
    assert sum("slow.example" in address for address in relay.recipients()) == 20
    assert later().count() == 480
    assert send_email_requests().sent == 0
    a_window_passes()
    assert send_email_requests().sent == 20


def test_a_domain_without_a_limit_of_its_own_gets_that_of_the_star(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"domain:*": "5/h", "domain:big.example": "50/h"}}
    request = sending()
    for domain in ("a.example", "b.example"):
        queued_to(domain, sending(), 10)
    queued_to("big.example", request, 40)
    assert send_email_requests().sent == 5 + 5 + 40


def test_a_sender_s_limit_counts_all_its_recipients_and_leaves_other_senders_alone(relay, settings):
    settings.DBMAIL = {
        **settings.DBMAIL,
        "FROM_DOMAINS": ["example.org", "example.com"],
        "RATES": {"sender:example.org": "10/h", "sender:news@example.com": "3/h"},
    }
    queued(sending(), 15)
    rows = queued(sending(), 9)
    for n, row in enumerate(rows):
        row.send_from = "News <News@example.com>" if n < 5 else "info@example.com"
    TextOfEmail.objects.bulk_update(rows, ["send_from"])
    assert send_email_requests().sent == 10 + 3 + 4


def test_mail_of_no_broadcast_is_not_behind_a_broadcast(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "10/h"}}
    queued(sending(), 100)
    a_mail("now@example.org")
    send_email_requests()
    assert "now@example.org" in relay.recipients()


def test_a_small_broadcast_is_not_behind_a_big_one_under_one_limit(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"domain:example.org": "20/min"}}
    big, small = sending(), sending()
    queued(big, 500)
    queued(small, 10)
    send_email_requests()
    assert sum(address.startswith(f"r{small.pk}n") for address in relay.recipients()) == 10


def test_without_limits_there_is_no_query_more(relay, settings):
    queued(sending(), 10)
    with CaptureQueriesContext(connection) as queries:
        send_email_requests()
    assert not [query for query in queries if RateCount._meta.db_table in query["sql"]]


def test_limits_cost_at_most_a_twentieth_of_a_query_a_mail(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "9000/min", "domain:*": "9000/min", "sender:*": "9000/min"}}
    queued(sending(), 1000)
    with CaptureQueriesContext(connection) as queries:
        assert send_email_requests().sent == 1000
    more = [query for query in queries if RateCount._meta.db_table in query["sql"]]
    assert 0 < len(more) <= 0.05 * 1000


def test_a_queue_over_its_limit_is_looked_through_once_and_not_again_and_again(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "10/h"}}
    queued(sending(), 1000)
    with CaptureQueriesContext(connection) as queries:
        assert send_email_requests().sent == 10
    assert len(queries) < 0.15 * 1000
    with CaptureQueriesContext(connection) as queries:
        assert send_email_requests().sent == 0
    assert len(queries) < 22  # two more than before there was a last moment


def test_what_is_given_back_unsent_does_not_count(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "100/h", "sender:*": "70/h"}}
    queued(sending(), 60)
    asked = []
    with Sender(stop=lambda: len(asked) > 9 or asked.append(1)) as sender:
        sender.drain()
    counted = sum(RateCount.objects.filter(key="all").values_list("count", flat=True))
    assert counted == sender.report.sent < 20
    assert send_email_requests().sent == 60 - sender.report.sent


def test_a_row_with_a_spoiled_sender_fails_by_itself(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"sender:*": "10/h", "domain:*": "100/h"}}
    bad, _ = a_mail("a@example.org"), a_mail("b@example.org")
    TextOfEmail.objects.filter(pk=bad.pk).update(send_from="nobody")
    report = send_email_requests()
    assert (report.sent, report.failed_count) == (1, 1)


def test_counts_of_long_ago_are_cleared_away(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "10/min"}}
    RateCount.objects.create(key="all", at=timezone.now() - timedelta(hours=1), count=3)
    a_mail()
    send_email_requests()
    assert RateCount.objects.filter(key="all").count() == 1


@pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="threads on a database in memory do not wait; tests/e2e runs processes on a file",
)
@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_time_take_no_more_than_the_limit_together(settings):
    settings.DBMAIL = {
        **settings.DBMAIL,
        "RATES": {"all": "150/h", "domain:a.example": "40/h", "domain:b.example": "300/h", "sender:*": "1000/h"},
    }
    queued_to("a.example", sending(), 200)
    queued_to("b.example", sending(), 200)
    taken, errors = [], []

    def work(name):
        try:
            claims = Claims(name)
            rows = claims.take(20)
            while rows or claims.held:
                taken.extend(row.address for row in rows)
                rows = claims.take(20)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(taken) == len(set(taken)) == 150
    assert sum("a.example" in address for address in taken) <= 40
    assert later().count() == 250
