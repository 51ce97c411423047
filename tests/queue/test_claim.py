"""Who may send which mail."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from dbmail.database import uptime
from dbmail.models import MessageRequest, Suppression, TextOfEmail
from dbmail.queue.claim import Claims, recover
from dbmail.queue.decide import Fate, RetryDecision
from dbmail.queue.record import settle
from dbmail.queue.worker import identity, provably_dead

from ..builders import a_mail, a_request

pytestmark = pytest.mark.django_db
State = TextOfEmail.State


def queued(request, number, **fields):
    now = timezone.now()
    return TextOfEmail.objects.bulk_create(
        TextOfEmail(
            messagerequest=request,
            address=f"r{request.pk}n{n}@example.org",
            send_to=f"r{request.pk}n{n}@example.org",
            send_from="info@example.org",
            copy_key="k",
            due_at=now + timedelta(microseconds=n),
            **fields,
        )
        for n in range(number)
    )


def sending(**fields):
    return a_request(state=MessageRequest.State.SENDING, processed=True, **fields)


def test_two_workers_never_get_the_same_mail():
    queued(sending(), 10)
    one, two = Claims("one").take(6), Claims("two").take(6)
    assert len(one) == 6 and len(two) == 4
    assert {row.pk for row in one}.isdisjoint(row.pk for row in two)
    assert Claims("three").take(6) == []


def test_a_small_broadcast_is_not_behind_a_big_one():
    big, small = sending(), sending()
    queued(big, 500)
    queued(small, 5)
    taken = Claims("w").take(20)
    assert len(taken) == 20
    assert sum(row.messagerequest_id == small.pk for row in taken) == 5


def test_priority_comes_first_and_gets_more():
    low, high = sending(), sending(priority_level=4)
    queued(low, 100)
    queued(high, 100)
    taken = Claims("w").take(60)
    shares = [sum(row.messagerequest_id == request.pk for row in taken) for request in (high, low)]
    assert taken[0].messagerequest_id == high.pk
    assert shares[0] > 3 * shares[1] > 0


def test_older_mails_of_a_broadcast_come_first():
    queued(sending(), 30)
    taken = Claims("w").take(10)
    assert sorted(row.due_at for row in taken) == [row.due_at for row in TextOfEmail.objects.order_by("due_at")[:10]]


@pytest.mark.parametrize("state", ["draft", "scheduled", "paused", "cancelled", "failed"])
def test_only_broadcasts_under_way_are_sent(state):
    queued(a_request(state=state), 3)
    assert Claims("w").take(10) == []


def test_what_is_due_later_waits():
    a_mail(due_at=timezone.now() + timedelta(hours=1))
    assert Claims("w").take(10) == []


def test_an_unsubscribe_between_processing_and_sending_is_honoured():
    rows = queued(sending(), 2)
    Suppression.objects.create(address=rows[0].address, reason=Suppression.Reason.UNSUBSCRIBED)
    assert [row.pk for row in Claims("w").take(10)] == [rows[1].pk]
    rows[0].refresh_from_db()
    assert rows[0].state == State.SUPPRESSED and rows[0].sent


def test_a_dead_worker_s_mails_come_back_after_its_lease():
    queued(sending(), 3)
    Claims("1.1.1.1.1@elsewhere").take(3)
    assert recover() == 0
    TextOfEmail.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert recover() == 3
    assert len(Claims("w").take(10)) == 3


def test_a_worker_that_died_on_this_machine_is_known_at_once():
    code = "import dbmail.queue.worker as w; print(w.identity())"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    queued(sending(), 3)
    Claims(name).take(3)
    assert provably_dead(name)
    assert recover() == 3


@pytest.mark.parametrize(
    "name",
    ["", "x", "1.2.3.4.5@elsewhere", f"{os.getpid()}@here", f"{os.getpid()}.1@here"],
    ids=["none", "word", "elsewhere", "no start", "no number"],
)
def test_a_worker_that_cannot_be_seen_is_not_taken_for_dead(name):
    assert not provably_dead(name)


def test_a_living_worker_is_not_taken_for_dead():
    assert not provably_dead(identity())
    assert len(identity()) <= 64 and identity() != identity()


def test_begun_mails_are_held_if_a_setting_says_so(settings):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": "hold"}
    rows = queued(sending(), 3)
    Claims("1.1.1.1.1@elsewhere").take(3)
    TextOfEmail.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    TextOfEmail.objects.filter(pk=rows[0].pk).update(begun=True)
    recover()
    assert sorted(TextOfEmail.objects.values_list("state", flat=True)) == [State.IN_DOUBT, State.QUEUED, State.QUEUED]


def test_a_lease_is_prolonged_while_its_worker_lives(settings, monkeypatch):
    settings.DBMAIL = {**settings.DBMAIL, "LEASE": timedelta(hours=1)}
    queued(sending(), 1)
    claims = Claims("w")
    (row,) = claims.take(1)
    TextOfEmail.objects.update(claimed_until=timezone.now() + timedelta(minutes=39))
    now = uptime()
    monkeypatch.setattr("dbmail.queue.claim.uptime", lambda: now + 21 * 60)
    claims.renew(lambda: [row.pk])
    row.refresh_from_db()
    assert row.claimed_until > timezone.now() + timedelta(minutes=50)


def test_what_was_not_begun_is_given_back():
    queued(sending(), 2)
    claims = Claims("w")
    claims.give_back(row.pk for row in claims.take(2))
    assert set(TextOfEmail.objects.values_list("state", "claimed_by")) == {(State.QUEUED, "")}


def test_big_mails_are_claimed_a_few_at_a_time():
    big = sending()
    for n in range(30):
        a_mail(f"big{n}@example.org", messagerequest=big, msgtext="x" * 5_000_000)
    small = queued(sending(), 30)
    claims = Claims("w")
    first, second = claims.take(200), claims.take(200)
    assert 0 < sum(len(row.msgtext) for row in first) < 30_000_000
    assert 0 < sum(len(row.msgtext) for row in second) < 30_000_000
    taken = len(first) + len(second)
    while rows := claims.take(200):
        taken += len(rows)
    assert taken == 30 + len(small)


def test_after_one_big_mail_the_batches_grow_again():
    a_mail(msgtext="x" * 15_000_000, due_at=timezone.now() - timedelta(hours=1))
    for n in range(200):
        a_mail(f"n{n}@example.org")
    claims, batches = Claims("w"), []
    while rows := claims.take(100):
        batches.append(len(rows))
    assert sum(batches) == 201 and len(batches) < 12


def test_a_worker_that_lives_keeps_its_mails_when_a_clock_jumps_an_hour():
    queued(sending(), 3)
    Claims(identity()).take(3)
    TextOfEmail.objects.update(claimed_until=timezone.now() - timedelta(hours=1))
    assert recover() == 0
    TextOfEmail.objects.update(claimed_until=timezone.now() - timedelta(hours=4))
    assert recover() == 3  # it hangs


def test_leases_are_renewed_by_a_clock_that_nobody_sets(monkeypatch):
    up = [1000.0]
    monkeypatch.setattr("dbmail.queue.claim.uptime", lambda: up[0])
    queued(sending(), 1)
    claims = Claims("1.1.1.1.1@elsewhere")
    (row,) = claims.take(1)
    TextOfEmail.objects.update(claimed_until=timezone.now() - timedelta(hours=1))
    up[0] += 201  # a third of ten minutes
    claims.renew(lambda: [row.pk])
    assert recover() == 0


def test_what_others_took_over_is_known_before_it_is_sent(monkeypatch):
    up = [1000.0]
    monkeypatch.setattr("dbmail.queue.claim.uptime", lambda: up[0])
    queued(sending(), 3)
    claims = Claims("1.1.1.1.1@elsewhere")
    rows = claims.take(3)
    assert not claims.late()
    up[0] += 3600  # it slept
    assert claims.late()
    TextOfEmail.objects.filter(pk__in=[rows[0].pk, rows[1].pk]).update(claimed_by="another")
    assert claims.renew(lambda: [row.pk for row in rows]) == {rows[0].pk, rows[1].pk}
    assert [claims.late(row.pk) for row in rows] == [True, True, False]
    assert not claims.late()


def test_an_answer_for_a_mail_that_another_holds_now_changes_nothing():
    (row,) = queued(sending(), 1)
    Claims("one").take(1)
    TextOfEmail.objects.update(claimed_by="two")
    settle(row.pk, RetryDecision(Fate.POSTPONE, "The line broke"), "one")
    row.refresh_from_db()
    assert (row.state, row.claimed_by) == (State.SENDING, "two")
