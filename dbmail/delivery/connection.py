"""Connections to whatever the project has configured: EMAIL_* settings, or MAILERS (Django 6.1)."""

import smtplib
from typing import Any

import django
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.utils.translation import gettext as _

from ..exceptions import RelayUnavailable
from .backends import TIMEOUT, CustomSMTPBackend


def configured_backend() -> Any:
    """A new instance of the default mail backend, not yet open."""
    if django.VERSION >= (6, 1):
        return mail.mailers.default  # also reads the EMAIL_* settings, as long as Django knows them
    return mail.get_connection()


def speaks_smtp(backend: Any) -> bool:
    """Whether we may hold the dialogue ourselves: Django's SMTP backend or ours, not somebody's variant of it."""
    return type(backend) is EmailBackend or isinstance(backend, CustomSMTPBackend)


def open_smtp(backend: Any, within: float | None = None) -> smtplib.SMTP:
    """The open connection of an SMTP backend, after EHLO, TLS and login as configured.

    `within`: seconds that each step up to there may take, where that is less than the backend's timeout; the
    dialogues after it have the whole time, since a reply that nobody waits for is a mail that comes twice.
    Raises RelayUnavailable with the reason: no message is to blame for it.
    """
    timeout = TIMEOUT if backend.timeout is None else backend.timeout
    backend.timeout = timeout if within is None else min(timeout, within)
    backend.fail_silently = False
    try:
        backend.open()
        backend.connection.ehlo_or_helo_if_needed()
        backend.connection.sock.settimeout(timeout)
    except (OSError, ValueError) as error:
        close_smtp(backend)
        said = _("The relay %(relay)s cannot be used: %(error)s")
        raise RelayUnavailable(said % {"relay": relay_name(backend), "error": _reason(error)}) from error
    finally:
        backend.timeout = timeout
    smtp: smtplib.SMTP = backend.connection
    return smtp


def close_smtp(backend: Any, *, politely: bool = False) -> None:
    """Close the connection, with QUIT if `politely`; whatever state it is in."""
    smtp, backend.connection = backend.connection, None
    if smtp is None:
        return
    try:
        if politely:
            smtp.quit()
    except OSError:
        pass  # it is gone already, which is what was wanted
    finally:
        smtp.close()


def relay_name(backend: Any) -> str:
    host = getattr(backend, "host", None)
    return f"{host}:{backend.port}" if host else f"{type(backend).__module__}.{type(backend).__qualname__}"


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return f"{type(error).__name__}: {error.smtp_code} {words}"
    return f"{type(error).__name__}: {error}"
