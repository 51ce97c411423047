"""What is said of From's domain while one writes."""

import pytest
from django.core.cache import cache

from .test_compose import draft, fields, log_in, url

__all__ = ["draft", "log_in"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def no_dmarc(settings, serve):
    cache.clear()
    settings.DBMAIL = {**settings.DBMAIL, "DNS": {"RESOLVERS": [serve({"example.org": []}).address]}}
    yield
    cache.clear()


def test_what_receivers_find_about_from_is_said_with_the_way_to_the_doctor(log_in, draft, no_dmarc):
    client = log_in("change_messagerequest")
    (said,) = client.post(url("sender", draft), fields(draft)).json()["findings"]
    assert (said["field"], "no DMARC policy" in said["message"]) == ("sender", True)
    assert "more_url" not in said  # who may not open that page is not sent there
    client = log_in("change_messagerequest", "view_doctorreport", name="postmaster")
    (said,) = client.post(url("sender", draft), fields(draft)).json()["findings"]
    assert client.get(said["more_url"]).status_code == 200


def test_no_foreign_domain_is_looked_up(admin_client, draft, monkeypatch):
    monkeypatch.setattr("dbmail.admin.preview.check_from_domain", lambda domain: pytest.fail(domain))
    page = admin_client.post(url("sender", draft), fields(draft, sender="x@elsewhere.test"))
    assert page.json() == {"findings": []}
