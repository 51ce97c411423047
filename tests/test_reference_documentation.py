"""Every call that the reference documentation shows, as printed: `esp.dbmail` is `dbmail`, ESPUser the user model."""

from datetime import date, timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone

from dbmail.models import (
    EmailList,
    MessageRequest,
    PersistentQueryFilter,
    PlainRedirect,
    TextOfEmail,
    expire_unsent_emails,
    send_mail,
)
from testproject.outreach.models import Program, StudentInfo

from .builders import a_user

pytestmark = pytest.mark.django_db
ESPUser = get_user_model()


@pytest.fixture
def program():
    return Program.objects.create(niceName="Splash", startdate=date(2026, 12, 5), director_email="splash@example.org")


@pytest.fixture
def admin_user():
    return a_user("admin", is_staff=True)


@pytest.fixture
def user_instance(program):
    student = a_user("ann", first_name="Ann")
    StudentInfo.objects.create(user=student, program=program)
    return student


@pytest.fixture
def recipients_filter(program, user_instance):
    return PersistentQueryFilter.create_from_Q(ESPUser, Q(studentinfo__program=program))


def test_create_process_and_send(program, user_instance, admin_user, relay):
    request = SimpleNamespace(user=admin_user)
    # Create a query filter for recipients
    recipients_filter = PersistentQueryFilter.create_from_Q(ESPUser, Q(studentinfo__program=program))
    # Create the message request
    msg_request = MessageRequest.objects.create(
        subject="Welcome to {{ program.niceName }}!",
        msgtext="""Dear {{ user.first_name }},
    
    Thank you for registering for {{ program.niceName }}.
    Your classes start on {{ program.startdate }}.
    
    Best regards,
    The {{ program.director_email }} Team
    """,
        sender="Splash Directors <directors@example.org>",
        recipients=recipients_filter,
        creator=request.user,
        sendto_fn_name=MessageRequest.SEND_TO_SELF,
    )
    assert msg_request.state == MessageRequest.State.SCHEDULED
    for msg_request in MessageRequest.objects.filter(processed=False):
        msg_request.process()
    for email in TextOfEmail.objects.filter(sent__isnull=True):
        email.send()
    (received,) = relay.messages
    assert received.rcpt_tos == ["ann@example.org"]
    assert received.message["From"] == "Splash Directors <directors@example.org>"
    assert "Dear Ann," in received.message.get_content()
    assert not MessageRequest.objects.filter(processed=False) and not TextOfEmail.objects.filter(sent__isnull=True)


def test_template_variables(program, user_instance, admin_user, recipients_filter):
    var_dict = {"program": program, "user": user_instance}
    msg_request = MessageRequest.createRequest(
        var_dict=var_dict,
        subject="Welcome to {{ program.niceName }}!",
        msgtext="""Dear {{ user.first_name }},
    
    Your confirmation link: {{ user.get_confirmation_link }}
    Program starts: {{ program.startdate|date:"F j, Y" }}
    """,
        recipients=recipients_filter,
        creator=admin_user,
    )
    msg_request.process()
    email = TextOfEmail.objects.get()
    assert email.subject == "Welcome to Splash!"
    assert "Dear Ann," in email.msgtext and "Program starts: December 5, 2026" in email.msgtext


def test_html_and_custom_headers(program, admin_user, recipients_filter, relay):
    msg_request = MessageRequest.objects.create(
        subject="Welcome!",
        msgtext="""<html>
    <body>
        <h1>Welcome to {{ program.niceName }}!</h1>
        <p>Dear {{ user.first_name }},</p>
        <p>Thank you for registering.</p>
    </body>
    </html>""",
        recipients=recipients_filter,
        creator=admin_user,
    )
    # Add custom headers
    msg_request.special_headers_dict = {"Reply-To": "info@example.org", "X-Program-ID": str(program.id)}
    msg_request.save()
    msg_request.process()
    result = TextOfEmail.objects.get().send()
    assert result is None
    message = relay.messages[0].message
    assert message["Reply-To"] == "info@example.org" and message["X-Program-ID"] == str(program.id)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_sending_to_students_and_guardians(admin_user, recipients_filter):
    msg_request = MessageRequest.objects.create(
        subject="Important Program Update",
        msgtext="...",
        recipients=recipients_filter,
        sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN,
        creator=admin_user,
    )
    assert msg_request.process() == 1  # this student has no guardian
    names = ["GUARDIAN", "EMERGENCY", "SELF_AND_GUARDIAN", "SELF_AND_EMERGENCY", "GUARDIAN_AND_EMERGENCY"]
    for name in [*names, "SELF", "SELF_AND_GUARDIAN_AND_EMERGENCY"]:
        assert MessageRequest.is_sendto_fn_name_choice(getattr(MessageRequest, f"SEND_TO_{name}"))
    assert MessageRequest.SEND_TO_SELF == ""


def test_send_mail(user_instance, relay):
    send_mail(
        subject="Test Email",
        message="This is a test message.",
        from_email="info@example.org",
        recipient_list=["ann@example.org"],
        fail_silently=False,
        extra_headers={"Reply-To": "info@example.org"},
        user=user_instance,  # For unsubscribe headers
    )
    assert relay.messages[0].message["List-Unsubscribe"].startswith("<https://")


def test_routing_rows():
    EmailList.objects.create(
        regex=r"^(.+)-students@", handler="class_mailman", seq=10, description="Class email lists"
    )
    PlainRedirect.objects.create(original="directors", destination="one@example.org,two@example.org")
    assert EmailList.objects.get(handler="class_mailman").seq == 10


def test_best_practices(admin_user, recipients_filter):
    # Mark old unsent emails as sent
    MessageRequest.objects.create(
        subject="Old", msgtext="Old", recipients=recipients_filter, creator=admin_user
    ).process()
    TextOfEmail.objects.update(created_at=timezone.now() - timedelta(days=8))
    expire_unsent_emails()
    assert TextOfEmail.objects.get().sent is not None
    # Check for delivery failures, and clear message text to save database space
    assert not TextOfEmail.objects.filter(sent__isnull=True, tries__gt=3)
    TextOfEmail.objects.filter(sent__isnull=False).update(msgtext="")
    email = TextOfEmail.objects.get()
    email.fill_msgtext()
    assert email.msgtext == "Old"
