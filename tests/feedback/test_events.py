"""Events become rows and suppressions, once, however often they come."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.feedback.events import NewEvent, count_events, record_events
from dbmail.models import MailEvent, Suppression
from dbmail.suppression.entries import lift, suppressed
from dbmail.times import from_timestamp

from ..builders import a_mail

pytestmark = pytest.mark.django_db
ANN = "ann@example.org"


def event(kind="bounced", address=ANN, **fields):
    return NewEvent(address, kind, "test", **fields)


def test_complaints_unsubscribes_and_hard_bounces_count_at_once():
    record_events(
        [
            event("complained", "a@example.org"),
            event("unsubscribed", "b@example.org"),
            event("bounced", "c@example.org", is_hard=True),
            event("rejected", "d@example.org", is_hard=True),
            event("bounced", "e@example.org"),
            event("delivered", "f@example.org"),
            event("deferred", "g@example.org"),
        ]
    )
    found = suppressed([f"{letter}@example.org" for letter in "abcdefg"])
    assert {address[0]: reason for address, reason in found.items()} == {
        "a": "complained",
        "b": "unsubscribed",
        "c": "bounced",
        "d": "bounced",
    }


def test_soft_bounces_count_within_the_window_and_end_by_themselves(settings):
    settings.DBMAIL = {**settings.DBMAIL, "BOUNCE_REST": {"SOFT_BOUNCES": 3, "SOFT_WITHIN": timedelta(days=7)}}
    record_events([event(at=timezone.now() - timedelta(days=8)) for _ in range(9)])
    record_events([event(), event(reject_reason="blocked"), event(reject_reason="spam"), event("deferred")])
    record_events([event()])
    assert not Suppression.objects.exists()
    record_events([event()])
    assert timedelta(days=29) < Suppression.objects.get().expires_at - timezone.now() < timedelta(days=31)


def test_a_replay_adds_nothing_even_after_the_person_came_back():
    replay = [event("unsubscribed", event_id="1"), event("unsubscribed", event_id="1"), event("bounced", event_id="2")]
    assert count_events(replay) == 2
    assert lift(ANN)
    assert record_events(replay) == []
    assert suppressed([ANN]) == {}
    assert MailEvent.objects.count() == 2


def test_an_event_finds_its_mail_by_address_and_message_id_or_by_key():
    mine, other = a_mail(scope="news"), a_mail("bob@example.org")
    record_events(
        [
            event(message_id=mine.message_id),
            event(mail_id=other.pk, address="bob@example.org"),
            event(message_id=other.message_id),
            event(mail_id=999_999),
            event("unsubscribed", message_id=mine.message_id, one_scope=True),
        ]
    )
    assert list(MailEvent.objects.order_by("pk").values_list("textofemail", flat=True)) == [
        mine.pk,
        other.pk,
        None,
        None,
        mine.pk,
    ]
    assert Suppression.objects.get().scope == "news"


def test_ten_thousand_events_cost_few_queries():
    mails = [a_mail(f"n{n}@example.org") for n in range(20)]
    kinds = ["delivered", "bounced", "complained", "deferred"]
    events = (
        event(kinds[n % 4], f"n{n % 3000}@example.org", event_id=str(n), message_id=mails[n % 20].message_id)
        for n in range(10_000)
    )
    with CaptureQueriesContext(connection) as queries:
        assert count_events(events) == 10_000
    assert len(queries) <= 400, len(queries)
    assert MailEvent.objects.count() == 10_000
    assert Suppression.objects.count() == 750


def broken_hook(row):
    MailEvent.objects.create(pk=1, address="x", event_type="unknown", source="hook")
    MailEvent.objects.create(pk=1, address="y", event_type="unknown", source="hook")


def test_a_projects_hook_that_fails_in_the_database_loses_no_event(settings):
    settings.DBMAIL = {**settings.DBMAIL, "UNSUBSCRIBE_HOOK": f"{__name__}.broken_hook"}
    record_events([event("complained", "a@example.org"), event("complained", "b@example.org")])
    assert set(MailEvent.objects.values_list("address", flat=True)) == {"a@example.org", "b@example.org"}
    assert Suppression.objects.count() == 2


@pytest.mark.parametrize("use_tz", [True, False])
def test_times_are_kept_whether_the_project_uses_zones_or_not(settings, use_tz):
    settings.USE_TZ = use_tz
    record_events([event("bounced", at=from_timestamp(1_700_000_000), is_hard=True), event("bounced")])
    assert timezone.is_aware(from_timestamp(1_700_000_000)) is use_tz
    assert suppressed([ANN])


def test_what_no_database_takes_is_made_harmless():
    bad = {"a\0b": ["\ud800", float("nan"), {"deep": [[[[[[[[1]]]]]]]]}], "n": 1}
    record_events([event(raw=bad, description="x\0\ud800", event_id="e", address="")])
    row = MailEvent.objects.get()
    assert row.raw["n"] == 1 and row.raw["ab"][:2] == ["?", "nan"]
    assert row.description == "x?"
