"""CustomSMTPBackend through Django's own API, and the ways to configure it."""

import warnings

import django
import pytest
from django.core import mail
from django.test import override_settings

from dbmail.delivery.connection import configured_backend
from dbmail.exceptions import RelayUnavailable
from dbmail.models import CustomSMTPBackend, send_mail

from ..smtp import ScriptedSMTPServer

PATH = "dbmail.models.CustomSMTPBackend"
mailers_only = pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")


@pytest.fixture
def backend(smtp_server, use_mailer):
    def make(**options):
        use_mailer(PATH, host=smtp_server.host, port=smtp_server.port, **options)
        made = configured_backend()
        assert isinstance(made, CustomSMTPBackend)
        return made

    return make


def test_the_return_path_stands_in_the_envelope_and_the_author_in_from(smtp_server, backend):
    message = mail.EmailMessage("Hello", "Text", "Ann <ann@example.org>", ["bob@example.org"])
    sender = backend()
    sender.return_path = "bounces@example.org"
    assert sender.send_messages([message]) == 1
    (received,) = smtp_server.messages
    assert received.mail_from == "bounces@example.org"
    assert received.message["From"] == "Ann <ann@example.org>"
    assert message.from_email == "Ann <ann@example.org>" and message.extra_headers == {}


def test_without_a_return_path_it_is_as_djangos(smtp_server, backend):
    backend().send_messages([mail.EmailMessage("Hello", "Text", "ann@example.org", ["bob@example.org"])])
    assert smtp_server.messages[0].mail_from == "ann@example.org"


def test_a_silent_relay_cannot_hold_a_worker_for_ever(backend):
    assert backend().timeout == 120
    assert backend(timeout=3).timeout == 3


def email_settings(server, **more):
    return override_settings(EMAIL_BACKEND=PATH, EMAIL_HOST=server.host, EMAIL_PORT=server.port, **more)


@pytest.fixture
def without_mailers(settings):
    if hasattr(settings, "MAILERS"):
        del settings.MAILERS


@pytest.mark.usefixtures("without_mailers")
def test_the_reference_s_way_to_make_one_still_works(smtp_server):
    with email_settings(smtp_server):
        made = CustomSMTPBackend(return_path="bounces@example.org", fail_silently=True)
        message = mail.EmailMessage("Hello", "Text", "ann@example.org", ["bob@example.org"])
        assert made.send_messages([message]) == 1
    assert smtp_server.messages[0].mail_from == "bounces@example.org"


@pytest.mark.django_db
@pytest.mark.usefixtures("without_mailers")
def test_the_email_settings_configure_it_without_a_warning_of_ours(smtp_server):
    with email_settings(smtp_server), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        send_mail("Hello", "Text", "info@example.org", "ann@example.org")
    assert smtp_server.recipients() == ["ann@example.org"]
    assert [str(w.message) for w in caught if "dbmail" in w.filename] == []


@mailers_only
@pytest.mark.django_db
def test_mailers_configure_it_without_a_warning(smtp_server, use_mailer):
    use_mailer(PATH, host=smtp_server.host, port=smtp_server.port, return_path="own@example.org")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        send_mail("Hello", "Text", "info@example.org", "ann@example.org")
        assert configured_backend().return_path == "own@example.org"
    assert smtp_server.recipients() == ["ann@example.org"]


@pytest.mark.django_db
@pytest.mark.parametrize("encryption", ["use_tls", "use_ssl"])
def test_tls_and_login_are_used(encryption, use_mailer, monkeypatch):
    with ScriptedSMTPServer(
        username="ann", password="s3cret", tls=encryption == "use_tls", implicit_tls=encryption == "use_ssl"
    ) as server:
        monkeypatch.setenv("SSL_CERT_FILE", server.certificate)
        options = {"host": "localhost", "port": server.port, "username": "ann", "password": "s3cret"}
        use_mailer(PATH, **options, **{encryption: True})
        send_mail("Hello", "Text", "info@example.org", "ann@example.org")
        (received,) = server.messages
        assert received.tls and received.user == "ann"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"username": "ann", "password": "wrong"}, "535"),
        ({"use_tls": True}, "STARTTLS"),
    ],
)
def test_a_refused_login_and_missing_tls_are_told(options, words, use_mailer):
    with ScriptedSMTPServer(username="ann", password="s3cret") as server:
        use_mailer(PATH, host=server.host, port=server.port, **options)
        with pytest.raises(RelayUnavailable, match=words):
            send_mail("Hello", "Text", "info@example.org", "ann@example.org")
        assert server.messages == []


@pytest.mark.django_db
def test_a_certificate_that_cannot_be_trusted_stops_the_mail(use_mailer):
    with ScriptedSMTPServer(tls=True) as server:
        use_mailer(PATH, host="localhost", port=server.port, use_tls=True)
        with pytest.raises(RelayUnavailable, match="CERTIFICATE"):
            send_mail("Hello", "Text", "info@example.org", "ann@example.org")
