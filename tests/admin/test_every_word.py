"""Every word on every screen can be translated: where all translations are in wide letters, no others are left."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone, translation

from dbmail.addresses import Mailbox
from dbmail.broadcasts import control, notices
from dbmail.conf import config
from dbmail.delivery.smtp import Reply, Stage, lost
from dbmail.exceptions import DbmailError
from dbmail.feedback.reports import Kind, Outcome, Report
from dbmail.incoming import own_addresses, rules
from dbmail.incoming.facts import Envelope, Facts
from dbmail.incoming.own_addresses import Returned, Unsubscribe
from dbmail.models import (
    Attempt,
    EmailList,
    IncomingMessage,
    MailEvent,
    MessageRequest,
    PlainRedirect,
    Suppression,
    TextOfEmail,
)
from dbmail.queue import decide, watch
from dbmail.suppression import tokens
from dbmail.suppression.entries import lift

from ..builders import a_mail, a_request, a_user
from ..incoming.builders import post
from ..pseudo import english, speak_wide, strings, words

pytestmark = pytest.mark.django_db
State = MessageRequest.State

#: What stands on the screens and is no sentence of ours.
DATA = (
    r"[\w.+=-]+@[\w.-]+",  # addresses
    r"https?://[^\s)]+",
    r"\bexample\.(org|test)\b",
    r"^(ann|bob|cleo|dan|eve|admin|nobody)(: |$)|\badmin\b",  # accounts
    # The test project's own models, and our app's name
    r"Dbmail|Outreach|Student infos|Programs|Profiles|Profile|Student info|Program",
    # Django's, which it does not translate either
    r"^(Search|True|False|ID|- Select an option -)$",
    # Rows that every installation begins with, and what their fields hold
    r"Individual sections of a class|Email class rosters|Manual email list redirects|Addresses of teachers and staff",
    r"\w(\(\\d\+\))?s?.*-\(class\|teachers\|students\)\$|ClassList|SectionList|PlainList|UserEmail|auth\.User",
    r'\{"children".*\}|\{"value".*\}',
    r"^(unknown|moderator|moderated|error)$",  # names of rules
    r"\bUTC\b|^/email/\d+$|^<html>.*",
    r"\{\{.*\}\}|\{% include %\}|\buser(\.\w+)*|\brequest(\.\w+)*",  # names in templates
    r"EMAIL_HOST_SENDER|unsubscribe_url",
)


@pytest.fixture
def wide_letters(monkeypatch, settings, use_mailer):
    settings.LANGUAGE_CODE = "de"
    settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": {"1": "Ω"}, "LAYOUTS": {}, "BREAKER": {"CANARY": 5}}
    use_mailer("django.core.mail.backends.locmem.EmailBackend")
    speak_wide(monkeypatch)
    yield
    translation.deactivate()


@pytest.fixture
def look(admin_client, wide_letters):
    """The words of a page; of a POST where there is data."""

    def look(url, data=None, client=admin_client):
        answer = client.get(url, follow=True) if data is None else client.post(url, data, follow=True)
        assert answer.status_code in (200, 400, 403, 404, 409), url
        if answer.status_code == 403:
            return []
        if answer["Content-Type"].startswith("application/json"):
            return list(strings(answer.json()))
        return words(b"".join(answer).decode()) if answer.streaming else words(answer.content.decode())

    return look


@pytest.fixture
def rows(wide_letters):
    """Rows of every kind, in every state. What they say in words was made while the letters were wide."""
    for name in ("ann", "bob", "cleo", "dan", "eve"):
        a_user(name, first_name="Ω")
    Suppression.objects.create(address="bob@example.org", reason="bounced", source="550 5.1.1")
    Suppression.objects.create(address="cleo@example.org", reason="unsubscribed", source="unsubscribe page")
    Suppression.objects.create(address="dan@example.org", reason="complained", expires_at=timezone.now())
    Suppression.objects.create(address="eve@example.org", reason="manual")
    lift("eve@example.org", by="αβ", because="γδ")
    text = {"subject": "Ωμέγα", "msgtext": "<html><a href='/'>δ</a> {{ user.first_name }}"}
    sent = a_request(**text, variables={"δ": "1"}, public=True)
    sent.process()
    for state in TextOfEmail.State.values:
        row = a_mail("ann@example.org", state=state, messagerequest=sent, subject=state, msgtext="Ω", last_reply="4")
    for outcome in Attempt.Outcome.values:
        Attempt.objects.create(textofemail=row, at=timezone.now(), outcome=outcome, host="1", code=1, message_id="1")
    TextOfEmail.objects.update(subject="Ω")
    for kind in MailEvent.Type.values:
        MailEvent.objects.create(address="ann@example.org", event_type=kind, source="1", textofemail=row)
    for state in State.values:
        a_request(**text, state=state, processed_by=timezone.now() + timedelta(days=1))
    failed = a_request(subject="Ω", msgtext="{% include 'x' %}")
    with pytest.raises(DbmailError):
        failed.process()
    a_request(subject="Ω", msgtext="Ω", to=Q(pk=-1)).process()
    control.cancel(a_request(**text))
    EmailList.objects.create(regex="^(.*)$", handler="UserEmail")
    EmailList.objects.create(regex=" 1", handler="PlainList")
    PlainRedirect.objects.create(original="1", destination="ann@example.org")
    held = EmailList.objects.create(seq=0, regex="^2$", handler="PlainList", admin_hold=True)
    PlainRedirect.objects.create(original="2", destination="ann@example.org")
    post("nobody@elsewhere.test", subject="Ω", author="ann@example.org")
    post("2@example.org", subject="Ω", author="eve@home.test")
    return SimpleNamespace(sent=sent, draft=MessageRequest.objects.filter(state="draft").first(), held=held)


@pytest.mark.parametrize("model", [model for model in apps.get_app_config("dbmail").get_models()])
def test_lists_forms_and_histories(look, rows, model):
    if not admin.site.is_registered(model):
        return
    name = model._meta.model_name
    found = [*look(reverse(f"admin:dbmail_{name}_changelist")), *look(reverse(f"admin:dbmail_{name}_add"))]
    found += look(reverse(f"admin:dbmail_{name}_changelist") + "?q=1@1.test")
    for row in model._default_manager.order_by("-pk")[:12]:
        for page in ("change", "history", "delete"):
            found += look(reverse(f"admin:dbmail_{name}_{page}", args=[row.pk]))
    assert not english(found, DATA), "\n".join(["", *english(found, DATA)])


def test_the_pages_of_a_draft(look, rows):
    def url(name, broadcast=rows.draft):
        return reverse(f"admin:dbmail_messagerequest_{name}", args=[broadcast.pk])

    bad = a_request(state="draft", subject="{{ a }}", msgtext="<html><script></script>{{ user.b }}", sender="a@b.test")
    bad.special_headers = "["
    bad.save()
    found = [*look(reverse("admin:dbmail_messagerequest_add"))]
    for draft in (rows.draft, bad):
        for name in ("change", "confirm"):
            found += look(url(name, draft))
        for name in ("preview", "body", "sender", "count", "survey", "everyone", "test"):
            found += look(url(name, draft), {})
    found += look(url("save"), {"subject": "Ω", "msgtext": "", "version": "1"})
    found += look(url("confirm"), {"people": "1"})
    found += look(url("name"), {"name": ""})
    headers = r"^(From|To|List-[\w-]+(=.*)?|Precedence|<https.*)$|<script>"
    versions = r"^[0-9a-f]{12}$"
    left = english(found, (*DATA, headers, versions))
    assert not left, "\n".join(["", *left])


def test_the_pages_of_a_broadcast_on_its_way(look, rows):
    found = []
    for broadcast in MessageRequest.objects.exclude(state="draft"):
        for name in ("change", "progress", "parts"):
            found += look(reverse(f"admin:dbmail_messagerequest_{name}", args=[broadcast.pk]))
        for name in ("pause", "resume", "reopen", "cancel", "requeue"):
            found += look(reverse(f"admin:dbmail_messagerequest_{name}", args=[broadcast.pk]), {})
    found += [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert not english(found, DATA), "\n".join(["", *english(found, DATA)])


def test_why_an_address_did_not_get_it(look, rows):
    page = reverse("admin:dbmail_textofemail_address")
    found = []
    for name in ("ann", "bob", "cleo", "dan", "eve", "stranger", "no address"):
        found += look(f"{page}?q={name}@example.org")
    found += look(page, {"suppression": Suppression.objects.get(address="bob@example.org").pk})
    found += look(page, {"suppression": Suppression.objects.get(address="bob@example.org").pk, "because": "Ω"})
    assert not english(found, DATA), "\n".join(["", *english(found, DATA)])


def test_where_mail_would_go_and_moderation(look, rows):
    tester = reverse("admin:dbmail_emaillist_tester")
    found = [*look(tester)]
    for address in ("2", "3", "1", "ann", "nobody", "x" * 65, "a@b", "ann@example.org"):
        found += look(f"{tester}?q={address}&sender=ann@example.org")
    EmailList.objects.create(seq=1, regex="(", handler="None")
    found += look(f"{tester}?q=none")
    for message in IncomingMessage.objects.all():
        for verdict in ("reject", "approve", "approve"):
            found += look(reverse("admin:dbmail_incomingmessage_decide", args=[message.pk]), {"verdict": verdict})
        found += look(reverse("admin:dbmail_incomingmessage_replay", args=[message.pk]))
        found += look(reverse("admin:dbmail_incomingmessage_replay", args=[message.pk]), {})
        found += look(reverse("admin:dbmail_incomingmessage_change", args=[message.pk]))
    found += [entry.get_change_message() for entry in LogEntry.objects.all()]
    left = english(found, (*DATA, r"RowUnusable|NotReplayable|SettingError|DbmailError", r"x{65}"))
    assert not left, "\n".join(["", *left])


def test_the_public_pages(look, rows, client):
    found = []
    for scope in ("all", "1"):
        page = reverse("dbmail:unsubscribe", args=[tokens.make("new@example.org", scope)])
        for data in (None, {}, {"action": "undo"}, {"action": "save"}, {"action": "all"}, {"action": "again"}):
            found += look(page, data, client)
    for name in ("bob", "cleo"):
        found += look(reverse("dbmail:unsubscribe", args=[tokens.make(f"{name}@example.org")]), None, client)
    found += look(reverse("dbmail:unsubscribe", args=["x"]), None, client)
    found += look(reverse("dbmail:public", args=[rows.sent.pk]), None, client)
    assert not english(found, DATA), "\n".join(["", *english(found, DATA)])


LIMITS = rules.Limits(max_size=9, max_recipients=9, own_domains=("example.org",))
ENVELOPE = Envelope("list", "example.org", "ann@home.test")
ROUTE = rules.Route(is_list=True, who_may_post="anyone", refuse=False, admin_hold=False, recipients=1)
FACTS = Facts(size=9, author=Mailbox("ann@home.test"))
NOBODY = rules.Standing()


def test_why_a_message_is_not_passed_on(wide_letters):
    said = []
    for changes in (
        {"size": 10},
        {"size": 0},
        {"received": rules.MAX_RECEIVED + 1},
        {"loops": frozenset(["list@example.org"])},
        {"list_ids": frozenset(["list.example.org"])},
    ):
        said.append(rules.judge_message(ENVELOPE, replace(FACTS, **changes), LIMITS))
    for facts, route, envelope in (
        ({}, {"seen_before": "same"}, ENVELOPE),
        ({}, {}, replace(ENVELOPE, sender="")),
        ({"is_auto_reply": True}, {}, ENVELOPE),
        ({"auto_submitted": "1"}, {}, ENVELOPE),
        ({"precedence": "bulk"}, {}, ENVELOPE),
        ({"list_ids": frozenset(["1"])}, {}, ENVELOPE),
        ({"author": None}, {}, ENVELOPE),
        ({"author": Mailbox("ann@example.org")}, {}, ENVELOPE),
        *(({}, {"who_may_post": who}, ENVELOPE) for who in ("registered", "members", "staff", "nobody")),
        ({}, {"admin_hold": True}, ENVELOPE),
        ({}, {"recipients": 10}, ENVELOPE),
        ({}, {}, ENVELOPE),
    ):
        said.append(rules.judge_row(envelope, replace(FACTS, **facts), LIMITS, replace(ROUTE, **route), NOBODY))
    staff = rules.Standing(is_staff=True)
    said.append(rules.judge_row(ENVELOPE, FACTS, LIMITS, replace(ROUTE, who_may_post="staff"), staff))
    assert len({decision.reason for decision in said}) == len(said)
    assert english([decision.reason for decision in said], (*DATA, r"\bbulk\b|\blist\.example\.org")) == []
    assert english([verdict.word for verdict in rules.Verdict]) == []


def test_what_a_message_to_an_address_of_our_own_is(wide_letters):
    report_on = Report("dsn", (Outcome(kind=Kind.BOUNCED, address="", status="5.1.1"),))
    wants = [Returned(1, None), Returned(1, report_on)]
    wants += [Unsubscribe(tokens.Subscription("ann@example.org", scope)) for scope in ("all", "1")]
    assert english([own_addresses.judge(purpose).reason for purpose in wants]) == []


def test_why_a_mail_did_not_go(wide_letters, settings):
    settings.DBMAIL = {**settings.DBMAIL, "IN_DOUBT": "hold", "RETRY": {"TRIES": 1}}
    replies = [
        Reply(0, "1", Stage.END),
        lost(ConnectionResetError("1"), Stage.RCPT),
        Reply(501, "5.1.7 1", Stage.MAIL),
        Reply(451, "1", Stage.RCPT),
    ]
    said = [decide.decide(reply, 8, config()).reason for reply in replies]
    said += [watch.judge(1, 99, 0.1).reason]
    assert english(said, (r"\bMAIL\b|\bRCPT\b|ConnectionResetError", r"DBMAIL\W+BREAKER")) == []


def test_the_mails_to_authors(wide_letters):
    failures = notices.SendReport()
    broadcast = a_request(subject="Ω", state_reason="1")
    for request_id in (broadcast.pk, None):
        for number in range(notices.EXAMPLES + 1):
            failures.failed(request_id, f"{number}@example.org", "1")
    failures.paused.append(broadcast.pk)
    notices.report_failures(failures)
    notices.report_paused(failures)
    notices.report_request_failed(broadcast)
    assert len(mail.outbox) == 4
    assert english([text for each in mail.outbox for text in (each.subject, each.body)], DATA) == []
