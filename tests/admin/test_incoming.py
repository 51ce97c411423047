"""Held mail, the log of what came in, and the tester of rules."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import reverse

from dbmail.incoming.moderation import legible
from dbmail.models import EmailList, IncomingMessage, PlainRedirect, TextOfEmail

from ..builders import a_user
from ..effort import at_most
from ..incoming.builders import post, the_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def held():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test")
    EmailList.objects.update(admin_hold=True)
    post("directors@example.org")
    return the_message()


@pytest.fixture
def moderator(client):
    user = a_user("mo", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="moderate_incomingmessage"))
    client.force_login(user)
    return client


def decide(client, message, **given):
    return client.post(reverse("admin:dbmail_incomingmessage_decide", args=[message.pk]), given)


def test_a_moderator_reads_a_held_message_and_lets_it_pass(moderator, held):
    page = moderator.get(reverse("admin:dbmail_incomingmessage_change", args=[held.pk]))
    assert b"Approve" in page.content
    decide(moderator, held, verdict="approve")
    assert TextOfEmail.objects.get().address == "dan@home.test"
    assert the_message().state == IncomingMessage.State.HANDLED
    decide(moderator, held, verdict="approve")
    assert TextOfEmail.objects.count() == 1


def test_a_moderator_rejects_with_a_note(moderator, held):
    decide(moderator, held, verdict="reject", note="Not for everyone")
    assert (the_message().state, the_message().reason) == ("dropped", "Not for everyone")


def test_nobody_else_moderates_or_reads(client, held):
    client.force_login(a_user("clerk", is_staff=True))
    assert decide(client, held, verdict="approve").status_code == 403
    assert client.get(reverse("admin:dbmail_incomingmessage_change", args=[held.pk])).status_code == 403
    assert client.get(reverse("admin:dbmail_emaillist_tester"), {"q": "directors"}).status_code == 403
    assert TextOfEmail.objects.count() == 0


def test_a_message_is_decided_on_anew_after_a_look_at_whom_it_would_reach(moderator, held):
    decide(moderator, held, verdict="approve")
    EmailList.objects.update(admin_hold=False)
    PlainRedirect.objects.update(destination="dan@home.test, dora@home.test")
    url = reverse("admin:dbmail_incomingmessage_replay", args=[held.pk])
    page = moderator.get(url).content.decode()
    assert "1 person who has no copy yet" in page and "dora@home.test" not in page
    assert TextOfEmail.objects.count() == 1
    for _ in range(2):
        moderator.post(url)
        assert sorted(TextOfEmail.objects.values_list("address", flat=True)) == ["dan@home.test", "dora@home.test"]
    assert LogEntry.objects.filter(object_id=str(held.pk), change_message__contains="Decided anew").exists()


def test_nobody_else_has_a_message_decided_on_anew(client, held):
    client.force_login(a_user("clerk", is_staff=True))
    url = reverse("admin:dbmail_incomingmessage_replay", args=[held.pk])
    assert (client.get(url).status_code, client.post(url).status_code) == (403, 403)


def test_html_of_strangers_is_shown_as_text(moderator, held):
    IncomingMessage.objects.update(raw=b"Content-Type: text/html\r\n\r\n<script>alert(1)</script><p>Hi &lt;b&gt;")
    page = moderator.get(reverse("admin:dbmail_incomingmessage_change", args=[held.pk])).content
    assert b"alert(1)" not in page and b"Hi &lt;b&gt;" in page


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Content-Type: text/plain; charset=no-such\r\n\r\n\xe9",
        b"Content-Type: multipart/mixed\r\n\r\n",
    ],
)
def test_any_bytes_can_be_looked_at(moderator, held, raw):
    IncomingMessage.objects.update(raw=raw)
    assert moderator.get(reverse("admin:dbmail_incomingmessage_change", args=[held.pk])).status_code == 200


@pytest.mark.parametrize("name", [b"Content-Type", b"Content-Transfer-Encoding", b"Content-Disposition", b"X"])
@pytest.mark.parametrize("unit", [b";", b'"', b"; a=", b"; a*0=", b"a ", b'\\"', b"(", b"<"])
def test_no_header_keeps_a_moderator_waiting(name, unit):
    with at_most(2):
        text = legible(name + b": text/plain" + unit * (90_000 // len(unit)) + b"\r\n\r\nGood morning")
    assert "Good morning" in text


@pytest.mark.parametrize("unit", [b"<a ", b"<a href=", b"<!--", b"<p ", b"<![", b"&#1"])
def test_no_html_keeps_a_moderator_waiting(unit):
    with at_most(2):
        legible(b"Content-Type: text/html\r\n\r\n" + unit * (90_000 // len(unit)))


def test_a_moderator_sees_every_part_that_readers_will_see(moderator, held):
    parts = b"".join(
        b"--x\r\nContent-Type: " + part + b"\r\n\r\n" + body + b"\r\n"
        for part, body in (
            (b"text/plain", b"Harmless"),
            (b"text/html", b"<p>Click <a href='https://evil.test/'>here</a>"),
            (b'application/zip; name="in<b>voice.zip"\r\nContent-Transfer-Encoding: base64', b"AAAA"),
        )
    )
    IncomingMessage.objects.update(raw=b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + parts + b"--x--\r\n")
    page = moderator.get(reverse("admin:dbmail_incomingmessage_change", args=[held.pk])).content.decode()
    assert "Harmless" in page and "https://evil.test/" in page
    assert "application/zip" in page and "in&lt;b&gt;voice.zip" in page


def test_a_moderator_is_told_that_more_follows(moderator, held):
    hidden = b"--x\r\nContent-Type: application/zip; name=evil.zip\r\n\r\nAAAA\r\n--x--\r\n"
    begin = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHarmless\r\n"
    for filler, is_cut in ((b"", False), (b" " * 200_000, True), (b"\r\n" * 30_000, True)):
        IncomingMessage.objects.update(raw=begin + filler + hidden)
        page = moderator.get(reverse("admin:dbmail_incomingmessage_change", args=[held.pk])).content.decode()
        assert ("Only the beginning is shown" in page) is is_cut


def test_signs_that_turn_the_order_of_words_are_shown_to_a_moderator():
    assert legible("\nPay \u202egro.live\u202c\x1b[2J now".encode()) == "Pay <U+202E>gro.live<U+202C><U+001B>[2J now"


def test_rows_that_can_never_have_an_effect_are_pointed_out(admin_client):
    first = EmailList.objects.first()
    EmailList.objects.create(regex=first.regex, handler=first.handler)
    page = admin_client.get(reverse("admin:dbmail_emaillist_changelist")).content.decode()
    assert "has the same expression and handler" in page


def test_the_tester_says_where_mail_would_go_and_does_nothing(admin_client, held):
    page = admin_client.get(reverse("admin:dbmail_emaillist_tester"), {"q": "directors@example.org"})
    assert b"dan@home.test" in page.content
    assert IncomingMessage.objects.count() == 1
    for text in ("nobody-knows", "@", "a b", "\u00fc@example.org", "x\r\nBcc: y@z"):
        assert (
            admin_client.get(reverse("admin:dbmail_emaillist_tester"), {"q": text, "sender": text}).status_code == 200
        )


def test_groups_are_made_once_and_hold_what_they_say(capsys):
    call_command("dbmail_groups")
    call_command("dbmail_groups")
    from django.contrib.auth.models import Group

    writers = Group.objects.get(name="Mail: writers").permissions.values_list("codename", flat=True)
    assert "change_messagerequest" in writers and "approve_messagerequest" not in writers
    assert (
        not Group.objects.exclude(name="Mail: recipients")
        .exclude(name="Mail: postmasters")
        .filter(permissions__codename="view_recipients")
        .exists()
    )
