"""/email/<id>: what the whole world may see."""

import pytest

from .builders import a_request, a_user

pytestmark = pytest.mark.django_db


def test_a_public_broadcast_is_shown_without_any_recipient(client):
    a_user("ann", first_name="Annabel")
    request = a_request(public=True, subject="News for {{ user.first_name }}")
    request.process()
    response = client.get(f"/email/{request.pk}")
    assert response.status_code == 200
    assert "News for [first name]" in response.content.decode()
    assert "Annabel" not in response.content.decode() and "ann@" not in response.content.decode()
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert request.public_url() == f"https://example.org/email/{request.pk}"


def test_html_is_shown_in_a_sandbox(client):
    request = a_request(public=True, msgtext="<html><script>alert(1)</script><p>Dear {{ user.first_name }}</html>")
    page = client.get(f"/email/{request.pk}")
    assert "<script>" not in page.content.decode()
    assert f'src="/email/{request.pk}/body" sandbox="' in page.content.decode()
    body = client.get(f"/email/{request.pk}/body")
    policy = body["Content-Security-Policy"]
    assert policy.startswith("sandbox") and "allow-scripts" not in policy and "default-src 'none'" in policy
    assert "Dear [first name]" in body.content.decode()


@pytest.mark.parametrize("fields", [{"public": False}, {"state": "draft"}, {"state": "cancelled"}])
def test_anything_else_is_not_found(client, fields):
    request = a_request(**{"public": True, **fields})
    assert client.get(f"/email/{request.pk}").status_code == 404
    assert client.get(f"/email/{request.pk}/body").status_code == 404
    assert client.get("/email/999999").status_code == 404


def test_a_broadcast_that_cannot_be_shown_is_not_found(client):
    request = a_request(public=True, msgtext="{% nonsense %}")
    assert client.get(f"/email/{request.pk}").status_code == 404
