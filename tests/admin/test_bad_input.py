"""Whatever a form or an address bar gives is answered in words: no value makes an error of the server's."""

import json
from io import StringIO

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from dbmail.audience.builder import parse_tree, to_q
from dbmail.exceptions import UnstorableQuery
from dbmail.models import EmailList, IncomingMessage, MessageRequest, PlainRedirect, Suppression
from dbmail.suppression import tokens

from ..builders import a_request, a_user
from ..incoming.builders import post as receive
from .test_compose import fields, url

pytestmark = pytest.mark.django_db

#: Also as they come from a browser that is no browser: bytes that are no UTF-8, half a character.
VALUES = {
    "NUL": "a\0b",
    "NUL and an address": "\0@example.org",
    "half a character": "\udc80\ud800",
    "a number of 30 digits": "9" * 30,
    "a number of 5,000 digits": "9" * 5000,
    "other digits": "٣²",
    "a bracket 9,000 times": "[" * 9000,
    "a long word": "x" * 70_000,
    "a pattern": "(*",
    "lines": "a\r\nBcc: b\u2028c",
    "a time before all zones": "0001-01-01T00:00",
    "a time after all zones": "9999-12-31T23:59",
}
AUDIENCES = {
    "half a character": r'{"match": "all", "rows": [{"field": "first_name", "is": "is", "value": "\ud800"}]}',
    "NUL": r'{"match": "all", "rows": [{"field": "first_name", "is": "is", "value": "a\u0000b"}]}',
    "brackets": "[" * 9000,
    "braces": '{"match":"all","rows":[' * 800,
    "groups": '{"match":"all","rows":[' * 200 + "]}" * 200,
    "30 digits": '{"match": "all", "rows": [{"field": "studentinfo__program", "is": "is", "value": "%s"}]}'
    % ("9" * 30),
    "a number of 30 digits": '{"match": "all", "rows": [{"field": "studentinfo__program", "is": "is", "value": %s}]}'
    % ("9" * 30),
    "5,000 digits": '{"filter": %s}' % ("9" * 5000),
    "a filter of 30 digits": '{"filter": %s}' % ("9" * 30),
    "a filter that is true": '{"filter": true}',
    "NaN": '{"match": "all", "rows": [{"field": "first_name", "is": "is", "value": NaN}]}',
    "Infinity": '{"match": "all", "rows": [{"field": "first_name", "is": "is", "value": -Infinity}]}',
    "a key twice": '{"match": "nobody", "match": "everyone"}',
    "year 1": '{"match": "all", "rows": [{"field": "date_joined", "is": "since", "value": "0001-01-01"}]}',
    "year 9999": '{"match": "all", "rows": [{"field": "date_joined", "is": "since", "value": "9999-12-31"}]}',
    "no JSON": "{",
    "null": "null",
    "a list": "[]",
    "a number": "7",
    "nothing in it": '{"match": "all", "rows": []}',
    "10 MB": '{"match": "' + "x" * 10_000_000 + '"}',
}
POSTS = ("save", "preview", "body", "sender", "count", "survey", "everyone", "test", "name", "change", "confirm")


@pytest.fixture(autouse=True)
def far_from_utc(settings, use_mailer):
    settings.TIME_ZONE = "Pacific/Kiritimati"
    settings.DBMAIL = {**settings.DBMAIL, "LARGE_AUDIENCE": {"PEOPLE": 1}, "CATEGORIES": {"news": "News"}}
    use_mailer("django.core.mail.backends.locmem.EmailBackend")


@pytest.fixture
def draft():
    a_user("ann", first_name="Ann")
    a_user("bob")
    return a_request(state="draft")


def answered(response):
    assert response.status_code < 500, (response.status_code, response.request)
    return response.content if not response.streaming else b"".join(response)


def raw(client, page, given):
    """As a program sends it: surrogates as the bytes that they stand for, which are no UTF-8."""
    from urllib.parse import urlencode

    body = urlencode(given, encoding="utf-8", errors="surrogatepass")
    return client.post(page, body, content_type="application/x-www-form-urlencoded")


def asked(client, page, given):
    from urllib.parse import urlencode

    return client.get(f"{page}?{urlencode(given, encoding='utf-8', errors='surrogatepass')}")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_field_of_a_draft_takes_any_value(admin_client, draft, value):
    names = {*fields(draft), "as", "to", "name", "typed", "layout", "processed_by", "not_after", "public", "category"}
    names |= {"reply_to", "audience", "sender", "canary", "pictures"}
    for door in POSTS:
        answered(raw(admin_client, url(door, draft), {**dict.fromkeys(names, value), "token": fields(draft)["token"]}))
    for name in sorted(names):
        answered(raw(admin_client, url("save", draft), {**fields(draft), name: value}))
    draft.refresh_from_db()
    for door in ("change", "confirm"):
        answered(admin_client.get(url(door, draft)))
    answered(admin_client.get(reverse("admin:dbmail_messagerequest_changelist")))


@pytest.mark.parametrize("text", AUDIENCES.values(), ids=AUDIENCES)
def test_an_audience_that_cannot_be_is_an_error_of_the_form(admin_client, draft, text):
    before = draft.recipients_id
    if len(text) > 2_000_000:
        assert admin_client.post(url("save", draft), fields(draft, audience=text)).status_code == 400
        return
    assert admin_client.post(url("save", draft), fields(draft, audience=text)).json()["errors"]["audience"]
    for door in ("count", "survey", "everyone", "preview", "body", "change"):
        answered(admin_client.post(url(door, draft), fields(draft, audience=text)))
    assert "problem" in admin_client.post(url("count", draft), fields(draft, audience=text)).json()
    assert MessageRequest.objects.get(pk=draft.pk).recipients_id == before


@pytest.mark.parametrize("value", ["1e400", "nan", "9" * 400, "1e999999999", "1.5", "-9223372036854775809", "x"])
def test_a_number_is_one_that_its_column_can_hold(settings, value):
    """Of every kind of column that holds numbers, on the database that is there."""
    from django.db import models

    from dbmail.audience import builder
    from dbmail.audience.fields import AudienceField

    columns = (
        models.IntegerField(),
        models.PositiveSmallIntegerField(),
        models.BigIntegerField(),
        models.FloatField(),
        models.DecimalField(max_digits=5, decimal_places=0),
    )
    for column in columns:
        field = AudienceField("x", "X", "number", column)
        if value in ("1.5", "-9223372036854775809") and isinstance(column, models.FloatField):
            assert builder._value(field, value) == float(value)
            continue
        with pytest.raises(UnstorableQuery):
            builder._value(field, value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_list_takes_any_search_and_any_filter(admin_client, draft, value):
    for model in apps.get_app_config("dbmail").get_models():
        if not admin.site.is_registered(model):
            continue
        page = reverse(f"admin:dbmail_{model._meta.model_name}_changelist")
        own = admin.site.get_model_admin(model)
        offered = [str(getattr(one, "parameter_name", one)) for one in own.list_filter]
        answered(asked(admin_client, page, {"q": value}))
        for name in offered:
            answered(asked(admin_client, page, {name: value}))
    for name in ("p", "o", "e", "all", "_to_field", "_popup", "id", "foo", "state__exact", "subject__regex"):
        answered(asked(admin_client, reverse("admin:dbmail_messagerequest_changelist"), {name: value}))
        answered(asked(admin_client, reverse("admin:dbmail_emaillist_changelist"), {name: value}))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_other_form_and_question_takes_any_value(admin_client, draft, value):
    request = a_request(subject="On its way")
    row = Suppression.objects.create(address="bob@example.org", reason="complained")
    rule = EmailList.objects.create(regex="^(.*)$", handler="UserEmail")
    redirect = PlainRedirect.objects.create(original="boss", destination="ann@example.org")
    EmailList.objects.create(seq=0, regex="^boss$", handler="PlainList", admin_hold=True)
    receive("boss@example.org")
    message = IncomingMessage.objects.get()
    address = reverse("admin:dbmail_textofemail_address")
    new = reverse("admin:dbmail_messagerequest_add")
    for page, name in (
        (url("people", draft), "q"),
        (new, "q"),
        (address, "q"),
        (reverse("admin:dbmail_emaillist_tester"), "q"),
        (reverse("admin:dbmail_emaillist_tester"), "sender"),
    ):
        answered(asked(admin_client, page, {"q": "a", name: value}))
        answered(asked(admin_client, page, {"q": "a@example.org", name: f"{value}@example.org"}))
    source = {"app_label": "dbmail", "model_name": "mailevent", "field_name": "textofemail"}
    for name in ("term", "app_label", "model_name", "field_name"):
        answered(asked(admin_client, reverse("admin:autocomplete"), {**source, name: value}))
    again = {"state": "failed", "reason": "x"}
    lift = {"suppression": row.pk, "because": "x"}
    rules = {"regex": "x", "seq": "1", "handler": "PlainList", "who_may_post": ""}
    left_out = {"address": "new@example.org", "scope": "all", "reason": "manual", "source": "", "expires_at_0": "x"}
    decide = reverse("admin:dbmail_incomingmessage_decide", args=[message.pk])
    for page, given in (
        (url("requeue", request), again),
        (new, {"from": "1"}),
        (address, lift),
        (reverse("admin:dbmail_emaillist_add"), rules),
        (reverse("admin:dbmail_emaillist_change", args=[rule.pk]), rules),
        (reverse("admin:dbmail_plainredirect_add"), {"original": "x", "destination": "ann@example.org"}),
        (
            reverse("admin:dbmail_plainredirect_change", args=[redirect.pk]),
            {"original": "x", "destination": "a@example.org"},
        ),
        (reverse("admin:dbmail_suppression_add"), {**left_out, "expires_at_0": "2030-01-01", "expires_at_1": "10:00"}),
        (
            reverse("admin:dbmail_persistentqueryfilter_change", args=[draft.recipients_id]),
            {"useful_name": "x"},
        ),
        (decide, {"verdict": "reject", "note": "x"}),
        (reverse("dbmail:unsubscribe", args=[tokens.make("new@example.org")]), {"action": "save", "category": "news"}),
    ):
        for name in given:
            answered(raw(admin_client, page, {**given, name: value}))


@pytest.mark.parametrize("key", ["9" * 30, "9" * 5000, "a%00b", "%ED%A0%80", "_FF", "-1", "x" * 300])
def test_a_page_of_no_row_is_not_found(admin_client, key):
    for table in ("messagerequest", "textofemail", "suppression", "emaillist", "incomingmessage"):
        for page in ("change", "delete", "history"):
            answered(admin_client.get(f"/admin/dbmail/{table}/{key}/{page}/"))
    for page in (f"/admin/dbmail/messagerequest/{key}/progress/", f"/unsubscribe/{key}/", f"/email/{key}"):
        answered(admin_client.get(page))


@pytest.mark.parametrize("expires", ["0001-01-01", "9999-12-31"])
def test_a_time_that_no_zone_can_tell_is_an_error_of_the_form(admin_client, draft, expires):
    kept = admin_client.post(url("save", draft), fields(draft, not_after=f"{expires}T00:00")).json()
    assert kept["errors"]["not_after"]
    given = {"address": "a@example.org", "scope": "all", "reason": "manual", "source": ""}
    page = admin_client.post(
        reverse("admin:dbmail_suppression_add"), {**given, "expires_at_0": expires, "expires_at_1": "00:00"}
    )
    assert page.status_code == 200 and not Suppression.objects.exists()


@pytest.mark.parametrize(
    "cells",
    [
        "a\0b@example.org,,",
        "ann@example.org,,a\0b",
        "ann@example.org,9999-12-31T23:59,",
        "ann@example.org,0001-01-01T00:00,",
        "ann@example.org,99999999999999999999,",
        "ann@example.org,,\udc80",
        f"ann@example.org,,{'x' * 200_000}",
    ],
)
def test_a_csv_file_that_cannot_be_imported_says_which_line(cells, tmp_path):
    file = tmp_path / "left_out.csv"
    file.write_bytes(f"address,expires_at,source\n{cells}\n".encode("utf-8", "surrogateescape"))
    said = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("dbmail_suppressions", "import", str(file), stderr=said)
    assert "Line 2: " in said.getvalue() or "UTF-8" in str(error.value)
    assert not Suppression.objects.exists()


def test_an_audience_is_read_as_strict_json_and_no_deeper_than_it_can_be():
    assert to_q(parse_tree('{"match": "everyone"}')) is not None
    for text in AUDIENCES.values():
        with pytest.raises(UnstorableQuery):
            tree = parse_tree(text)
            to_q(tree if isinstance(tree, dict) and "filter" not in tree else None)
    assert json.loads("1") == 1
