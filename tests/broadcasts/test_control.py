"""A broadcast from the database to bytes at the relay."""

import pytest
from django.core.management import call_command

from dbmail.models import EmailRequest, MessageRequest, TextOfEmail

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db


def test_one_pass_turns_a_broadcast_into_mail_at_the_relay(relay, capsys):
    a_user("ann", first_name="Ann", last_name="Example")
    a_user("bob", first_name="Bob")
    request = a_request(msgtext="Dear {{ user.first_name }},\nthis is {{ request.subject }}.", subject="News")
    call_command("dbmail_cron")
    assert sorted(relay.recipients()) == ["ann@example.org", "bob@example.org"]
    message = next(m for m in relay.messages if m.rcpt_tos == ["ann@example.org"]).message
    assert message["To"] == "Ann Example <ann@example.org>"
    assert message["Subject"] == "News"
    assert message["From"] == "info@example.org"
    assert message.get_content().split("\r\n") == ["Dear Ann,", "this is News.", ""]
    request.refresh_from_db()
    assert (request.processed, request.state) == (True, MessageRequest.State.DONE)
    assert request.progress["mails"] == 2
    mail = TextOfEmail.objects.get(send_to__contains="ann@")
    assert mail.state == TextOfEmail.State.SENT
    assert mail.sent is not None
    assert message["Message-ID"] == f"<{mail.message_id}>"
    assert mail.attempt_set.get().code == 250
    assert EmailRequest.objects.filter(msgreq=request).count() == 2
    assert capsys.readouterr().out.startswith("1 requests processed, 0 failed, 2 mails made, 2 sent")
