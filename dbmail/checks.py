"""System checks of every setting: `check` finds what cannot work, `check --deploy` also what should not be so.

| id | what |
|-|-|
| dbmail.E001 | a key of DBMAIL, or a setting that it defaults to, cannot be read |
| dbmail.E002 | a dotted path cannot be imported, or is nothing to call |
| dbmail.E003 | the DKIM key cannot be used |
| dbmail.E004 | SendGrid's webhook key cannot be used |
| dbmail.E005 | a layout of LAYOUTS cannot be used |
| dbmail.E006 | TEMPLATE_RELATIONS opens, or TEMPLATE_CLOSED closes, what there is not |
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
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from .addresses import parse_mailbox
from .conf import config, layouts, load, read, site_url
from .delivery import dkim
from .delivery.backends import TIMEOUT
from .delivery.connection import configured_backend, relay_name, speaks_smtp
from .delivery.from_address import allowed
from .exceptions import AddressError, LayoutError, SettingError
from .feedback.sendgrid import public_key
from .rendering.layout import Layout
from .rendering.relations import mistakes

_NO_MAIL = {f"django.core.mail.backends.{name}" for name in ("console", "dummy", "filebased", "locmem")}
_LOCAL = ("localhost", "127.0.0.1", "::1", "")
#: Ends of domains that exist nowhere (RFC 2606, 6761).
_NO_DOMAIN = ("localhost", ".localhost", ".test", ".invalid", ".example", ".local")


@register(Tags.compatibility)
def check_settings(**_: Any) -> list[CheckMessage]:
    """What cannot work, whatever the project does."""
    found = list(_unreadable())
    return found or [*_paths(), *_keys(), *_layouts(), *_tables()]


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """What should not be so where mail really goes out."""
    try:
        config()
        return [*_site(), *_addresses(), *_backend(), *_times()]
    except SettingError:
        return []  # check_settings says which


def _unreadable() -> Iterator[CheckMessage]:
    """Every key by itself, so that all mistakes are told at once."""
    given = getattr(settings, "DBMAIL", {})
    parts = [{key: value} for key, value in given.items()] if isinstance(given, dict) else [given]
    seen = set()
    for part in [{}, *parts]:
        try:
            read(part)
        except SettingError as error:
            if str(error) not in seen:
                yield Error(str(error), hint="dbmail/conf.py shows every setting with its default.", id="dbmail.E001")
            seen.add(str(error))


def _paths() -> Iterator[CheckMessage]:
    names = ("CONTACTS", "ROSTERS", "USER_ALIASES", "UNSUBSCRIBE_HOOK")
    paths = [(name, path) for name in names if (path := getattr(config(), name.lower()))]
    paths += [("HANDLERS", path) for path in config().handlers]
    for name, path in paths:
        try:
            function = load(name, path)
        except SettingError as error:
            yield Error(str(error), hint="Give the dotted path of a function.", id="dbmail.E002")
            continue
        if not callable(function):
            yield Error(
                f"DBMAIL[{name!r}] = {path!r} is a {type(function).__name__}, nothing to call.",
                hint="Give the dotted path of a function.",
                id="dbmail.E002",
            )


def _keys() -> Iterator[CheckMessage]:
    try:
        dkim.signer()
    except SettingError as error:
        hint = "Make one with `openssl genrsa -out dkim.pem 2048`; docs/deliverability.md goes through it."
        yield Error(str(error), hint=hint, id="dbmail.E003")
    for key in config().sendgrid_webhook_key.split():
        try:
            public_key(key)
        except SettingError as error:
            hint = "Copy the verification key from SendGrid's event webhook settings."
            yield Error(str(error), hint=hint, id="dbmail.E004")


def _layouts() -> Iterator[CheckMessage]:
    for name in layouts():
        try:
            Layout(name)
        except LayoutError as error:
            hint = "A layout is a template of the project's own: an HTML document with {{ body }} in it."
            yield Error(str(error), hint=hint, id="dbmail.E005")


def _tables() -> Iterator[CheckMessage]:
    for mistake in mistakes():
        hint = "docs/settings.md says what texts may read; a name that is misspelt opens or closes nothing."
        yield Error(mistake, hint=hint, id="dbmail.E006")


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
    try:
        sender = parse_mailbox(settings.DEFAULT_FROM_EMAIL)
    except AddressError as error:
        yield Warning(f"DEFAULT_FROM_EMAIL: {error}", hint="Set it to an address of yours.", id="dbmail.W005")
        return
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
        if config().dkim:
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
    path = config().dkim.get("KEY", "")
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
    last_try = config().retry_wait * (2 ** (config().retries - 1) - 1)
    if last_try > config().expire_after:
        yield Warning(
            f"The last of {config().retries} tries is after {last_try}; mails expire after {config().expire_after}.",
            hint='Lower DBMAIL["RETRIES"] or ["RETRY_WAIT"], or raise ["EXPIRE_AFTER"].',
            id="dbmail.W011",
        )
