"""Broadcasts that are refused too often, and those that send a few mails ahead."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.conf import config
from dbmail.models import MessageRequest, TextOfEmail
from dbmail.queue.claim import Claims
from dbmail.queue.watch import judge
from dbmail.service.passes import send_email_requests

from ..builders import a_mail
from .test_claim import queued, sending

pytestmark = pytest.mark.django_db
State = MessageRequest.State


@pytest.mark.parametrize(
    ("accepted", "refused", "stop"),
    [
        (0, 0, False),
        (1000, 0, False),
        (44, 5, False),  # too few to judge by
        (45, 5, False),  # just as many as are allowed
        (44, 6, True),
        (0, 50, True),
        (100_000, 11_000, False),
        (100_000, 12_000, True),
    ],
)
def test_more_than_the_share_of_enough_outcomes_stops(accepted, refused, stop):
    judgement = judge(accepted, refused, 0.1)
    assert judgement.stop is stop and bool(judgement.reason) is stop


def test_nothing_stops_if_the_share_is_0_and_one_refusal_never_does():
    assert not judge(0, 1000, 0).stop
    assert not judge(4, 1, 0.1, at_least=5).stop
    assert judge(3, 2, 0.1, at_least=5).stop


def counts(request):
    request.refresh_from_db()
    return request.state, request.accepted, request.refused


def waiting(request):
    return TextOfEmail.objects.filter(messagerequest=request, state="queued", claimed_by="", tries=0).count()


def test_a_broadcast_that_is_refused_is_paused_its_creator_told_and_others_go_on(relay, batches_of):
    batches_of(40)
    bad, good = sending(subject="Spam"), sending()
    relay.reply("RCPT", f"r{bad.pk}n", "550 5.7.1 Blocked as spam")
    queued(bad, 500)
    queued(good, 100)
    report = send_email_requests()
    assert counts(bad)[0] == State.PAUSED and "refused for good" in bad.state_reason
    assert 50 <= counts(bad)[2] < 70
    assert waiting(bad) == 500 - bad.refused
    assert (counts(good), report.sent) == ((State.DONE, 100, 0), 100)
    notice = next(m for m in relay.messages if "paused" in m.message["Subject"])
    assert notice.rcpt_tos == ["admin@example.org", "bounces@example.org"]
    assert 'Your message "Spam"' in notice.message.get_content() and "DBMAIL" in notice.message.get_content()


def test_it_is_resumed_in_one_step_and_counted_anew(relay):
    request = sending()
    relay.reply("RCPT", f"r{request.pk}n", "550 5.7.1 Blocked as spam")
    queued(request, 100)
    send_email_requests()
    relay.forget_rules()
    assert request.resume()
    assert (request.state, request.state_reason, request.refused) == (State.SENDING, "", 0)
    send_email_requests()
    assert counts(request)[0] == State.DONE
    assert waiting(request) == 0


def test_refusals_for_now_do_not_count(relay):
    request = sending()
    relay.reply("RCPT", f"r{request.pk}n", "450 4.2.0 Greylisted")
    queued(request, 100)
    assert send_email_requests().deferred == 100
    assert counts(request) == (State.SENDING, 0, 0)


def test_a_few_bad_addresses_do_not_stop_a_broadcast(relay):
    request = sending()
    relay.reply("RCPT", "17@", "550 5.1.1 No such user")
    queued(request, 300)
    send_email_requests()
    assert counts(request) == (State.DONE, 297, 3)


def test_it_is_off_at_0_and_costs_no_query_then(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "BREAKER": {"SHARE": 0}}
    request = sending()
    relay.reply("RCPT", f"r{request.pk}n", "550 5.7.1 Blocked as spam")
    queued(request, 100)
    with CaptureQueriesContext(connection) as queries:
        assert send_email_requests().failed_count == 100
    assert not [query for query in queries if '"refused" +' in query["sql"] or "`refused` +" in query["sql"]]
    assert counts(request) == (State.DONE, 0, 0)


def test_mail_of_no_broadcast_is_never_paused(relay):
    relay.reply("RCPT", "ann", "550 5.2.2 Full", times=60)
    for n in range(60):
        a_mail(f"ann{n}@example.org")
    assert send_email_requests().failed_count == 60


def test_100_000_failing_addresses_would_stop_at_the_first_fifty(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 4}
    request = sending()
    relay.reply("RCPT", f"r{request.pk}n", "550 5.2.2 Full")
    queued(request, 2000)
    assert send_email_requests().failed_count < 100


def canary(settings, number):
    breaker = {"CANARY": number, "CANARY_WAIT": timedelta(minutes=10)}
    settings.DBMAIL = {**settings.DBMAIL, "BREAKER": breaker}


def the_wait_ends(request):
    MessageRequest.objects.filter(pk=request.pk).update(canary_until=timezone.now() - timedelta(seconds=1))


def test_a_few_mails_go_first_and_the_rest_after_a_wait(relay, settings):
    canary(settings, 20)
    request = sending()
    queued(request, 100)
    assert send_email_requests().sent == 20
    assert send_email_requests().sent == 0
    request.refresh_from_db()
    assert request.canary_until > timezone.now() + timedelta(minutes=9)
    the_wait_ends(request)
    assert send_email_requests().sent == 80
    assert counts(request)[0] == State.DONE


def test_a_broadcast_no_bigger_than_its_first_mails_does_not_wait(relay, settings):
    canary(settings, 20)
    request = sending()
    queued(request, 15)
    assert send_email_requests().sent == 15
    assert counts(request)[0] == State.DONE


def test_first_mails_that_come_late_are_still_the_first(relay, settings):
    canary(settings, 20)
    request = sending()
    queued(request, 15)
    assert len(Claims("w").take(50)) == 15
    more = queued(sending(), 0) or TextOfEmail.objects.bulk_create(
        TextOfEmail(messagerequest=request, address=f"l{n}", send_to=f"l{n}@example.org", copy_key="k")
        for n in range(30)
    )
    assert len(more) == 30
    assert len(Claims("w").take(50)) == 5
    assert Claims("w").take(50) == []


def test_mails_of_no_broadcast_and_other_broadcasts_do_not_wait(relay, settings):
    canary(settings, 5)
    big, small = sending(), sending()
    queued(big, 50)
    queued(small, 3)
    a_mail()
    assert send_email_requests().sent == 5 + 3 + 1


def test_first_mails_that_are_refused_stop_the_rest(relay, settings):
    canary(settings, 20)
    request = sending()
    relay.reply("RCPT", f"r{request.pk}n", "550 5.7.1 Blocked as spam", times=4)
    queued(request, 100)
    send_email_requests()
    assert counts(request) == (State.PAUSED, 16, 4)
    the_wait_ends(request)
    assert send_email_requests().sent == 0
    assert request.resume()
    assert send_email_requests().sent == 80


def test_without_the_setting_nothing_waits(relay, settings):
    request = sending(canary_left=0, canary_until=timezone.now() + timedelta(hours=1))
    queued(request, 100)
    assert config().breaker.canary == 0
    assert send_email_requests().sent == 100


@pytest.mark.skipif(connection.vendor != "sqlite", reason="threads of their own race on a database server, below")
@pytest.mark.parametrize("statement", range(6))
@pytest.mark.parametrize(("ours", "theirs"), [(20, 20), (15, 15), (7, 20), (20, 7), (6, 6)])
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
def test_of_two_workers_in_a_race_no_more_first_mails_go_than_may(settings, statement, ours, theirs, begun):
    """The other worker takes its turn just before one of the statements by which this one takes its own."""
    canary(settings, 20)
    request = sending(canary_left=20 if begun else None)
    queued(request, 100)
    writes, taken = [], []

    def the_other_comes_first(execute, sql, params, many, context):
        if sql.startswith("UPDATE"):
            writes.append(sql)
            if len(writes) == statement + 1:
                taken.extend(Claims("other").take(theirs))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(the_other_comes_first):
        taken += Claims("this").take(ours)
    if len(writes) <= statement:
        taken += Claims("other").take(theirs)
    request.refresh_from_db()
    assert len({row.pk for row in taken}) == len(taken) == 20 - request.canary_left
    assert bool(request.canary_until) == (request.canary_left == 0)
    taken += Claims("this").take(30)
    taken += Claims("this").take(30)
    request.refresh_from_db()
    assert (len(taken), request.canary_left) == (20, 0) and request.canary_until


@pytest.mark.skipif(connection.vendor == "sqlite", reason="threads on a database in memory do not wait")
@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_time_send_no_more_first_mails_together(settings):
    canary(settings, 20)
    request = sending()
    queued(request, 400)
    taken, errors = [], []

    def work(name):
        try:
            for _ in range(20):
                taken.extend(Claims(name).take(7))
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(taken) == 20
    request.refresh_from_db()
    assert request.canary_left == 0 and request.canary_until
