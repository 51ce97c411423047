"""Settings of dbmail: one dict, `DBMAIL`, typed, with defaults that work; read when used.

from dbmail.conf import config
config().expire_after
"""

import dataclasses
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .addresses import domain_of, parse_mailbox
from .exceptions import AddressError, SettingError, UnknownCategory
from .rates import Rates, parse_rates

#: Numbers that turn something off.
_MAY_BE_0 = ("CANARY", "BREAKER", "INCOMING_SEND_SECONDS", "INCOMING_NOTICES")
_NO_LIMITS = Rates()


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
    #: How many mails may go in how long, shared by all workers: {"sender:example.org": "500/h",
    #: "domain:gmail.com": "20/min", "domain:*": "100/min", "all": "14/s"}. See dbmail/rates.py; default: no limits.
    rates: Rates = _NO_LIMITS
    #: Mails of each broadcast that go first, while the rest waits for CANARY_WAIT; 0: none.
    canary: int = 0
    #: How long the rest of a broadcast waits after its first mails.
    canary_wait: timedelta = timedelta(minutes=15)
    #: Share of mails refused for good above which a broadcast is paused, and its creator told; 0: never.
    breaker: float = 0.1
    #: Mails claimed at once by one connection.
    batch_size: int = 200
    #: Recipients turned into rows in one transaction.
    chunk_size: int = 500
    #: Longest subject or body that a template may render to, in characters.
    render_max_size: int = 2_000_000
    #: Longest time that rendering for one recipient may take, in seconds.
    render_max_seconds: float = 5.0
    #: Most rows of one query that a mail shows or loops over; more are an error, so that memory stays small.
    render_max_rows: int = 1000
    #: Relations to many rows that texts may follow: ["school.Student.lessons"], each "app_label.Model.relation".
    #: Default: none; rows that one row points to, and a model's own properties and methods, need no entry.
    template_relations: tuple[str, ...] = ()
    #: Apps ("payroll") and models ("school.Mark") that no text reads, whatever leads there; added to the built-in
    #: list.
    template_closed: tuple[str, ...] = ()
    #: Template libraries (dotted paths) whose tags and filters mail may use besides Django's own.
    template_libraries: tuple[str, ...] = ()
    #: What a broadcast's body can be set in: {"newsletter": "mail/newsletter.html"}, or with a title,
    #: {"newsletter": ("Monthly newsletter", "mail/newsletter.html")}: a template of the project's own with {{ body }}.
    layouts: dict[str, Any] = field(default_factory=dict)
    #: Attribute names that templates never show, on any object; added to the built-in list.
    secret_names: tuple[str, ...] = ()
    #: Whether several recipients at one address get one copy when their mails are equal.
    merge_families: bool = True
    #: Dotted path of `hook(suppression)`, called after a person unsubscribed or came back.
    unsubscribe_hook: str = ""
    #: Categories that people may leave one by one: {"news": "Monthly news", ...}. A broadcast names one of them,
    #: and so may `send_mail`.
    categories: dict[str, str] = field(default_factory=dict)
    #: Sign here with DKIM: {"SELECTOR": name, "KEY": path of an RSA key in PEM, "DOMAIN": "" for that of From}.
    dkim: dict[str, str] = field(default_factory=dict)
    #: Selectors of the DKIM keys that the relay or provider signs with, for the doctor to look up.
    dkim_selectors: tuple[str, ...] = ()
    #: DNS servers that the doctor and the check of From ask, "192.0.2.53" or "192.0.2.53:5353". Default: the system's.
    resolvers: tuple[str, ...] = ()
    #: IP addresses that mail leaves from, for the doctor, where that is not the relay's own.
    sends_from: tuple[str, ...] = ()
    #: SendGrid's public key for its signed event webhook; two with a blank between while it is being changed.
    sendgrid_webhook_key: str = ""
    #: How far the time of a signed webhook may be from now; an older one is a replay.
    webhook_tolerance: timedelta = timedelta(minutes=10)
    #: How long an address is left out after mail to it was refused for good.
    hard_bounce_rest: timedelta = timedelta(days=365)
    #: Bounces for other reasons (a full mailbox, a policy) within the window after which an address is left out.
    soft_bounces: int = 5
    soft_bounce_window: timedelta = timedelta(days=14)
    #: How long an address is left out after too many of those.
    soft_bounce_rest: timedelta = timedelta(days=30)
    #: Look-ups from the user (`date_joined`, `studentinfo__program`) that an audience may be built from on the page.
    #: Default: the fields of the user and of the project's tables that point at users, no addresses.
    audience_fields: tuple[str, ...] = ()
    #: People above which a broadcast is large: its audience is pointed out, and sending it takes `approval`.
    large_audience: int = 2000
    #: What sending to a large audience takes: "typed" (the number of people) or "second" (another person).
    approval: str = "typed"
    #: Handlers of incoming mail of the project's own, as dotted paths; a row names the last part.
    handlers: tuple[str, ...] = ()
    #: Dotted path of `has_alias(user) -> bool`: who gets mail at username@. Default: staff.
    user_aliases: str = ""
    #: Names under which our own MTA writes Authentication-Results (RFC 8601). Where it is empty, no From counts.
    authserv_ids: tuple[str, ...] = ()
    #: Largest incoming message, in bytes; the MTA's own limit should be lower.
    incoming_max_size: int = 30_000_000
    #: Received fields from which on a message counts as a loop.
    incoming_max_received: int = 25
    #: Recipients from which on a message waits for a moderator.
    incoming_max_recipients: int = 1000
    #: Notices a day for one user about mail to unknown addresses; 0: none, the mail server tells whom it likes.
    incoming_notices: int = 3
    #: So many seconds copies are sent at once, while the mail server waits; 0 leaves them all to the next pass.
    #: Well below the 50 seconds that the gate has for a message.
    incoming_send_seconds: float = 10.0
    #: How long the bytes of an incoming message are kept.
    incoming_keep: timedelta = timedelta(days=30)


@lru_cache(maxsize=1)
def config() -> Config:
    """The settings in force. Raises SettingError with the key and what is wrong with it."""
    return read(getattr(settings, "DBMAIL", {}))


def read(given: Any) -> Config:
    """`DBMAIL` as a Config, with the defaults that come from other settings filled in."""
    if not isinstance(given, dict):
        raise SettingError(_("DBMAIL must be a dict, not %(type)s.") % {"type": type(given).__name__})
    fields = {field.name.upper(): getattr(Config(), field.name) for field in dataclasses.fields(Config)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in fields:
            said = _("DBMAIL has no setting %(key)r. Known: %(known)s.")
            raise SettingError(said % {"key": key, "known": ", ".join(sorted(fields))})
        values[key.lower()] = _typed(key, value, fields[key])
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
            return _ips(value) if key == "SENDS_FROM" else value
        raise SettingError(_("DBMAIL[%(key)r] must hold strings only.") % {"key": key})
    if wanted is Rates and isinstance(value, dict):
        return parse_rates(value)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is str and value is None:
        return ""
    if type(value) is not wanted:
        name = "dict" if wanted is Rates else wanted.__name__
        said = _("DBMAIL[%(key)r] must be a %(wanted)s, not %(type)s.")
        raise SettingError(said % {"key": key, "wanted": name, "type": type(value).__name__})
    if wanted in (int, float) and (value < 0 or (value == 0 and key not in _MAY_BE_0)):
        raise SettingError(_("DBMAIL[%(key)r] must be more than 0, not %(value)s.") % {"key": key, "value": value})
    if key == "BREAKER" and not value < 1:
        said = _('DBMAIL["BREAKER"] is a share, such as 0.1; %(value)s would never be reached.')
        raise SettingError(said % {"value": value})
    if wanted is timedelta and value <= timedelta(0):
        raise SettingError(_("DBMAIL[%(key)r] must be a positive timedelta.") % {"key": key})
    if key == "CATEGORIES":
        _check_categories(value)
    if key == "LAYOUTS":
        _check_layouts(value)
    if key == "DKIM":
        _check_dkim(value)
    if key == "IN_DOUBT" and value not in ("resend", "hold"):
        raise SettingError(_('DBMAIL["IN_DOUBT"] must be "resend" or "hold", not %(value)r.') % {"value": value})
    if key == "APPROVAL" and value not in ("typed", "second"):
        raise SettingError(_('DBMAIL["APPROVAL"] must be "typed" or "second", not %(value)r.') % {"value": value})
    if key == "SITE_URL" and value and not value.startswith(("https://", "http://")):
        raise SettingError(_('DBMAIL["SITE_URL"] must begin with https://, not %(value)r.') % {"value": value})
    return value


def _check_categories(categories: dict[Any, Any]) -> None:
    for name, title in categories.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) or name == "all":
            said = _(
                'DBMAIL["CATEGORIES"]: %(name)r cannot be the name of a category; '
                'use up to 64 of a-z, 0-9, "_" and "-", and not "all".'
            )
            raise SettingError(said % {"name": name})
        if not isinstance(title, str | Promise) or not title:
            said = _('DBMAIL["CATEGORIES"][%(name)r] must be the title that people see.')
            raise SettingError(said % {"name": name})


def _check_layouts(given: dict[Any, Any]) -> None:
    for name, value in given.items():
        if not isinstance(name, str) or not 0 < len(name) <= 64:
            said = _('DBMAIL["LAYOUTS"]: %(name)r cannot be the name of a layout; use up to 64 characters.')
            raise SettingError(said % {"name": name})
        parts = (name, value) if isinstance(value, str) else value
        if (
            not isinstance(parts, tuple | list)
            or len(parts) != 2
            or not all(isinstance(p, str | Promise) for p in parts)
        ):
            said = _('DBMAIL["LAYOUTS"][%(name)r] must be the name of a template, or (title, template).')
            raise SettingError(said % {"name": name})


def _ips(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_address(text)) for text in texts)
    except ValueError as error:
        raise SettingError(f'DBMAIL["SENDS_FROM"]: {error}.') from error


def _check_dkim(given: dict[Any, Any]) -> None:
    wrong = set(given) - {"SELECTOR", "KEY", "DOMAIN"}
    if wrong or (given and not (given.get("SELECTOR") and given.get("KEY"))):
        raise SettingError(_('DBMAIL["DKIM"] must hold SELECTOR and KEY, and may hold DOMAIN; nothing else.'))
    if not all(isinstance(value, str) for value in given.values()):
        raise SettingError(_('DBMAIL["DKIM"]: SELECTOR, KEY (a path) and DOMAIN must be strings.'))


def category_choices() -> list[tuple[str, Any]]:
    """The categories of the project, as choices of a form field; none where DBMAIL cannot be read: a check says so."""
    try:
        return list(config().categories.items())
    except SettingError:
        return []


def check_category(name: str) -> None:
    """Raises UnknownCategory unless the project declares a category of this name; "" is none, which is fine."""
    known = config().categories
    if name and name not in known:
        said = _('DBMAIL["CATEGORIES"] has no category %(name)r. Known: %(known)s.')
        if not known:
            said = _('DBMAIL["CATEGORIES"] has no category %(name)r. It has none.')
        raise UnknownCategory(said % {"name": name, "known": ", ".join(known)})


def layouts() -> dict[str, tuple[Any, str]]:
    """The layouts of the project: name -> title and template. Raises SettingError."""
    given = config().layouts
    return {name: (name, value) if isinstance(value, str) else tuple(value) for name, value in given.items()}


def layout_choices() -> list[tuple[str, Any]]:
    """As `category_choices`, for layouts."""
    try:
        return [(name, title) for name, (title, _template) in layouts().items()]
    except SettingError:
        return []


def load(key: str, dotted_path: str) -> Callable[..., Any]:
    """The function at `dotted_path`, the value of the setting `key`. Raises SettingError."""
    try:
        return import_string(dotted_path)
    except ImportError as error:
        said = _("DBMAIL[%(key)r] = %(path)r cannot be imported: %(error)s")
        raise SettingError(said % {"key": key, "path": dotted_path, "error": error}) from error


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
