"""One mail at once, by its own `send`: whatever breaks off in the midst of it, the mail is not left behind."""

import pytest

from dbmail.broadcasts import mails
from dbmail.models import TextOfEmail
from dbmail.queue import one
from dbmail.queue.worker import ended
from dbmail.service.passes import send_email_requests

from ..builders import a_mail, a_request, a_user
from ..smtp import DROP

pytestmark = pytest.mark.django_db
State = TextOfEmail.State


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_project_code_that_raises_leaves_the_mail_in_the_queue(relay, monkeypatch, error):
    ann = a_user()
    row = a_mail(messagerequest=a_request(sender="", state="sending"), user=ann)

    def fail(self):
        raise error("a bug")

    monkeypatch.setattr(type(ann), "get_full_name", fail)
    with pytest.raises(error):
        row.send()
    row.refresh_from_db()
    assert (row.state, row.claimed_by, row.tries) == (State.QUEUED, "", 1)
    assert "a bug" in row.last_reply and relay.messages == []
    monkeypatch.undo()
    assert row.send() is None and len(relay.messages) == 1


def test_what_breaks_off_in_the_middle_of_a_mail_sends_no_command_into_it(relay, settings, monkeypatch):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": "hold"}
    row = a_mail()
    monkeypatch.setattr(one, "config", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        row.send()
    assert relay.count("QUIT") == 0 and relay.messages == []


@pytest.mark.parametrize(("policy", "copies"), [("resend", 2), ("hold", 1)])
def test_a_mail_whose_sender_ended_before_it_was_marked_is_resent_or_held(
    relay, settings, monkeypatch, policy, copies
):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": policy}
    row = a_mail()

    def killed(ids):
        raise SystemExit

    monkeypatch.setattr(mails, "mark_sent", killed)
    with pytest.raises(SystemExit):
        row.send()
    monkeypatch.undo()
    ended(TextOfEmail.objects.get(pk=row.pk).claimed_by)
    send_email_requests()
    row.refresh_from_db()
    assert row.state == (State.SENT if policy == "resend" else State.IN_DOUBT)
    assert len(relay.messages) == copies


@pytest.mark.parametrize(("policy", "state"), [("resend", State.QUEUED), ("hold", State.IN_DOUBT)])
def test_a_line_dropped_after_the_end_is_resent_or_held(relay, settings, policy, state):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": policy}
    relay.on("BODY", DROP)
    row = a_mail()
    row.send()
    row.refresh_from_db()
    assert row.state == state
