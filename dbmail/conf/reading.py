"""From what a settings file says to a Config, and everything that is wrong on the way, each with what to write.

Settings are read when they are first used, and again after a test has changed one.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.translation import gettext as _

from ..addresses import domain_of, parse_mailbox
from ..exceptions import SettingError, WrongValue
from .groups import Group, Setting, example_of, settings_of
from .settings import Config, Outside
from .suggest import as_python, nearest, shortly

G = TypeVar("G", bound=Group)

#: Old key -> where the same value stands now.
MOVED: dict[str, tuple[str, str]] = {
    "RETRIES": ("RETRY", "TRIES"),
    "RETRY_WAIT": ("RETRY", "WAIT"),
    "CANARY": ("BREAKER", "CANARY"),
    "CANARY_WAIT": ("BREAKER", "CANARY_WAIT"),
    "RENDER_MAX_SIZE": ("TEXT_LIMITS", "CHARACTERS"),
    "RENDER_MAX_SECONDS": ("TEXT_LIMITS", "SECONDS"),
    "APPROVAL": ("LARGE_AUDIENCE", "APPROVAL"),
    "HARD_BOUNCE_REST": ("BOUNCE_REST", "HARD"),
    "SOFT_BOUNCE_REST": ("BOUNCE_REST", "SOFT"),
    "SOFT_BOUNCES": ("BOUNCE_REST", "SOFT_BOUNCES"),
    "SOFT_BOUNCE_WINDOW": ("BOUNCE_REST", "SOFT_WITHIN"),
    "DKIM_SELECTORS": ("DNS", "DKIM_SELECTORS"),
    "RESOLVERS": ("DNS", "RESOLVERS"),
    "SENDS_FROM": ("DNS", "SENDS_FROM"),
    "AUTHSERV_IDS": ("INCOMING", "AUTHSERV_IDS"),
    "INCOMING_MAX_SIZE": ("INCOMING", "MAX_SIZE"),
    "INCOMING_MAX_RECIPIENTS": ("INCOMING", "MAX_RECIPIENTS"),
    "INCOMING_NOTICES": ("INCOMING", "NOTICES"),
    "INCOMING_SEND_SECONDS": ("INCOMING", "SEND_SECONDS"),
    "INCOMING_KEEP": ("INCOMING", "KEEP"),
}

#: Old keys whose values nobody had a reason to change. They are constants now, beside the code that they bound.
GONE = frozenset(["BATCH_SIZE", "CHUNK_SIZE", "INCOMING_MAX_RECEIVED", "WEBHOOK_TOLERANCE"])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands: in DBMAIL under these keys, or in a setting beside it."""

    keys: tuple[Any, ...] = ()
    is_outside: bool = False

    def __str__(self) -> str:
        first, *rest = self.keys if self.is_outside else ("DBMAIL", *self.keys)
        inside = "".join(f"[{as_python(key)}]" for key in rest)
        return _("The setting %(name)s") % {"name": f"{first}{inside}"} if self.is_outside else f"{first}{inside}"

    def __truediv__(self, key: Any) -> "_Place":
        return dataclasses.replace(self, keys=(*self.keys, key))

    def assigned(self, code: str) -> str:
        """The line of a settings file that puts `code` in this place."""
        if self.is_outside:
            return f"{self.keys[0]} = {code}"
        *outer, last = self.keys
        code = f"{as_python(last)}: {code}"
        for key in reversed(outer):
            code = f"{as_python(key)}: {{{code}}}"
        return code


@lru_cache(maxsize=1)
def config() -> Config:
    """The settings in force. Raises SettingError for the first that is wrong; `manage.py check` tells all."""
    found, problems = read_settings()
    if problems:
        raise problems[0]
    return found


def read_settings() -> tuple[Config, list[SettingError]]:
    """The settings in force, with the default in place of each value that is wrong, and what is wrong with those."""
    problems: list[SettingError] = []
    inside = _read(Config, getattr(settings, "DBMAIL", {}), _Place(), problems)
    others = {key: getattr(settings, key, None) for key in settings_of(Outside)}
    # None is as good as nothing, but for the sender, whom Django needs as well.
    given = {key: value for key, value in others.items() if value is not None or key == "DEFAULT_FROM_EMAIL"}
    outside = _read(Outside, given, _Place(is_outside=True), problems)
    return _together(inside, outside), problems


def _together(config: Config, outside: Outside) -> Config:
    """`config` with what other settings say where it says nothing, and where they win."""
    addresses = outside.default_email_addresses
    bounces = config.bounces or addresses.get("bounces") or outside.default_from_email
    return dataclasses.replace(
        config,
        from_domains=config.from_domains or (domain_of(parse_mailbox(outside.default_from_email).address),),
        bounces=bounces,
        support=config.support or addresses.get("support") or bounces,
        retry=dataclasses.replace(config.retry, tries=outside.emailretries or config.retry.tries),
    )


def _read(cls: type[G], given: Any, place: _Place, problems: list[SettingError]) -> G:
    """`given` as a `cls`; each thing that is wrong is appended to `problems`, and left at its default."""
    if not isinstance(given, Mapping):
        said = _("A dict is needed, not %(value)s.") % {"value": shortly(given)}
        hint = _("For example: %(code)s") % {"code": 'DBMAIL = {"SITE_URL": "https://example.org"}'}
        problems.append(SettingError(f"{place}: {said}", hint))
        return cls()
    known, before, values = settings_of(cls), len(problems), {}
    for key, value in given.items():
        if key not in known:
            problems.append(_unknown(key, value, place, known))
            continue
        name, declared = known[key]
        try:
            values[name] = _value(declared, value, place / key, problems)
        except WrongValue as wrong:
            problems.append(_problem(wrong, place / key, declared))
    if len(problems) > before:
        return cls(**values)
    found = cls(**values)
    try:
        found.check()
    except WrongValue as wrong:
        problems.append(_problem(wrong, place, Setting("", group=cls)))
        return cls()
    return found


def _value(declared: Setting, value: Any, place: _Place, problems: list[SettingError]) -> Any:
    if declared.kind is not None:
        return declared.kind.read(value)
    assert declared.group is not None  # noqa: S101 - a setting is one or the other
    if isinstance(value, Mapping):
        return _read(declared.group, value, place, problems)
    said = _("A dict is needed, not %(value)s.") % {"value": shortly(value)}
    raise WrongValue(said, _in_a_dict(declared, value))


def _in_a_dict(declared: Setting, value: Any) -> str:
    """{"SHARE": 0.2} for a value 0.2 that may have been meant so; "" if it may not."""
    inner = settings_of(declared.group)[declared.bare][1] if declared.group and declared.bare else None
    if inner is None or inner.kind is None:
        return ""
    try:
        inner.kind.read(value)
    except WrongValue:
        return ""
    return as_python({declared.bare: value})


def _problem(wrong: WrongValue, place: _Place, declared: Setting) -> SettingError:
    at = place
    for key in wrong.at:
        at /= key
    if wrong.write:
        hint = _("Write %(code)s") % {"code": wrong.write}
    else:
        hint = _("For example: %(code)s") % {"code": place.assigned(example_of(declared))}
    return SettingError(f"{at}: {wrong}", hint)


def _unknown(key: Any, value: Any, place: _Place, known: Mapping[str, Any]) -> SettingError:
    """What to say of a key that is none: what it is called now, where it belongs, or what it is most like."""
    here, code = place / key, shortly(value)
    if not place.keys and key in GONE:
        return SettingError(_("%(old)s is no longer a setting.") % {"old": here}, _("Remove it."))
    if not place.keys and key in MOVED:
        now = _Place(MOVED[key])
        said = _("%(old)s is now %(new)s.") % {"old": here, "new": now}
        return SettingError(said, _("Write %(code)s") % {"code": now.assigned(code)})
    said = f"{here}: {_('There is no setting of this name.')}"
    if key in settings_of(Outside):
        outside = _Place((key,), is_outside=True).assigned(code)
        return SettingError(said, _("It stands outside of DBMAIL: %(code)s") % {"code": outside})
    near = nearest(key, known)
    there = _elsewhere(key) or (place / near if near else None)
    if there:
        return SettingError(said, _("Write %(code)s") % {"code": there.assigned(code)})
    return SettingError(said, _("Known: %(known)s.") % {"known": ", ".join(sorted(known))})


def _elsewhere(key: Any) -> _Place | None:
    """Where a key of this very name does stand."""
    for outer, (_name, declared) in settings_of(Config).items():
        if outer == key:
            return _Place((outer,))
        if declared.group and key in settings_of(declared.group):
            return _Place((outer, key))
    return None


def _forget(**_kwargs: Any) -> None:
    config.cache_clear()


setting_changed.connect(_forget, dispatch_uid="dbmail.conf")
