"""Settings of dbmail: one dict, `DBMAIL`, typed, with defaults that work; read when used.

from dbmail.conf import config
config().expire_after
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .addresses import domain_of, parse_mailbox
from .exceptions import AddressError, SettingError


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting with its default. The key in `DBMAIL` is the name in capitals."""

    #: Domains that may stand in From; ".example.org" also admits subdomains.
    #: Default: the domain of DEFAULT_FROM_EMAIL.
    from_domains: tuple[str, ...] = ()
    #: "https://host" in front of unsubscribe and public links.
    #: Default: the current site of django.contrib.sites, where that is installed.
    site_url: str = ""
    #: Dotted path of `contacts(users) -> {user.pk: {"guardian": (address, name), "emergency": (...)}}`.
    contacts: str = ""
    #: Dotted path of `roster(code, section, kind)`, for class lists.
    rosters: str = ""
    #: Where bounces go: the domain of the signed return path, and the copy of failure reports.
    #: Default: DEFAULT_EMAIL_ADDRESSES["bounces"], else DEFAULT_FROM_EMAIL.
    bounces: str = ""
    #: Address that people are told to write to. Default: DEFAULT_EMAIL_ADDRESSES["support"], else bounces.
    support: str = ""
    #: Age after which a request that is not processed, or a mail that is not sent, expires.
    expire_after: timedelta = timedelta(weeks=1)
    #: SMTP connections of one process.
    connections: int = 1
    #: "resend" or "hold": what happens to a mail whose sender died between DATA and the mark.
    in_doubt: str = "resend"
    #: How many tries a mail has, the first included. The top-level setting EMAILRETRIES wins.
    retries: int = 8
    #: Wait after the first temporary refusal; it doubles each time (8 tries: about two days).
    retry_wait: timedelta = timedelta(minutes=20)
    #: How long a worker may keep a claimed mail before another takes it over.
    lease: timedelta = timedelta(minutes=10)
    #: Mails claimed at once by one connection.
    batch_size: int = 100
    #: Recipients turned into rows in one transaction.
    chunk_size: int = 500
    #: Longest subject or body that a template may render to, in characters.
    render_max_size: int = 2_000_000
    #: Longest time that rendering for one recipient may take, in seconds.
    render_max_seconds: float = 5.0
    #: Template libraries (dotted paths) whose tags and filters mail may use besides Django's own.
    template_libraries: tuple[str, ...] = ()
    #: Attribute names that templates never show, on any object; added to the built-in list.
    secret_names: tuple[str, ...] = ()
    #: Whether several recipients at one address get one copy when their mails are equal.
    merge_families: bool = True
    #: Dotted path of `hook(suppression)`, called after a person unsubscribed or came back.
    unsubscribe_hook: str = ""


@lru_cache(maxsize=1)
def config() -> Config:
    """The settings in force. Raises SettingError with the key and what is wrong with it."""
    return read(getattr(settings, "DBMAIL", {}))


def read(given: Any) -> Config:
    """`DBMAIL` as a Config, with the defaults that come from other settings filled in."""
    if not isinstance(given, dict):
        raise SettingError(f"DBMAIL must be a dict, not {type(given).__name__}.")
    fields = {field.name.upper(): field for field in dataclasses.fields(Config)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in fields:
            raise SettingError(f"DBMAIL has no setting {key!r}. Known: {', '.join(sorted(fields))}.")
        values[key.lower()] = _typed(key, value, fields[key].default)
    addresses = getattr(settings, "DEFAULT_EMAIL_ADDRESSES", {}) or {}
    values["bounces"] = values.get("bounces") or addresses.get("bounces") or settings.DEFAULT_FROM_EMAIL
    values["support"] = values.get("support") or addresses.get("support") or values["bounces"]
    for key in ("bounces", "support"):
        try:
            parse_mailbox(values[key])
        except AddressError as error:
            raise SettingError(f"DBMAIL[{key.upper()!r}]: {error}") from error
    if not values.get("from_domains"):
        values["from_domains"] = (domain_of(_bare(settings.DEFAULT_FROM_EMAIL)),)
    retries = getattr(settings, "EMAILRETRIES", None)
    if retries is not None:
        values["retries"] = _typed("EMAILRETRIES", retries, 8)
    return Config(**values)


def _bare(text: str) -> str:
    try:
        return parse_mailbox(text).address
    except AddressError as error:
        raise SettingError(f"DEFAULT_FROM_EMAIL: {error}") from error


def _typed(key: str, value: Any, default: Any) -> Any:
    """`value` if it has the type of `default` and is in range; a list or set is taken for a tuple."""
    wanted = type(default)
    if wanted is tuple and isinstance(value, list | tuple | set | frozenset):
        value = tuple(value)
        if all(isinstance(item, str) for item in value):
            return value
        raise SettingError(f"DBMAIL[{key!r}] must hold strings only.")
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is str and value is None:
        return ""
    if type(value) is not wanted:
        raise SettingError(f"DBMAIL[{key!r}] must be a {wanted.__name__}, not {type(value).__name__}.")
    if wanted in (int, float) and value <= 0:
        raise SettingError(f"DBMAIL[{key!r}] must be more than 0, not {value}.")
    if wanted is timedelta and value <= timedelta(0):
        raise SettingError(f"DBMAIL[{key!r}] must be a positive timedelta.")
    if key == "IN_DOUBT" and value not in ("resend", "hold"):
        raise SettingError(f'DBMAIL["IN_DOUBT"] must be "resend" or "hold", not {value!r}.')
    if key == "SITE_URL" and value and not value.startswith(("https://", "http://")):
        raise SettingError(f'DBMAIL["SITE_URL"] must begin with https://, not {value!r}.')
    return value


def load(key: str, dotted_path: str) -> Callable[..., Any]:
    """The function at `dotted_path`, the value of the setting `key`. Raises SettingError."""
    try:
        return import_string(dotted_path)
    except ImportError as error:
        raise SettingError(f"DBMAIL[{key!r}] = {dotted_path!r} cannot be imported: {error}") from error


def site_url() -> str:
    """`https://host` without a slash at the end, or "" where nothing says what it is."""
    if config().site_url:
        return config().site_url.rstrip("/")
    from django.apps import apps

    if apps.is_installed("django.contrib.sites"):
        from django.contrib.sites.models import Site

        return f"https://{Site.objects.get_current().domain}"
    return ""


def _forget(**_: Any) -> None:
    config.cache_clear()


setting_changed.connect(_forget, dispatch_uid="dbmail.conf")
