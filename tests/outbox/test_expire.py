"""Expiry, and filling in what was cleared away."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dbmail.exceptions import DbmailError
from dbmail.models import TextOfEmail, expire_unsent_emails

from ..builders import a_mail, a_request, a_user

pytestmark = pytest.mark.django_db
OLD = timezone.now() - timedelta(days=8)


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
