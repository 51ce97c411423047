"""Expiry, and filling in what was cleared away."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dbmail.broadcasts import control
from dbmail.exceptions import DbmailError
from dbmail.models import MessageRequest, TextOfEmail, expire_unsent_emails
from dbmail.queue.deliver import Sender
from dbmail.service.passes import run_pass, upkeep

from ..builders import a_mail, a_request, a_user

pytestmark = pytest.mark.django_db
OLD = timezone.now() - timedelta(days=8)
A_MOMENT = timedelta(seconds=1)


def over(request):
    """Its last moment has just passed."""
    MessageRequest.objects.filter(pk=request.pk).update(not_after=timezone.now() - A_MOMENT)


def test_what_is_older_than_a_week_counts_as_gone():
    old_request, request = a_request(created_at=OLD), a_request()
    old_mail, mail = a_mail(), a_mail("bob@example.org")
    TextOfEmail.objects.filter(pk=old_mail.pk).update(created_at=OLD)
    assert expire_unsent_emails() == 2
    for row in (old_request, request, old_mail, mail):
        row.refresh_from_db()
    assert old_request.processed and not request.processed
    assert old_mail.sent and not mail.sent
    assert old_mail.state == TextOfEmail.State.EXPIRED
    assert expire_unsent_emails() == 0


def test_an_age_can_be_given():
    a_mail()
    assert expire_unsent_emails(older_than=timedelta(0)) == 1


def test_only_mails_that_failed_often_enough_can_be_expired():
    a_mail()
    a_mail("bob@example.org", tries=3)
    assert TextOfEmail.expireUnsentEmails(min_tries=2, older_than=timedelta(0)) == 1


def test_a_setting_gives_the_age(settings):
    settings.DBMAIL = {**settings.DBMAIL, "EXPIRE_AFTER": timedelta(days=30)}
    TextOfEmail.objects.filter(pk=a_mail().pk).update(created_at=OLD)
    assert expire_unsent_emails() == 0


def test_a_cleared_body_is_filled_in_again():
    a_user("ann", first_name="Ann")
    a_request(msgtext="<html><p>Dear {{ user.first_name }}</p>").process()
    mail = TextOfEmail.objects.get()
    TextOfEmail.objects.update(msgtext="", plaintext="")
    mail.refresh_from_db()
    mail.fill_msgtext()
    mail.refresh_from_db()
    assert mail.msgtext == "<html><p>Dear Ann</p>"
    assert mail.plaintext.strip() == "Dear Ann"


def test_a_mail_of_no_broadcast_cannot_be_filled_in():
    with pytest.raises(DbmailError):
        a_mail().fill_msgtext()


def test_after_its_last_moment_a_broadcast_makes_and_sends_no_mail(relay):
    a_user("ann")
    request = a_request(not_after=timezone.now() + timedelta(hours=1))
    over(request)
    assert run_pass().expired == 1
    request.refresh_from_db()
    assert (request.state, request.processed) == (MessageRequest.State.CANCELLED, True)
    assert "last moment" in request.state_reason
    assert relay.connections == 0 and not TextOfEmail.objects.exists()


def test_what_has_not_left_by_the_last_moment_expires_and_the_broadcast_is_done(relay):
    for name in ("ann", "bob"):
        a_user(name)
    request, other = a_request(), a_request()
    request.process()
    mail = TextOfEmail.objects.filter(messagerequest=request).first()
    assert mail.send() is None
    over(request)
    run_pass()
    request.refresh_from_db()
    states = sorted(TextOfEmail.objects.filter(messagerequest=request).values_list("state", flat=True))
    assert (states, request.state) == (["expired", "sent"], "done")
    assert TextOfEmail.objects.filter(messagerequest=other, state="sent").count() == 2
    late = TextOfEmail.objects.get(messagerequest=request, state="expired")
    assert late.sent and "last moment" in late.last_reply
    assert control.requeue(TextOfEmail.objects.filter(pk=late.pk)) == 0  # it would only expire again


def test_the_last_moment_counts_from_batch_to_batch_not_from_pass_to_pass(relay, batches_of):
    batches_of(2)
    for n in range(40):
        a_user(f"u{n}")
    request = a_request()
    request.process()

    def after_two(report):
        if report.sending.sent >= 2:
            over(request)

    run_pass(progress=after_two)
    assert len(relay.recipients()) < 20
    upkeep()
    assert TextOfEmail.objects.filter(state="expired").count() == 40 - len(relay.recipients())


def test_a_later_or_no_last_moment_changes_nothing(relay):
    a_user("ann")
    a_request(not_after=timezone.now() + timedelta(hours=1))
    a_request()
    run_pass()
    assert TextOfEmail.objects.filter(state="sent").count() == 2


def test_a_draft_whose_last_moment_is_being_typed_loses_nothing():
    a_user("ann")
    request = a_request()
    request.process()
    MessageRequest.objects.update(state="draft", processed=False)
    over(request)
    assert upkeep() == 0
    assert TextOfEmail.objects.get().state == "queued"


def test_a_failed_broadcast_keeps_its_reason_after_its_last_moment():
    request = a_request(state="failed")
    MessageRequest.objects.update(state_reason="A template.")
    over(request)
    upkeep()
    request.refresh_from_db()
    assert (request.state, request.state_reason) == ("failed", "A template.")


def test_what_was_claimed_before_the_last_moment_goes_back_and_expires(relay):
    for name in ("ann", "bob", "cleo"):
        a_user(name)
    request = a_request()
    request.process()
    sender = Sender()
    claim = sender._claims.take

    def take(*given):
        rows = claim(*given)
        over(request)
        return rows

    sender._claims.take = take
    with sender:
        sender.drain()
    assert relay.recipients() == []
    assert upkeep() == 3
