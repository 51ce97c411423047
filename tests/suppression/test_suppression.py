"""Who is left out of what, for how long, and who may change it."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.models import Forward, IncomingMessage, MessageRequest, Suppression, TextOfEmail
from dbmail.service.passes import process_messages, run_pass, send_email_requests
from dbmail.suppression import tokens
from dbmail.suppression.entries import NewSuppression, lift, replaces, stopped, suppress, suppress_many, suppressed

from ..builders import a_mail, a_request

pytestmark = pytest.mark.django_db
Reason = Suppression.Reason
ANN = "ann@example.org"


def soon(days=1):
    return timezone.now() + timedelta(days=days)


@pytest.mark.parametrize(
    ("new", "old", "answer"),
    [
        (NewSuppression(ANN, Reason.UNSUBSCRIBED), NewSuppression(ANN, Reason.BOUNCED), True),
        (NewSuppression(ANN, Reason.COMPLAINED), NewSuppression(ANN, Reason.BOUNCED, expires_at=soon()), True),
        (NewSuppression(ANN, Reason.BOUNCED), NewSuppression(ANN, Reason.UNSUBSCRIBED), False),
        (NewSuppression(ANN, Reason.UNSUBSCRIBED), NewSuppression(ANN, Reason.MANUAL), False),
        (NewSuppression(ANN, Reason.BOUNCED), NewSuppression(ANN, Reason.BOUNCED, expires_at=soon()), True),
        (
            NewSuppression(ANN, Reason.BOUNCED, expires_at=soon(1)),
            NewSuppression(ANN, Reason.BOUNCED, expires_at=soon(2)),
            False,
        ),
        (
            NewSuppression(ANN, Reason.BOUNCED, expires_at=soon(3)),
            NewSuppression(ANN, Reason.BOUNCED, expires_at=soon(2)),
            True,
        ),
        (NewSuppression(ANN, Reason.BOUNCED), NewSuppression(ANN, Reason.BOUNCED), False),
        (NewSuppression(ANN, Reason.BOUNCED), NewSuppression(ANN, Reason.MANUAL, expires_at=soon(-1)), True),
    ],
)
def test_what_a_person_decided_outlasts_what_a_server_said(new, old, answer):
    assert replaces(new, old, timezone.now()) is answer


def test_a_bounce_ends_by_itself_and_a_decision_does_not(settings):
    settings.DBMAIL = {**settings.DBMAIL, "BOUNCE_REST": {"HARD": timedelta(days=10)}}
    bounced = suppress(ANN, Reason.BOUNCED)
    assert timedelta(days=9) < bounced.expires_at - timezone.now() < timedelta(days=11)
    Suppression.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert suppressed([ANN]) == {}
    assert suppress("Ann@Example.org", Reason.UNSUBSCRIBED).expires_at is None
    assert suppressed([ANN]) == {ANN: "unsubscribed"}
    assert Suppression.objects.count() == 1


def test_lifting_a_bounce_does_not_bring_mail_to_somebody_who_has_left():
    suppress(ANN, Reason.BOUNCED)
    suppress(ANN, Reason.UNSUBSCRIBED)
    suppress(ANN, Reason.BOUNCED)
    assert not lift(ANN, reasons=[Reason.BOUNCED])
    assert suppressed([ANN])


def test_an_administrator_says_why_and_it_is_kept():
    suppress(ANN, Reason.BOUNCED, source="550 no such user")
    assert lift(ANN, by="joe", because="The mailbox works again")
    assert suppressed([ANN]) == {}
    source = Suppression.objects.get().source
    assert "550 no such user" in source and "by joe: The mailbox works again" in source
    assert not lift(ANN, because="again")
    suppress(ANN, Reason.COMPLAINED, source="A report")
    assert suppressed([ANN])
    source = Suppression.objects.get().source
    assert source.startswith("A report\nLifted ") and "by joe: The mailbox works again" in source


def test_many_are_entered_in_few_queries_each_once():
    entries = [NewSuppression(f"n{n % 900}@Example.org", Reason.MANUAL) for n in range(2000)]
    with CaptureQueriesContext(connection) as queries:
        changed = suppress_many(entries)
    assert len(changed) == Suppression.objects.count() == 900
    assert all(row.pk for row in changed)
    assert len(queries) < 60
    assert suppress_many(entries) == []


def a_forward(to=ANN, scope=""):
    incoming = IncomingMessage.objects.create(
        raw=b"x", local_part="a", domain="example.org", recipient="a@example.org", content_hash=scope or "personal"
    )
    return a_mail(to, forward=Forward.objects.create(incoming=incoming, headers=b"x"), scope=scope)


def test_each_kind_of_mail_asks_for_its_own_scope():
    news = a_mail(messagerequest=a_request(category="news"), scope="news")
    everything = a_mail(messagerequest=a_request(), scope="all")
    by_hand = a_mail(messagerequest=a_request())
    to_list, personal = a_forward(scope="list.example.org"), a_forward()
    own = a_mail()
    mails = [news, everything, by_hand, to_list, personal, own]

    def left_out():
        return {mail.pk for mail in mails if mail.pk in stopped(mails)}

    suppress(ANN, Reason.UNSUBSCRIBED, scope="news")
    assert left_out() == {news.pk}
    suppress(ANN, Reason.UNSUBSCRIBED, scope="list.example.org")
    assert left_out() == {news.pk, to_list.pk}
    suppress(ANN, Reason.UNSUBSCRIBED)
    assert left_out() == {news.pk, to_list.pk, everything.pk, by_hand.pk}
    lift(ANN)
    suppress(ANN, Reason.BOUNCED)
    assert left_out() == {mail.pk for mail in mails} - {own.pk}


def test_an_unsubscribe_between_processing_and_sending_is_honoured(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": {"news": "Monthly news"}}
    for name in ("ann", "bob"):
        User.objects.create(username=name, email=f"{name}@example.org")
    news, other = a_request(category="news", subject="News"), a_request(subject="Other")
    process_messages()
    suppress(ANN, Reason.UNSUBSCRIBED, scope="news")
    send_email_requests()
    sent = {(m.message["Subject"], *m.rcpt_tos) for m in relay.messages}
    assert sent == {("News", "bob@example.org"), ("Other", "bob@example.org"), ("Other", ANN)}
    stopped_mail = TextOfEmail.objects.get(messagerequest=news, address=ANN)
    assert stopped_mail.state == "suppressed" and "unsubscribed" in stopped_mail.last_reply
    assert MessageRequest.objects.get(pk=other.pk).state == "done"


def test_the_link_in_a_mail_of_a_category_leaves_that_category_only(relay, client, settings):
    settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": {"news": "Monthly news"}}
    User.objects.create(username="ann", email=ANN)
    a_request(category="news")
    run_pass()
    url = relay.messages[0].message["List-Unsubscribe"].split(">")[0].strip("<")
    client.post(url.removeprefix("https://example.org"), {"List-Unsubscribe": "One-Click"})
    assert list(Suppression.objects.values_list("address", "scope")) == [(ANN, "news")]


def test_a_category_that_the_project_does_not_declare_fails_its_broadcast(relay):
    User.objects.create(username="ann", email=ANN)
    request = a_request(category="nwes")
    run_pass()
    request.refresh_from_db()
    assert request.state == "failed" and "no category 'nwes'" in request.state_reason
    assert ANN not in relay.recipients()


def test_a_mail_that_the_project_queues_itself_may_name_a_category(relay):
    named, other = a_mail(scope="news"), a_mail("ann@example.org", subject="Your receipt")
    suppress(ANN, Reason.UNSUBSCRIBED, scope="news")
    send_email_requests()
    named.refresh_from_db()
    assert (named.state, [m.message["Subject"] for m in relay.messages]) == ("suppressed", [other.subject])
    lift(ANN, scope="news")
    a_mail(scope="news")
    send_email_requests()
    token = relay.messages[-1].message["List-Unsubscribe"].split("/unsubscribe/")[1].split("/")[0]
    assert tokens.read(token) == (ANN, "news")


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_enter_the_same_address_at_once_both_succeed():
    if connection.vendor == "sqlite":
        pytest.skip("the tests' SQLite is in memory, where threads lock each other out")
    barrier, errors = Barrier(4), []

    def enter(reason):
        try:
            barrier.wait(timeout=10)
            for n in range(20):
                suppress(f"n{n}@example.org", reason)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    reasons = [Reason.UNSUBSCRIBED, Reason.BOUNCED, Reason.UNSUBSCRIBED, Reason.BOUNCED]
    threads = [Thread(target=enter, args=(reason,)) for reason in reasons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(Suppression.objects.values_list("reason", flat=True)) == {"unsubscribed"}
    assert Suppression.objects.count() == 20
