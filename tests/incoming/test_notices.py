"""Who is told that an address does not exist: users, a few times a day, and nobody else."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dbmail.models import IncomingMessage, Suppression
from tests.incoming.builders import letter, person, post, the_message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("our_mta")]


@pytest.fixture(autouse=True)
def tess():
    return person("tess")


def write(*fields, name="one", **more):
    raw = letter(*fields, **{"vouched": True, **more}).replace(b"<one@", f"<{name}@".encode())
    return post("nobody@example.org", raw)


def test_a_user_is_told_by_us_and_not_by_the_mail_server(relay):
    decision = write(subject="Trip")
    assert (decision.exit_code, decision.rule) == (0, "told")
    assert the_message().exit_code == 0
    notice = relay.messages[0]
    assert (notice.mail_from, notice.rcpt_tos) == ("", ["tess@home.test"])
    assert notice.message["Auto-Submitted"] == "auto-replied"
    assert notice.message["In-Reply-To"] == "<one@home.test>"
    assert notice.message["Subject"] == "Undeliverable: Trip"
    text = notice.message.get_content()
    assert "nobody@example.org" in text and "Trip" in text
    assert "Good morning" not in text
    # The mail server brings it again: nothing happens twice.
    assert write(subject="Trip").exit_code == 0
    assert len(relay.messages) == 1


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ([], {"vouched": False}),
        ([], {"author": "Eve <eve@away.test>"}),
        (["From: b@c.test"], {}),
        (["Auto-Submitted: auto-generated"], {}),
        (["Auto-Submitted: auto-replied"], {}),
        (["Precedence: bulk"], {}),
        (["List-Id: <l.away.test>"], {}),
        (["X-Auto-Response-Suppress: All"], {}),
        (["X-Autoreply: yes"], {}),
    ],
)
def test_strangers_lists_and_machines_are_told_nothing_by_us(relay, fields, more):
    assert write(*fields, **more).exit_code == 67
    assert not relay.messages


def test_a_bounce_is_answered_by_nobody(relay):
    assert post("nobody@example.org", letter(vouched=True), sender="").exit_code == 0
    assert not relay.messages


@pytest.mark.parametrize("key", ["SUPPORT", "BOUNCES"])
def test_support_is_never_written_to(relay, settings, key):
    settings.DBMAIL = {**settings.DBMAIL, key: "tess@home.test"}
    assert write().exit_code == 67
    assert not relay.messages


def test_it_happens_a_few_times_a_day(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {**settings.DBMAIL["INCOMING"], "NOTICES": 2}}
    codes = [write(name=f"n{number}", body=b"%d" % number).exit_code for number in range(4)]
    assert codes == [0, 0, 67, 67]
    assert len(relay.messages) == 2
    IncomingMessage.objects.update(received_at=timezone.now() - timedelta(days=2))
    assert write(name="later").exit_code == 0


def test_a_site_may_leave_it_to_the_mail_server(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {**settings.DBMAIL["INCOMING"], "NOTICES": 0}}
    assert write().exit_code == 67
    assert not relay.messages


def test_who_gets_no_mail_from_us_gets_no_notice(relay):
    Suppression.objects.create(address="tess@home.test", reason="bounced")
    assert write().exit_code == 67
    assert not relay.messages


def test_a_relay_that_is_down_leaves_it_to_the_mail_server(relay, use_mailer):
    use_mailer("dbmail.delivery.backends.CustomSMTPBackend", host="127.0.0.1", port=1, timeout=5)
    assert write().exit_code == 67
    assert the_message().state == "rejected"


def test_a_subject_brings_no_field_of_its_own(relay):
    write(subject="=?utf-8?q?a=0D=0ABcc:_eve=40evil.test?=")
    notice = relay.messages[0]
    assert notice.rcpt_tos == ["tess@home.test"]
    assert notice.message["Bcc"] is None
