"""A project's layouts around the bodies of broadcasts, from the compose page to the mail."""

import pytest
from django.core import mail as outbox
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test.signals import template_rendered
from django.urls import reverse

from dbmail.exceptions import LayoutError
from dbmail.models import MessageRequest, TextOfEmail
from dbmail.rendering.text import text_from_html

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
State = MessageRequest.State


@pytest.fixture
def layout(settings, tmp_path):
    """Puts a template in place as the layout "news"."""

    def put(source):
        (tmp_path / "news.html").write_text(source)
        engine = {**settings.TEMPLATES[0], "DIRS": [tmp_path]}
        settings.TEMPLATES = [engine]
        settings.DBMAIL = {**settings.DBMAIL, "LAYOUTS": {"news": ("Monthly news", "news.html")}}

    put("<html>\n<title>{{ subject }}</title>\n<p>Head</p>\n{{ body }}\n<p>Imprint</p></html>")
    return put


def url(name, request):
    return reverse(f"admin:dbmail_messagerequest_{name}", args=[request.pk])


def posted(request, **changes):
    from dbmail.admin.draft_form import edition_of, shown_values

    values = {**shown_values(request), "token": edition_of(request), **changes}
    return {name: value for name, value in values.items() if value not in (None, False)}


def the_mail(**fields):
    a_request(layout="news", **fields).process()
    return TextOfEmail.objects.get()


def test_each_body_stands_in_the_layout_and_values_are_escaped(layout):
    a_user("ann", first_name="A<b>nn & Co")
    a_user("bob", first_name="Bob")
    a_request(
        layout="news", subject="For {{ user.first_name }}", msgtext="<b>Dear {{ user.first_name }}</b>"
    ).process()
    ann, bob = TextOfEmail.objects.order_by("address")
    assert ann.subject == "For A<b>nn & Co"
    assert ann.msgtext == (
        "<html>\n<title>For A&lt;b&gt;nn &amp; Co</title>\n<p>Head</p>\n"
        "<b>Dear A&lt;b&gt;nn &amp; Co</b>\n<p>Imprint</p></html>"
    )
    assert "<title>For Bob</title>" in bob.msgtext and "<b>Dear Bob</b>" in bob.msgtext


@pytest.mark.parametrize(
    "shown", ["{{ subject }}", "{{ subject|lower|safe }}", "{% if subject == 'To Ann' %}<hr>{% endif %}"]
)
def test_the_text_part_has_the_body_and_what_the_layout_says(layout, shown):
    layout(
        f'<html><title>{shown}</title><p title="{{{{ subject }}}}">Head</p>\n'
        f"{shown}{{{{ body }}}}\n<p>Imprint</p></html>"
    )
    people = ["Ann", "A*nn", "B\ue0000\ue001", "&lt;", "1. x"]
    for number, name in enumerate(people):
        a_user(f"u{number}", first_name=name)
    a_request(
        layout="news", subject="To {{ user.first_name }}", msgtext="<p>{{ user.first_name }}</p><p>Bye</p>"
    ).process()
    mails = TextOfEmail.objects.order_by("user_id")
    if shown == "{{ subject }}":
        assert mails[0].plaintext == "Head\n\nTo Ann\n\nAnn\n\nBye\n\nImprint\n"
    assert len(mails) == len(people)
    assert [mail.plaintext for mail in mails] == [text_from_html(mail.msgtext) for mail in mails]


def test_text_without_tags_keeps_its_paragraphs_and_lines(layout):
    a_user("ann", first_name="<i>")
    mail = the_mail(msgtext="Dear {{ user.first_name }},\nhow are you?\n\nYours")
    assert "\n<p>Dear &lt;i&gt;,<br>\nhow are you?</p>\n\n<p>Yours</p>\n" in mail.msgtext
    assert mail.plaintext == "Head\n\nDear <i>,\nhow are you?\n\nYours\n\nImprint\n"


def test_a_layout_may_use_all_that_the_projects_templates_may(layout, tmp_path):
    (tmp_path / "base.html").write_text("<HTML lang=en>{% load static %}{% block main %}{% endblock %}</HTML>")
    layout("{% extends 'base.html' %}{% block main %}{% for x in '12' %}{{ x }}{% endfor %}{{ body }}{% endblock %}")
    a_user("ann")
    assert the_mail(msgtext="<p>Hi</p>").msgtext == "<HTML lang=en>12<p>Hi</p></HTML>"


def test_a_body_stays_as_restricted_as_before(layout):
    a_user("ann")
    request = a_request(layout="news", msgtext="{% include 'news.html' %}")
    with pytest.raises(Exception, match="not allowed"):
        request.process()
    assert not TextOfEmail.objects.exists()


@pytest.mark.parametrize(
    ("source", "body", "why"),
    [
        (None, "<p>Hi</p>", "has no layout 'news'"),
        ("<html>{{ body }}", "<html><p>Hi</p></html>", "an <html> tag of its own"),
        ("<p>{{ body }}</p>", "<p>Hi</p>", "<html> tag"),
        ("<html>nothing", "<p>Hi</p>", "once, not 0 times"),
        ("<html>{{ body }}{{ body }}", "<p>Hi</p>", "once, not 2 times"),
        ("{% extends 'gone.html' %}", "<p>Hi</p>", "gone.html"),
        ("<html>{% nosuch %}", "<p>Hi</p>", "nosuch"),
    ],
    ids=str,
)
def test_what_cannot_be_set_in_its_layout_is_told_before_and_never_sent(
    layout, settings, admin_client, source, body, why
):
    if source is None:
        settings.DBMAIL = {**settings.DBMAIL, "LAYOUTS": {}}
    else:
        layout(source)
    a_user("ann")
    request = a_request(layout="news", msgtext=body)
    with pytest.raises(ValidationError) as invalid:
        request.full_clean()
    assert why in " ".join(invalid.value.message_dict["layout"])
    seen = admin_client.post(url("preview", request), {"as": ""}).json()["findings"]
    assert [f["level"] for f in seen if f["field"] == "layout" and why in f["message"]] == ["error"]
    with pytest.raises(LayoutError):
        request.process()
    assert request.state == State.FAILED and why in request.state_reason
    assert not TextOfEmail.objects.exists()


def test_an_empty_body_is_no_mail_although_its_layout_has_words(layout):
    a_user("ann", first_name="")
    request = a_request(layout="news", msgtext="{% if user.first_name %}<p>Hi</p>{% endif %}")
    with pytest.raises(Exception, match="body is empty"):
        request.process()


def test_a_layout_is_rendered_once_for_all_who_get_the_same_subject(layout):
    seen = []

    def rendered(template, **_):
        seen.extend([template.name] * (template.name == "news.html"))

    for number in range(5):
        a_user(f"u{number}")
    template_rendered.connect(rendered)
    try:
        a_request(layout="news", msgtext="<p>{{ user.username }}</p>").process()
    finally:
        template_rendered.disconnect(rendered)
    assert TextOfEmail.objects.count() == 5
    assert len(seen) == 2  # to see that it can be used, and with the subject


def test_preview_test_mail_public_page_and_a_text_made_again_show_what_is_sent(layout, admin_client):
    ann = a_user("ann", first_name="Ann")
    draft = a_request(state=State.DRAFT, msgtext="<p>Dear {{ user.first_name }}</p>", public=True)
    given = posted(draft, layout="news")
    whole = "<p>Head</p>\n<p>Dear Ann</p>\n<p>Imprint</p></html>"
    assert whole in admin_client.post(url("body", draft), {**given, "as": ann.pk}).content.decode()
    seen = admin_client.post(url("preview", draft), {**given, "as": ann.pk}).json()
    assert (seen["html"], seen["text"]) == (True, "Head\n\nDear Ann\n\nImprint\n")
    admin_client.post(url("test", draft), {**given, "as": ann.pk, "to": ""})
    assert whole in outbox.outbox[0].alternatives[0][0]

    admin_client.post(url("save", draft), given)
    MessageRequest.objects.filter(pk=draft.pk).update(state=State.SCHEDULED)
    call_command("dbmail_cron", "--quiet")
    mail = TextOfEmail.objects.get(user=ann)
    kept = (mail.msgtext, mail.plaintext)
    assert whole in kept[0]
    mail.msgtext = mail.plaintext = ""
    mail.fill_msgtext()
    assert (mail.msgtext, mail.plaintext) == kept
    assert "Imprint" in admin_client.get(reverse("dbmail:public_body", args=[draft.pk])).content.decode()


def test_checks_see_the_whole_mail_and_lead_to_the_line_in_the_body(layout, admin_client):
    layout('<html>\n\n{{ body }}\n<a href="http://example.org/head">x</a></html>')
    a_user("ann")
    draft = a_request(state=State.DRAFT, layout="news", msgtext='<p>Hi</p>\n<a href="http://example.org/body">x</a>')
    seen = admin_client.post(url("preview", draft), posted(draft)).json()["findings"]
    places = {f["message"].split()[2]: (f["field"], f["line"]) for f in seen if "not https" in f["message"]}
    assert places == {"http://example.org/body": ("msgtext", 2), "http://example.org/head": ("layout", None)}
    layout("<html>" + "x" * 103 * 1024 + "{{ body }}</html>")
    seen = admin_client.post(url("preview", draft), posted(draft)).json()["findings"]
    assert any("103 KB" in f["message"] for f in seen)


def test_the_page_offers_layouts_keeps_the_choice_and_shows_it_afterwards(layout, admin_client):
    a_user("ann")
    draft = a_request(state=State.DRAFT)
    assert b"Monthly news" in admin_client.get(url("change", draft)).content
    assert admin_client.post(url("save", draft), posted(draft, layout="news")).json()["errors"] == {}
    draft.refresh_from_db()
    assert draft.layout == "news"
    assert b"Monthly news" in admin_client.get(url("confirm", draft)).content
    admin_client.post(reverse("admin:dbmail_messagerequest_add"), {"from": draft.pk})
    assert MessageRequest.objects.first().layout == "news"
    MessageRequest.objects.filter(pk=draft.pk).update(state=State.SCHEDULED)
    page = admin_client.get(url("change", draft)).content
    assert b"Monthly news" in page and b'name="layout"' not in page


def test_a_layout_that_is_gone_stays_chosen_until_another_is(layout, admin_client, settings):
    draft = a_request(state=State.DRAFT, layout="old")
    assert b'<option value="old" selected>' in admin_client.get(url("change", draft)).content
    assert "old" in admin_client.post(url("save", draft), posted(draft)).json()["errors"]["layout"][0]
    draft.refresh_from_db()
    assert draft.layout == "old"
    assert admin_client.post(url("save", draft), posted(draft, layout="")).json()["errors"] == {}
