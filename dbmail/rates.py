"""How many mails may go in how long: the limits in DBMAIL["RATES"], read into values.

parse_rates({"sender:example.org": "500/h", "domain:gmail.com": "20/min", "domain:*": "100/min", "all": "14/s"})
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from .addresses import check_address, domain_of, normalise
from .exceptions import AddressError, WrongValue

#: A rate as the setting has it: count, number of units, unit.
_RATE = re.compile(r"(\d{1,9})\s*/\s*(\d{0,6})\s*(s|min|h|d)")
#: A rate as people write it, for the hint: "500 per hour", "20 / minute".
_IN_WORDS = re.compile(
    r"([1-9]\d{0,8})\s*(?:/|per|an?)\s*(\d{0,6})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
)
#: How long each unit of a rate lasts.
_UNITS = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` mails within any period of length `window`."""

    count: int
    window: timedelta

    def __str__(self) -> str:
        return f"{self.count} in {self.window}"


@dataclass(frozen=True, slots=True)
class Rates:
    """All limits, by their keys: "all", "sender:ADDRESS", "sender:DOMAIN", "sender:*", "domain:DOMAIN", "domain:*"."""

    limits: Mapping[str, Rate] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.limits)

    @property
    def longest(self) -> timedelta:
        return max((rate.window for rate in self.limits.values()), default=timedelta(0))

    def of(self, sender: str, recipient: str) -> tuple[tuple[str, Rate], ...]:
        """The limits that a mail from `sender` to `recipient` (bare addresses) is counted under, each with the key
        that its count is kept under. A star stands for each domain without a limit of its own."""
        sender_domain, recipient_domain = domain_of(sender), domain_of(recipient)
        found = [
            ("all", self.limits.get("all")),
            (key := f"sender:{normalise(sender)}", self.limits.get(key)),
            (key := f"sender:{sender_domain}", self.limits.get(key) or self.limits.get("sender:*")),
            (key := f"domain:{recipient_domain}", self.limits.get(key) or self.limits.get("domain:*")),
        ]
        return tuple((key, rate) for key, rate in found if rate)


def parse_rates(given: Mapping[Any, Any]) -> Rates:
    """The setting as values. Raises WrongValue with the key and what is wrong with it."""
    limits: dict[str, Rate] = {}
    for key, value in given.items():
        name = _key(key)
        if name in limits:
            raise WrongValue(_("There are two limits for %(name)s.") % {"name": name})
        limits[name] = _rate(key, value)
    return Rates(limits)


def _key(key: Any) -> str:
    kind, colon, name = key.partition(":") if isinstance(key, str) else ("", "", "")
    if key == "all" or (kind in ("sender", "domain") and name == "*"):
        return str(key)
    if kind not in ("sender", "domain") or not colon:
        said = _(
            'There is no limit of this name; known are "all", "sender:" with an address, a domain or *, '
            'and "domain:" with a recipient domain or *.'
        )
        raise WrongValue(said, at=(key,))
    is_address = kind == "sender" and not name.startswith("@") and "@" in name
    try:
        address = check_address(name if is_address else f"x@{name}")
    except AddressError:
        said = _("%(name)r is not a domain or *.")
        if kind == "sender":
            said = _("%(name)r is not an address, a domain or *.")
        raise WrongValue(said % {"name": name}, at=(key,)) from None
    return f"{kind}:{normalise(address) if is_address else domain_of(address)}"


def _rate(key: str, value: Any) -> Rate:
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        said = _(
            'A number of mails in a time is needed, such as "500/h", "20/min" or "100/10min" (units s, min, h, d), '
            "not %(value)r."
        )
        raise WrongValue(said % {"value": value}, _meant(value), (key,))
    count, units = int(match[1]), int(match[2] or 1)
    if not count or not units or units * _UNITS[match[3]] > timedelta(days=7):
        said = _("It must allow at least 1 mail in at most 7 days, not %(value)r.")
        raise WrongValue(said % {"value": value}, at=(key,))
    return Rate(count, units * _UNITS[match[3]])


def _meant(value: Any) -> str:
    """How a rate in words ("500 per hour", "20 / minute") is written in the setting; "" if it is not understood."""
    said = _IN_WORDS.fullmatch(str(value).strip().lower())
    if not said:
        return ""
    units = {"s": "s", "m": "min", "h": "h", "d": "d"}
    return f'"{said[1]}/{said[2]}{units[said[3][0]]}"'
