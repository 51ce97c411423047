"""{{ unsubscribe_url }}: one rendering, a link for each address."""

import re

import pytest
from django.core.exceptions import ValidationError

from dbmail.models import Suppression, TextOfEmail
from dbmail.rendering.message import MessageRenderer
from dbmail.suppression import tokens
from dbmail.suppression.tokens import PLACEHOLDER
from testproject.outreach.models import Profile

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
HTML = '<html><body><p>Dear {{ user.first_name }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a></body></html>'


def token_in(text):
    (token,) = set(re.findall(r"https://example\.org/unsubscribe/([\w.-]+)/", text))
    return token


def test_each_address_has_its_own_link_in_html_and_text(client):
    ann = a_user("ann")
    Profile.objects.create(user=ann, guardian_email="guardian@example.org")
    a_request(msgtext=HTML, sendto_fn_name="send_to_self_and_guardian").process()
    for mail in TextOfEmail.objects.all():
        assert PLACEHOLDER not in mail.msgtext + mail.plaintext
        token = token_in(mail.msgtext)
        assert tokens.read(token).address == mail.address
        assert token_in(mail.plaintext) == token
    assert TextOfEmail.objects.count() == 2
    client.post(tokens.path(token_in(TextOfEmail.objects.get(address="guardian@example.org").msgtext)))
    assert Suppression.objects.get().address == "guardian@example.org"


def test_the_link_is_for_the_category_of_the_broadcast(settings):
    settings.DBMAIL = {**settings.DBMAIL, "CATEGORIES": {"news": "News"}}
    a_user()
    a_request(msgtext="Stop: {{ unsubscribe_url }}", category="news").process()
    assert tokens.read(token_in(TextOfEmail.objects.get().msgtext)).scope == "news"


def test_a_family_still_gets_one_copy():
    for name in ("ann", "bob"):
        a_user(name, email="family@example.org", first_name="You")
    a_request(msgtext=HTML).process()
    assert TextOfEmail.objects.count() == 1


def test_a_layout_may_hold_the_link():
    a_user()
    a_request(msgtext="Hello", layout="newsletter").process()
    mail = TextOfEmail.objects.get()
    assert token_in(mail.msgtext) == token_in(mail.plaintext)


def test_what_was_purged_is_filled_in_with_the_same_link():
    a_user()
    a_request(msgtext=HTML).process()
    mail = TextOfEmail.objects.get()
    before = mail.msgtext, mail.plaintext
    TextOfEmail.objects.update(msgtext="", plaintext="")
    mail.fill_msgtext()
    assert (mail.msgtext, mail.plaintext) == before


def test_without_a_site_the_link_is_a_mail(settings):
    settings.DBMAIL = {key: value for key, value in settings.DBMAIL.items() if key != "SITE_URL"}
    a_user()
    a_request(msgtext="{{ unsubscribe_url }}").process()
    assert TextOfEmail.objects.get().msgtext.startswith("mailto:unsubscribe@example.org?subject=")


def test_a_variable_of_the_projects_own_name_wins():
    user = a_user()
    request = a_request(msgtext="{{ unsubscribe_url }}", variables={"unsubscribe_url": "https://mine.example/"})
    assert MessageRenderer(request).render(user).to("ann@example.org", "all").body == "https://mine.example/"


def test_what_anybody_may_read_unsubscribes_nobody(client, admin_client):
    a_user()
    request = a_request(msgtext=HTML, public=True, state="sending")
    page = client.get(f"/email/{request.pk}/body").content.decode()
    assert "https://example.org/unsubscribe/example/" in page
    assert client.post("/unsubscribe/example/").status_code == 404
    assert request.parseSmartText("{{ unsubscribe_url }}", None).endswith("/example/")
    user = a_user("bob")
    assert tokens.read(token_in(request.parseSmartText("{{ unsubscribe_url }}", user))).address == "bob@example.org"


def test_the_name_is_known_to_the_checks():
    request = a_request(msgtext=HTML, state="draft")
    request.full_clean()


def test_a_filter_would_work_on_what_stands_for_the_link():
    request = a_request(msgtext="Hello\n{{ unsubscribe_url|urlencode }}", state="draft")
    with pytest.raises(ValidationError, match="takes no filter"):
        request.full_clean()
