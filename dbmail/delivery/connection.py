"""Connections to whatever the project has configured: EMAIL_* settings, or MAILERS (Django 6.1)."""

import smtplib
from typing import Any

import django
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.utils.translation import gettext as _

from ..exceptions import RelayUnavailable
from .backends import TIMEOUT, CustomSMTPBackend
from .smtp import words
from .wire import Connection

#: What Django's SMTP backend is made of.
_OPTIONS = (
    *("host", "port", "username", "password", "use_tls", "fail_silently"),
    *("use_ssl", "timeout", "ssl_keyfile", "ssl_certfile"),
)
#: Seconds that a relay has for its goodbye.
_GOODBYE = 5.0


def configured_backend() -> Any:
    """A new instance of the default mail backend, not yet open; ours in the place of Django's own SMTP backend."""
    # `mailers` also reads the EMAIL_* settings, as long as Django knows them.
    backend = mail.mailers.default if django.VERSION >= (6, 1) else mail.get_connection()
    if type(backend) is not EmailBackend:
        return backend
    options = {name: getattr(backend, name) for name in _OPTIONS}
    return CustomSMTPBackend(alias=getattr(backend, "alias", None), **options)


def speaks_smtp(backend: Any) -> bool:
    """Whether we may hold the dialogue ourselves: our backend, not somebody's variant of it with other connections."""
    return isinstance(backend, CustomSMTPBackend) and issubclass(backend.connection_class, Connection)


def open_smtp(backend: Any, within: float | None = None) -> Connection:
    """The open connection of an SMTP backend, after EHLO, TLS and login as configured.

    `within`: seconds that each reply up to there may take, where that is less than the backend's timeout; the
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
    smtp: Connection = backend.connection
    return smtp


def close_smtp(backend: Any, *, politely: bool = False) -> None:
    """Close the connection, with QUIT if `politely`; whatever state it is in."""
    smtp, backend.connection = backend.connection, None
    if smtp is None:
        return
    try:
        if politely and smtp.sock:
            smtp.sock.settimeout(min(_GOODBYE, backend.timeout or _GOODBYE))
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
        said = error.smtp_error
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        return words(f"{type(error).__name__}: {error.smtp_code} {text}")
    return words(f"{type(error).__name__}: {error}")
