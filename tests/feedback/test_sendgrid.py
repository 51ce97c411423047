"""SendGrid's signed event webhook, posted to the view as SendGrid does."""

import base64
import contextlib
import json
import time
import tracemalloc

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbmail.exceptions import SettingError
from dbmail.feedback.sendgrid import BadBody, events, new_event, public_key
from dbmail.models import MailEvent, Suppression
from dbmail.suppression.entries import lift

from ..builders import a_mail

pytestmark = pytest.mark.django_db
ANN = "ann@example.org"


class SendGrid:
    """Signs and posts as SendGrid does: base64(ECDSA-SHA256(timestamp + body))."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        der, spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        self.public_key = base64.b64encode(self.key.public_key().public_bytes(der, spki)).decode()
        self.client = Client(enforce_csrf_checks=True)

    def post(self, body, *, age=0, sent=None, **changed):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        timestamp = str(int(time.time()) - age)
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        headers |= {f"X-Twilio-Email-Event-Webhook-{name}": value for name, value in changed.items()}
        body = body if sent is None else sent
        return self.client.post("/events/sendgrid/", body, content_type="application/json", headers=headers)


@pytest.fixture
def sendgrid(settings):
    provider = SendGrid()
    settings.DBMAIL = {**settings.DBMAIL, "SENDGRID_WEBHOOK_KEY": provider.public_key}
    return provider


def an_event(kind="bounce", number=1, **fields):
    return {
        "email": ANN,
        "timestamp": int(time.time()),
        "event": kind,
        "sg_event_id": f"id{number}",
        "sg_message_id": "abc.filter",
        **fields,
    }


def test_an_event_becomes_a_row_of_its_mail_and_suppresses(sendgrid):
    mail = a_mail(scope="all")
    bounce = an_event(
        type="bounce", reason="550 5.1.1 no such user", status="5.1.1", **{"smtp-id": f"<{mail.message_id}>"}
    )
    response = sendgrid.post([bounce])
    assert (response.status_code, response.content) == (200, b"1 new events\n")
    event = MailEvent.objects.get()
    assert (event.textofemail, event.address, event.event_type) == (mail, ANN, "bounced")
    assert (event.reject_reason, event.status, event.source) == ("invalid", "5.1.1", "sendgrid")
    assert event.description == "550 5.1.1 no such user"
    assert event.raw == bounce
    assert abs(event.at.timestamp() - bounce["timestamp"]) < 1
    assert Suppression.objects.get().reason == "bounced"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (an_event("spamreport"), "complained"),
        (an_event("unsubscribe"), "unsubscribed"),
        (an_event("group_unsubscribe", asm_group_id=3), "unsubscribed"),
        (an_event("bounce", type="bounce"), "bounced"),
        (an_event("bounce", type="blocked", reason="IP blocked"), None),
        (an_event("bounce", status="4.7.1"), None),
        (an_event("dropped", reason="Bounced Address"), "bounced"),
        (an_event("dropped", reason="Unsubscribed Address"), "unsubscribed"),
        (an_event("dropped", reason="Spam Reporting Address"), "complained"),
        (an_event("dropped", reason="Spam Content (if spam checker app is enabled)"), None),
        (an_event("dropped", reason="Invalid SMTPAPI header"), None),
        (an_event("deferred"), None),
        (an_event("delivered"), None),
    ],
    ids=lambda value: value.get("event") if isinstance(value, dict) else value,
)
def test_what_each_kind_of_event_does_to_the_address(sendgrid, event, reason):
    assert sendgrid.post([event]).status_code == 200
    assert list(Suppression.objects.values_list("reason", flat=True)) == ([reason] if reason else [])
    assert MailEvent.objects.count() == 1


@pytest.mark.parametrize("kind", ["open", "click", "processed", "something new"])
def test_what_we_do_not_keep_is_taken_and_forgotten(sendgrid, kind):
    assert sendgrid.post([an_event(kind)]).status_code == 200
    assert not MailEvent.objects.exists()


def test_leaving_a_group_leaves_the_category_of_the_mail_only(sendgrid):
    mail = a_mail(scope="news")
    sendgrid.post([an_event("group_unsubscribe", **{"smtp-id": f"<{mail.message_id}>"})])
    assert Suppression.objects.get().scope == "news"


def test_a_replay_is_harmless_even_after_the_person_came_back(sendgrid):
    without_id = {key: value for key, value in an_event("spamreport").items() if key != "sg_event_id"}
    body = [an_event("unsubscribe"), an_event("unsubscribe"), without_id]
    assert sendgrid.post(body).content == b"2 new events\n"
    lift(ANN)
    assert sendgrid.post(body).content == b"0 new events\n"
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    "forge",
    [
        {"Signature": base64.b64encode(b"x" * 70).decode()},
        {"Signature": "not base64 at all !"},
        {"Signature": ""},
        {"Timestamp": ""},
        {"Timestamp": "soon"},
        {"Timestamp": str(int(time.time()) + 500)},
        {"Timestamp": "9" * 400},
        {"Timestamp": "²"},
        {"sent": b'[{"event": "unsubscribe", "email": "victim@example.org"}]'},
        {"sent": b""},
    ],
    ids=[
        "another key",
        "no base64",
        "no signature",
        "no time",
        "a word",
        "later",
        "huge",
        "odd digit",
        "body",
        "empty",
    ],
)
def test_what_sendgrid_did_not_sign_is_refused_and_changes_nothing(sendgrid, forge):
    assert sendgrid.post([an_event("unsubscribe")], **forge).status_code == 403
    assert not MailEvent.objects.exists() and not Suppression.objects.exists()


@pytest.mark.parametrize("age", [3600, -3600])
def test_an_old_or_future_signature_is_refused(sendgrid, age):
    assert sendgrid.post([an_event()], age=age).status_code == 403


def test_another_key_s_signature_is_refused_and_two_keys_may_be_set(sendgrid, settings):
    new = SendGrid()
    assert new.post([an_event()]).status_code == 403
    settings.DBMAIL = {**settings.DBMAIL, "SENDGRID_WEBHOOK_KEY": f"{sendgrid.public_key} {new.public_key}"}
    assert new.post([an_event()]).status_code == sendgrid.post([an_event(number=2)]).status_code == 200


def test_without_a_key_there_is_no_such_page_and_get_is_not_for_it(settings, sendgrid):
    assert sendgrid.client.get("/events/sendgrid/").status_code == 405
    settings.DBMAIL = {**settings.DBMAIL, "SENDGRID_WEBHOOK_KEY": ""}
    assert sendgrid.post([an_event()]).status_code == 404


P384 = ec.generate_private_key(ec.SECP384R1()).public_key()


@pytest.mark.parametrize(
    "key",
    [
        "x",
        "eA==",
        base64.b64encode(
            P384.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ).decode(),
    ],
)
def test_a_setting_that_is_no_such_key_says_so(key):
    with pytest.raises(SettingError, match="SENDGRID_WEBHOOK_KEY"):
        public_key(key)


GOOD = json.dumps(an_event("unsubscribe"))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"null",
        b"[",
        b"[,]",
        b"[1",
        b"[1,]",
        b"[1 2]",
        b"[1]x",
        b"\xff\xfe",
        b"[" * 100_000,
        f"[{GOOD}, {{]".encode(),
        b"[" + b"9" * 5000 + b"]",
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_bad_json_is_told_and_nothing_of_it_is_done(sendgrid, body):
    assert sendgrid.post(body).status_code == 400
    assert not MailEvent.objects.exists() and not Suppression.objects.exists()


@pytest.mark.parametrize(
    "item",
    [
        *(1, None, "text", [], {}, {"event": 3, "email": ANN}, {"event": "bounce"}, {"event": "bounce", "email": "x"}),
        {"event": "bounce", "email": [ANN]},
        {"event": "bounce", "email": "a" * 400 + "@example.org"},
    ],
    ids=str,
)
def test_what_is_no_event_is_passed_over_and_the_others_count(sendgrid, item):
    assert sendgrid.post([item, an_event("unsubscribe"), item]).content == b"1 new events\n"


@pytest.mark.parametrize("stamp", ["x", None, 1e300, -1e300, "nan", [1], "1700000000", True])
def test_an_odd_time_does_not_lose_the_event(sendgrid, stamp):
    assert sendgrid.post([an_event("unsubscribe", timestamp=stamp)]).content == b"1 new events\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries({name: JSON for name in ("timestamp", "sg_event_id", "reason", "status", "type", "x")}),
    st.just(ANN) | st.text().map(lambda text: f"{text}@example.org"),
)
def test_any_json_in_an_event_is_taken(sendgrid, fields, address):
    event = {"email": address, "event": "bounce", **fields}
    assert sendgrid.post([event]).status_code == 200


@given(st.text() | st.binary())
def test_any_body_is_read_or_refused(body):
    with contextlib.suppress(BadBody):
        list(events(body if isinstance(body, bytes) else body.encode("utf-8", "replace")))
    assert new_event({"event": "bounce", "email": ANN}).is_hard


def test_four_thousand_events_in_one_body_take_little_memory_and_few_queries(sendgrid):
    kinds = ["delivered", "bounce", "deferred", "spamreport", "open"]
    burst = [
        an_event(kinds[n % 5], n, email=f"n{n}@example.org", reason="x" * 300, response="y" * 200)
        for n in range(4_000)
    ]
    body = json.dumps(burst).encode()
    del burst
    assert 2_000_000 < len(body) < 4_800_000
    tracemalloc.start()
    with CaptureQueriesContext(connection) as queries:
        queries.force_debug_cursor = False
        response = sendgrid.post(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert response.content == b"3200 new events\n"
    assert MailEvent.objects.count() == 3200
    assert len(queries) < 240, len(queries)
    assert peak < 8 * len(body), f"{peak / len(body):.1f} times the body"


def test_a_body_beyond_all_measure_is_refused(sendgrid, monkeypatch):
    from dbmail.feedback import views

    monkeypatch.setattr(views, "MAX_BODY", 1000)
    assert sendgrid.post([an_event(reason="x" * 2000)]).status_code == 413
    assert sendgrid.post([an_event()]).status_code == 200
