"""Unsubscribing: by one click from a mailbox provider, by the page, and back."""

import pytest
from django.test import Client

from dbmail.models import MailEvent, Suppression, TextOfEmail
from dbmail.suppression import tokens

from ..builders import a_mail, a_request

pytestmark = pytest.mark.django_db
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def page():
    return tokens.path(tokens.make("Ann@example.org"))


@pytest.fixture
def provider():
    """A mailbox provider: no cookies, and CSRF checks on, as in production."""
    return Client(enforce_csrf_checks=True)


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_changes_nothing(provider, page, method):
    response = getattr(provider, method)(page)
    assert response.status_code == 200
    assert not Suppression.objects.exists()


def test_one_click_unsubscribes_without_cookies_login_or_redirect(provider, page):
    response = provider.post(page, ONE_CLICK)
    assert response.status_code == 200
    assert not response.cookies
    row = Suppression.objects.get()
    assert (row.address, row.reason) == ("ann@example.org", Suppression.Reason.UNSUBSCRIBED)
    assert provider.post(page, ONE_CLICK).status_code == 200
    assert Suppression.objects.count() == 1


def test_a_person_can_undo_it_on_the_same_page(provider, page):
    assert b"Send me mail again" in provider.post(page).content
    assert b"You get our mail again" in provider.post(page, {"action": "undo"}).content
    assert not Suppression.objects.exists()


def test_a_bounced_address_is_not_theirs_to_lift(provider, page):
    Suppression.objects.create(address="ann@example.org", reason=Suppression.Reason.BOUNCED)
    response = provider.post(page, {"action": "undo"})
    assert b"Send me mail again" not in response.content
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize("spoil", [lambda t: t[:-1], lambda t: "x" + t, lambda t: t + "a", lambda t: "none"])
def test_a_forged_or_cut_token_does_nothing_and_helps(provider, spoil):
    path = tokens.path(spoil(tokens.make("ann@example.org")))
    for response in (provider.get(path), provider.post(path, ONE_CLICK)):
        assert response.status_code == 404
        assert b"mailto:bounces@example.org" in response.content
    assert not Suppression.objects.exists()


def test_a_token_is_good_for_its_own_address_and_scope_only():
    ann, bob = tokens.make("ann@example.org"), tokens.make("bob@example.org", "news")
    assert tokens.read(ann) == ("ann@example.org", "all")
    assert tokens.read(bob) == ("bob@example.org", "news")


def test_the_page_is_not_kept_indexed_or_framed(provider, page):
    response = provider.get(page)
    assert "no-store" in response["Cache-Control"]
    assert "noindex" in response["X-Robots-Tag"]
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert response["Referrer-Policy"] == "no-referrer"


def hook(row):
    calls.append((row.address, row.pk is None))
    raise RuntimeError("the project's own bug")


calls: list[tuple[str, bool]] = []


def test_the_project_is_told_and_its_bugs_undo_nothing(provider, page, settings):
    settings.DBMAIL = {**settings.DBMAIL, "UNSUBSCRIBE_HOOK": f"{__name__}.hook"}
    calls.clear()
    assert provider.post(page).status_code == 200
    assert provider.post(page, {"action": "undo"}).status_code == 200
    assert calls == [("ann@example.org", False), ("ann@example.org", True)]


def test_the_url_in_a_mail_is_the_one_that_works(provider, relay):
    from dbmail.models import send_mail

    from ..builders import a_user

    send_mail("Hello", "Text", "info@example.org", "ann@example.org", user=a_user("ann"))
    url = relay.messages[0].message["List-Unsubscribe"].split(">")[0].strip("<")
    assert provider.post(url.removeprefix("https://example.org"), ONE_CLICK).status_code == 200
    assert Suppression.objects.get().address == "ann@example.org"


def test_an_unsubscribe_counts_once_for_the_last_broadcast_that_the_person_got(provider, page, admin_client):
    earlier, last, never_left = a_request(), a_request(), a_request()
    for request, state in ((earlier, "sent"), (last, "sent"), (None, "sent"), (never_left, "failed")):
        a_mail("ann@example.org", messagerequest=request, state=state)
    a_mail("bob@example.org", messagerequest=last, state="sent")
    for _ in range(2):
        provider.post(page, ONE_CLICK)
    event = MailEvent.objects.get()
    assert (event.event_type, event.textofemail.messagerequest) == ("unsubscribed", last)
    assert b"<b>1</b> unsubscribed" in admin_client.get(f"/admin/dbmail/messagerequest/{last.pk}/change/").content


def test_leaving_a_category_counts_for_the_last_broadcast_of_that_category(provider):
    news, other = (a_mail("ann@example.org", messagerequest=a_request(), state="sent") for _ in range(2))
    TextOfEmail.objects.filter(pk=news.pk).update(scope="news")
    provider.post(tokens.path(tokens.make("ann@example.org", "news")), ONE_CLICK)
    assert MailEvent.objects.get().textofemail == news
    assert news.pk < other.pk
