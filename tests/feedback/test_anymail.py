"""anymail's tracking signal feeds the same events."""

from datetime import UTC, datetime

import pytest
from anymail.signals import AnymailTrackingEvent, tracking
from django.core import mail as django_mail

from dbmail.feedback.anymail import connect
from dbmail.models import MailEvent, Suppression

from ..builders import a_mail, a_request, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def connected():
    connect()
    connect()
    yield
    tracking.disconnect(dispatch_uid="dbmail.feedback.anymail")


def tell(event_type, **fields):
    fields = {"recipient": "Ann@example.org", "event_id": "1", "timestamp": datetime(2030, 1, 2, tzinfo=UTC), **fields}
    event = AnymailTrackingEvent(event_type=event_type, **fields)
    tracking.send(sender=object, event=event, esp_name="Amazon SES")


def test_an_event_of_any_provider_is_kept_once_and_suppresses():
    for _ in range(2):
        tell("complained", esp_event={"type": "Complaint"})
    event = MailEvent.objects.get()
    assert (event.address, event.event_type, event.source, event.raw) == (
        "ann@example.org",
        "complained",
        "amazonses",
        {"type": "Complaint"},
    )
    assert Suppression.objects.get().reason == "complained"


@pytest.mark.parametrize("kind", ["sent", "queued", "opened", "clicked", "subscribed", "inbound"])
def test_what_we_have_no_use_for_is_not_kept(kind):
    tell(kind)
    assert not MailEvent.objects.exists()


@pytest.mark.parametrize(
    ("fields", "hard"),
    [
        ({"reject_reason": "invalid"}, True),
        ({"reject_reason": "bounced"}, True),
        ({"reject_reason": "bounced", "mta_response": "550 5.1.1 unknown"}, True),
        ({"reject_reason": "bounced", "mta_response": "552 5.2.2 full"}, False),
        ({"reject_reason": "blocked"}, False),
        ({"reject_reason": None}, False),
        ({"reject_reason": "something new"}, False),
    ],
)
def test_only_an_address_that_is_no_good_is_left_out(fields, hard):
    tell("bounced", **fields)
    assert Suppression.objects.exists() is hard


@pytest.mark.parametrize("recipient", [None, "", "ann"])
def test_an_event_about_nobody_is_passed_over(recipient):
    tell("bounced", recipient=recipient)
    assert not MailEvent.objects.exists()


def test_a_mail_that_went_through_another_backend_is_found_by_what_it_carried(use_mailer):
    from dbmail.service.passes import run_pass

    use_mailer("django.core.mail.backends.locmem.EmailBackend")
    a_user("ann")
    a_request()
    run_pass()
    tell("bounced", reject_reason="invalid", metadata=django_mail.outbox[0].metadata, message_id="the provider's own")
    assert MailEvent.objects.get().textofemail.address == "ann@example.org"
    assert a_mail().pk
