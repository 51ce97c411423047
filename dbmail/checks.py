"""System checks of every setting: `check` finds what cannot work, `check --deploy` also what should not be so.

| id | what |
|-|-|
| dbmail.E001 | a key of DBMAIL is unknown or has an old name, or its value, or that of a setting beside it, is wrong |
| dbmail.E002 | a dotted path cannot be imported, or leads to something else than it should |
| dbmail.E003 | the DKIM key cannot be used |
| dbmail.E004 | SendGrid's webhook key cannot be used |
| dbmail.E005 | a layout of LAYOUTS cannot be used |
| dbmail.E006 | a look-up of AUDIENCE_FIELDS is none that an audience can be chosen by |
| dbmail.E007 | TEMPLATE_RELATIONS opens, or TEMPLATE_CLOSED closes, what there is not |
| dbmail.W001 | no SITE_URL: no one-click unsubscribe, no public pages |
| dbmail.W002 | SITE_URL is not https |
| dbmail.W003 | dbmail's URLs are not included |
| dbmail.W004 | bounces go to an address that was not chosen for it, or to none |
| dbmail.W005 | mail in the name of DEFAULT_FROM_EMAIL is not allowed, or of no real domain |
| dbmail.W006 | the mail backend sends nothing |
| dbmail.W007 | a dialogue with the relay may last longer than a worker's lease |
| dbmail.W008 | mail goes to a relay elsewhere without TLS |
| dbmail.W009 | nothing is signed, since the mail backend is not SMTP |
| dbmail.W010 | others on this machine can read the DKIM key |
| dbmail.W011 | mails expire before their last try |
| dbmail.W012 | a setting that this mail backend takes no notice of |
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from .addresses import parse_mailbox
from .audience.fields import audience_field
from .conf import Config, config, load, read_settings, site_url
from .delivery import dkim
from .delivery.backends import TIMEOUT
from .delivery.connection import configured_backend, relay_name, speaks_smtp
from .delivery.from_address import allowed
from .exceptions import LayoutError, SettingError
from .feedback.sendgrid import public_key
from .incoming.receivers import imported
from .rendering.engine import project_library
from .rendering.layout import Layout
from .rendering.relations import mistakes

#: Settings that name a function.
_FUNCTIONS = ("CONTACTS", "ROSTERS", "USER_ALIASES", "UNSUBSCRIBE_HOOK")
#: Modules of mail backends that send nothing.
_NO_MAIL = {f"django.core.mail.backends.{name}" for name in ("console", "dummy", "filebased", "locmem")}
#: Hosts that mean this machine.
_LOCAL = ("localhost", "127.0.0.1", "::1", "")
#: Ends of domains that never exist in public DNS (RFC 2606, RFC 6761).
_NO_DOMAIN = ("localhost", ".localhost", ".test", ".invalid", ".example", ".local")


@register(Tags.compatibility)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Report settings that cannot work anywhere. A wrong setting does not keep the others from being checked."""
    settings_read, problems = read_settings()
    return [
        *(_error(problem, "E001") for problem in problems),
        *_paths(settings_read),
        *_columns(settings_read),
        *_keys(settings_read),
        *_layouts(settings_read),
        # These are checked by the settings in force, which there are only if all of them are right.
        *(() if problems else _tables()),
    ]


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """Report settings that are wrong for a site that really sends mail."""
    try:
        config()
        return [*_site(), *_addresses(), *_backend(), *_times()]
    except SettingError:
        return []  # check_settings says which


def _error(error: SettingError, number: str, hint: str = "") -> Error:
    return Error(error.message, hint=error.hint or hint, id=f"dbmail.{number}")


def _paths(given: Config) -> Iterator[CheckMessage]:
    """Import everything that is named by a dotted path: outside of this check, that happens only when it is needed."""
    tries: list[tuple[Callable[..., Any], tuple[str, ...]]] = [
        *((load, (key, getattr(given, key.lower()))) for key in _FUNCTIONS if getattr(given, key.lower())),
        *((imported, (path,)) for path in given.handlers),
        *((project_library, (path,)) for path in given.template_libraries),
    ]
    for find, arguments in tries:
        try:
            find(*arguments)
        except SettingError as error:
            yield _error(error, "E002", "Give the dotted path of a class that extends BaseHandler.")


def _columns(given: Config) -> Iterator[CheckMessage]:
    for path in given.audience_fields:
        try:
            audience_field(path)
        except SettingError as error:
            yield _error(error, "E006", "Name a field of the user, or of a table that it leads to: group__name.")


def _keys(given: Config) -> Iterator[CheckMessage]:
    try:
        dkim.signer_of(given.dkim)
    except SettingError as error:
        hint = "Make one with `openssl genrsa -out dkim.pem 2048`; docs/deliverability.md goes through it."
        yield _error(error, "E003", hint)
    for key in given.sendgrid_webhook_key.split():
        try:
            public_key(key)
        except SettingError as error:
            yield _error(error, "E004", "Copy the verification key from SendGrid's event webhook settings.")


def _layouts(given: Config) -> Iterator[CheckMessage]:
    for name, (_title, path) in given.layouts.items():
        try:
            Layout(name, path)
        except LayoutError as error:
            hint = "A layout is a template of the project's own: an HTML document with {{ body }} in it."
            yield Error(str(error), hint=hint, id="dbmail.E005")


def _tables() -> Iterator[CheckMessage]:
    for mistake in mistakes():
        hint = "docs/settings.md says what texts may read; a name that is misspelt opens or closes nothing."
        yield Error(mistake, hint=hint, id="dbmail.E007")


def _site() -> Iterator[CheckMessage]:
    try:
        site = site_url()
    except (ImproperlyConfigured, LookupError):
        site = ""
    if not site:
        yield Warning(
            'DBMAIL["SITE_URL"] is not set: mails have no one-click unsubscribe link, which Gmail and Yahoo ask for.',
            hint='Set it to "https://" and the host of this site.',
            id="dbmail.W001",
        )
    elif not site.startswith("https://"):
        yield Warning(
            f'DBMAIL["SITE_URL"] is {site!r}: RFC 8058 wants https for one-click unsubscribe.',
            hint="Serve the site by https and say so.",
            id="dbmail.W002",
        )
    try:
        reverse("dbmail:unsubscribe", args=["x"])
    except NoReverseMatch:
        hint = 'Add path("", include("dbmail.urls")) to the project\'s URLs.'
        yield Warning("dbmail's URLs are not included: nobody can unsubscribe.", hint=hint, id="dbmail.W003")


def _addresses() -> Iterator[CheckMessage]:
    given = getattr(settings, "DBMAIL", {})
    chosen = given.get("BOUNCES") or (getattr(settings, "DEFAULT_EMAIL_ADDRESSES", None) or {}).get("bounces")
    bounces = parse_mailbox(config().bounces).domain
    if not chosen or _exists_nowhere(bounces):
        yield Warning(
            f"Bounces go to {config().bounces}{'' if chosen else ', which is DEFAULT_FROM_EMAIL'}.",
            hint='Set DBMAIL["BOUNCES"] to an address whose mail reaches the mailgate.',
            id="dbmail.W004",
        )
    sender = parse_mailbox(settings.DEFAULT_FROM_EMAIL)
    if not allowed(sender):
        yield Warning(
            f"DEFAULT_FROM_EMAIL is {sender.address}, and DBMAIL['FROM_DOMAINS'] does not allow its domain.",
            hint="Notices go out in its name: add the domain.",
            id="dbmail.W005",
        )
    for domain in {sender.domain, *config().from_domains}:
        if _exists_nowhere(domain.lstrip(".")):
            yield Warning(
                f"Mail in the name of {domain} arrives nowhere: there is no such domain.",
                hint="Set DEFAULT_FROM_EMAIL and DBMAIL['FROM_DOMAINS'] to a domain of yours.",
                id="dbmail.W005",
            )


def _exists_nowhere(domain: str) -> bool:
    return f".{domain}".endswith(tuple(end if end.startswith(".") else f".{end}" for end in _NO_DOMAIN))


def _backend() -> Iterator[CheckMessage]:
    try:
        backend = configured_backend()
    except Exception as error:  # a project's own backend may raise anything in its __init__
        yield Warning(f"The mail backend cannot be made: {error}", hint="Look at the mail settings.", id="dbmail.W006")
        return
    if type(backend).__module__ in _NO_MAIL:
        hint = 'Use "dbmail.delivery.backends.CustomSMTPBackend", or a provider\'s backend.'
        yield Warning(f"The mail backend {relay_name(backend)} sends nothing.", hint=hint, id="dbmail.W006")
    if not speaks_smtp(backend):
        if config().dkim.key:
            hint = "Have the provider sign, and remove DBMAIL['DKIM']."
            yield Warning("DBMAIL['DKIM'] signs nothing: the backend is not SMTP.", hint=hint, id="dbmail.W009")
        if config().connections > 1:
            hint = "Remove it, or use the SMTP backend."
            yield Warning("DBMAIL['CONNECTIONS'] is for the SMTP backend only.", hint=hint, id="dbmail.W012")
        return
    timeout = backend.timeout or TIMEOUT
    if timedelta(seconds=timeout) * 2 > config().lease:
        yield Warning(
            f"The relay may be silent for {timeout} s, and a worker's claim ends after {config().lease}.",
            hint="Let DBMAIL['LEASE'] be several times the backend's timeout, or a mail may be sent twice.",
            id="dbmail.W007",
        )
    if backend.host not in _LOCAL and not (backend.use_tls or backend.use_ssl):
        yield Warning(
            f"Mail, and the password with it, goes to {relay_name(backend)} without TLS.",
            hint="Set use_tls (port 587) or use_ssl (port 465).",
            id="dbmail.W008",
        )
    yield from _key_mode()


def _key_mode() -> Sequence[CheckMessage]:
    path = config().dkim.key
    try:
        mode = os.stat(path).st_mode if path else 0
    except OSError:
        return []  # check_settings says so
    if not mode & (stat.S_IROTH | stat.S_IWOTH):
        return []
    hint = f"chmod o-rwx {path}"
    return [
        Warning("Others on this machine can read the DKIM key and sign in your name.", hint=hint, id="dbmail.W010")
    ]


def _times() -> Iterator[CheckMessage]:
    tries = config().retry.tries
    last_try = config().retry.wait * (2 ** (tries - 1) - 1)
    if last_try > config().expire_after:
        yield Warning(
            f"The last of {tries} tries is after {last_try}; mails expire after {config().expire_after}.",
            hint='Lower TRIES or WAIT in DBMAIL["RETRY"], or raise DBMAIL["EXPIRE_AFTER"].',
            id="dbmail.W011",
        )
