"""Watching a broadcast, trying again what failed, and asking why."""

import csv
import io
from contextlib import closing
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from dbmail.broadcasts import control
from dbmail.broadcasts.insight import failure_groups, reason_of
from dbmail.models import MailEvent, MessageRequest, Suppression, TextOfEmail
from dbmail.queue.process import process_in_chunks
from dbmail.suppression.entries import lift

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
State = MessageRequest.State
Mail = TextOfEmail.State


def url(name, request):
    return reverse(f"admin:dbmail_messagerequest_{name}", args=[request.pk])


@pytest.fixture
def sent():
    """A broadcast that is over: ann got it, bob and cleo did not."""
    for name in ("ann", "bob", "cleo"):
        a_user(name)
    request = a_request()
    request.process()
    mails = TextOfEmail.objects.filter(messagerequest=request)
    mails.update(state=Mail.SENT, sent=timezone.now())
    for name in ("bob", "cleo"):
        mails.filter(address=f"{name}@example.org").update(
            state=Mail.FAILED, tries=8, last_reply=f"550 5.7.1 <{name}@example.org>: refused by 192.0.2.{len(name)}"
        )
    control.finish_requests()
    request.refresh_from_db()
    return request


def test_progress_is_told_by_state(admin_client, sent):
    seen = admin_client.get(url("progress", sent)).json()
    assert (seen["state"], seen["over"]) == ("done", True)
    assert (seen["counts"]["sent"], seen["counts"]["failed"], seen["made"], seen["to_go"]) == (1, 2, 3, 0)
    assert sum(admin_client.get(url("chart", sent)).json()["bars"]) == 1


def test_the_time_left_counts_on_the_mails_that_are_still_to_be_made(admin_client, chunks_of):
    chunks_of(2)
    for n in range(6):
        a_user(f"u{n}")
    request = a_request()
    with closing(process_in_chunks(request)) as chunks:
        next(chunks)
    TextOfEmail.objects.filter(pk=TextOfEmail.objects.first().pk).update(state=Mail.SENT)
    seen = admin_client.get(url("progress", request)).json()
    assert (seen["people"], seen["looked_at"], seen["made"], seen["left"]) == (6, 2, 2, 1)
    assert seen["to_go"] == 5


def test_the_chart_of_many_mails_is_an_estimate_from_a_sample(admin_client, monkeypatch):
    request = a_request()
    begun = timezone.now() - timedelta(minutes=9)
    TextOfEmail.objects.bulk_create(
        TextOfEmail(
            messagerequest=request,
            address=f"{n}@example.org",
            copy_key=str(n),
            state=Mail.SENT,
            sent=begun + timedelta(minutes=n % 10),
        )
        for n in range(220)
    )
    exact = admin_client.get(url("chart", request)).json()
    assert (exact["bars"], exact["every"], exact["minutes"]) == ([22] * 10, 1, 1)
    monkeypatch.setattr("dbmail.admin.watch._SAMPLE", 20)
    estimate = admin_client.get(url("chart", request)).json()
    assert (estimate["every"], sum(estimate["bars"]), len(estimate["bars"])) == (11, 220, 10)


def test_failures_are_one_group_where_only_addresses_differ(admin_client, sent):
    assert [(g.reason, g.count) for g in failure_groups(sent)] == [("550 5.7.1 …: refused by …", 2)]
    page = admin_client.get(url("change", sent))
    assert b"550 5.7.1" in page.content


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("550 5.1.1 <ann@example.org> unknown", "550 5.1.1 … unknown"),
        ("421 4.7.0 [192.0.2.7] too many. d75a77b69052e-4a9 - gsmtp", "421 4.7.0 … too many. … - gsmtp"),
        ("", ""),
    ],
)
def test_a_reason_is_a_reply_without_what_differs_from_mail_to_mail(reply, reason):
    assert reason_of(reply) == reason


def test_a_group_that_failed_is_tried_again_and_sent_once(admin_client, sent, relay):
    (group,) = failure_groups(sent)
    admin_client.post(url("requeue", sent), {"state": group.state, "reason": group.reason})
    sent.refresh_from_db()
    assert sent.state == State.SENDING
    call_command("dbmail_cron")
    assert sorted(relay.recipients()) == ["bob@example.org", "cleo@example.org"]
    sent.refresh_from_db()
    assert sent.state == State.DONE
    admin_client.post(url("requeue", sent), {"state": group.state, "reason": group.reason})
    call_command("dbmail_cron")
    assert len(relay.recipients()) == 2


def test_old_mail_that_is_tried_again_does_not_expire_at_once(sent, relay):
    TextOfEmail.objects.update(created_at=timezone.now().replace(year=2020))
    assert control.requeue(TextOfEmail.objects.all()) == 2
    call_command("dbmail_cron")
    assert len(relay.recipients()) == 2


def test_mail_of_a_cancelled_broadcast_is_not_tried_again(sent):
    MessageRequest.objects.update(state=State.CANCELLED)
    assert control.requeue(TextOfEmail.objects.all()) == 0


def test_a_mail_queued_again_behind_the_back_of_a_pass_is_not_forgotten(sent, relay):
    # As if a pass had ended the broadcast between the two steps of a requeue.
    control.requeue(TextOfEmail.objects.all())
    MessageRequest.objects.update(state=State.DONE)
    call_command("dbmail_cron")
    call_command("dbmail_cron")
    assert len(relay.recipients()) == 2


def test_what_failed_while_it_was_processed_can_be_corrected_and_goes_on(admin_client, relay):
    a_user("ann")
    request = a_request(msgtext="{{ user.first_name }}")  # an empty mail: it fails
    with pytest.raises(SystemExit):
        call_command("dbmail_cron")
    admin_client.post(url("reopen", request))
    request.refresh_from_db()
    assert request.state == State.DRAFT
    MessageRequest.objects.update(msgtext="Hello {{ user.username }}")
    control.schedule(request)
    call_command("dbmail_cron")
    assert "ann@example.org" in relay.recipients()


def test_states_change_by_buttons_and_are_in_the_history(admin_client):
    request = a_request()
    for verb, state in (("pause", State.PAUSED), ("resume", State.SCHEDULED), ("cancel", State.CANCELLED)):
        admin_client.post(url(verb, request))
        request.refresh_from_db()
        assert request.state == state
    history = admin_client.get(url("history", request)).content.decode()
    assert "Paused." in history and "Resumed." in history and "Cancelled" in history


def test_the_export_has_a_line_for_each_mail_and_no_formula(admin_client, sent):
    TextOfEmail.objects.filter(address="ann@example.org").update(
        send_to='=HYPERLINK("http://evil.test") <ann@example.org>'
    )
    page = admin_client.get(url("export", sent))
    rows = list(csv.DictReader(io.StringIO(b"".join(page.streaming_content).decode("utf-8-sig"))))
    assert [row["state"] for row in rows] == ["sent", "failed", "failed"]
    assert rows[0]["send_to"].startswith("'=")


def test_the_export_says_what_was_reported_of_each_mail(admin_client, sent):
    ann = TextOfEmail.objects.get(address="ann@example.org")
    for kind in ("unsubscribed", "bounced", "bounced"):
        MailEvent.objects.create(textofemail=ann, address=ann.address, event_type=kind, source="dsn")
    page = admin_client.get(url("export", sent))
    rows = list(csv.DictReader(io.StringIO(b"".join(page.streaming_content).decode("utf-8-sig"))))
    assert [row["reported"] for row in rows] == ["bounced unsubscribed", "", ""]


def ask(client, address):
    return client.get(reverse("admin:dbmail_textofemail_address"), {"q": address})


def verdict(client, address):
    return ask(client, address).context["found"].explanations[0]


def test_an_address_is_told_why(admin_client, sent):
    assert verdict(admin_client, "Ann@Example.ORG").got_it
    assert "550 5.7.1" in verdict(admin_client, "bob@example.org").why
    assert "No account" in verdict(admin_client, "stranger@example.org").why
    a_user("late")
    assert "in the audience today" in verdict(admin_client, "late@example.org").why
    a_user("gone", is_active=False)
    assert "not active" in verdict(admin_client, "gone@example.org").why
    assert "not in the audience" in verdict(admin_client, get_user_model().objects.get(username="admin").email).why


def test_the_page_of_an_address_shows_reports_and_lifts_suppressions(admin_client, sent):
    row = Suppression.objects.create(address="bob@example.org", reason="bounced", source="5.1.1 no such user")
    MailEvent.objects.create(address="bob@example.org", event_type="bounced", description="mailbox gone", source="dsn")
    page = ask(admin_client, "bob@example.org").content
    assert b"no such user" in page and b"mailbox gone" in page
    again = {"suppression": row.pk, "because": "They cleared\ntheir mailbox"}
    admin_client.post(reverse("admin:dbmail_textofemail_address"), again)
    row.refresh_from_db()
    assert row.is_over and "by admin: They cleared their mailbox" in row.source
    assert "They cleared their mailbox" in LogEntry.objects.get(object_id=str(row.pk)).get_change_message()
    page = ask(admin_client, "bob@example.org").content
    assert b"They cleared their mailbox" in page and b'name="because"' not in page
    admin_client.post(reverse("admin:dbmail_textofemail_address"), again)  # a second press
    assert LogEntry.objects.filter(object_id=str(row.pk)).count() == 1


@pytest.mark.parametrize("because", [{}, {"because": ""}, {"because": " \n "}])
def test_a_suppression_is_not_lifted_without_a_reason(admin_client, because):
    row = Suppression.objects.create(address="bob@example.org", reason="complained")
    page = admin_client.post(reverse("admin:dbmail_textofemail_address"), {"suppression": row.pk, **because})
    assert b"Say why" in page.content and b"bob@example.org" in page.content
    row.refresh_from_db()
    assert not row.is_over and not LogEntry.objects.exists()


def test_nobody_edits_or_deletes_an_entry_past_the_reason(admin_client):
    row = Suppression.objects.create(address="bob@example.org", reason="complained")
    page = reverse("admin:dbmail_suppression_change", args=[row.pk])
    assert b"address/?q=bob%40example.org" in admin_client.get(page).content
    later = {"address": "other@example.org", "scope": "all", "reason": "manual", "expires_at_0": "2020-01-01"}
    assert admin_client.post(page, later).status_code == 403
    assert (
        admin_client.post(reverse("admin:dbmail_suppression_delete", args=[row.pk]), {"post": "yes"}).status_code
        == 403
    )
    row.refresh_from_db()
    assert (row.address, row.is_over) == ("bob@example.org", False)


def add_suppression(client, **changes):
    given = {"address": "Bob@Example.org", "scope": "all", "reason": "manual", "source": "", **changes}
    return client.post(reverse("admin:dbmail_suppression_add"), given)


def test_an_address_is_left_out_by_hand_again_after_it_was_lifted(admin_client, admin_user):
    assert add_suppression(admin_client).status_code == 302
    row = Suppression.objects.get()
    assert (row.address, row.created_by) == ("bob@example.org", admin_user)
    assert b"left out already" in add_suppression(admin_client).content
    lift("bob@example.org", by="joe", because="He asked")
    assert add_suppression(admin_client, source="He asked again").status_code == 302
    again = Suppression.objects.get()
    assert again.pk == row.pk and not again.is_over
    assert again.source.startswith("He asked again\nLifted ") and "by joe: He asked" in again.source


def test_what_is_no_address_is_not_left_out(admin_client):
    assert add_suppression(admin_client, address="nobody").status_code == 200
    assert not Suppression.objects.exists()


def test_who_may_only_look_lifts_nothing(client, sent):
    model = get_user_model()
    clerk = model.objects.create(**{model.USERNAME_FIELD: "clerk"}, is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_recipients"))
    client.force_login(clerk)
    row = Suppression.objects.create(address="bob@example.org", reason="complained")
    assert b'name="because"' not in ask(client, "bob@example.org").content
    page = client.post(reverse("admin:dbmail_textofemail_address"), {"suppression": row.pk, "because": "x"})
    assert page.status_code == 403 and not Suppression.objects.get().is_over


@pytest.mark.parametrize("text", ["", "nobody", "a\0b@example.org", "<script>@x", "@", "x" * 500 + "@example.org"])
def test_garbage_is_no_address(admin_client, text):
    assert ask(admin_client, text).status_code == 200
