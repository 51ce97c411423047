"""Checks of the audience. Each is a pure function from what a survey counted to findings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .content import CLIPPED_AFTER
from .findings import Finding, Level


@dataclass(frozen=True, slots=True)
class Audience:
    """Numbers of a whole or (`looked_at` < `people`) partial look. `large`: people above which one should pause."""

    people: int
    looked_at: int = 0
    mails: int = 0
    duplicates: int = 0
    suppressed: int = 0
    without_address: int = 0
    unresolved: int = 0
    failed: int = 0
    why_failed: str = ""
    biggest: int = 0
    empty: Mapping[str, int] = field(default_factory=dict)
    sendto: str = ""
    large: int = 2000

    @classmethod
    def read(cls, numbers: Any, **fields: Any) -> "Audience":
        """From what the page has added up; whatever is no number counts as 0."""
        given = numbers if isinstance(numbers, dict) else {}
        names = (
            "people",
            "looked_at",
            "mails",
            "duplicates",
            "suppressed",
            "without_address",
            "unresolved",
            "failed",
            "biggest",
        )
        empty = given.get("empty")
        empty = empty if isinstance(empty, dict) else {}
        counted: dict[str, Any] = {name: _number(given.get(name)) for name in names}
        return cls(
            **counted,
            why_failed=str(given.get("why_failed") or "")[:500],
            empty={str(name)[:100]: _number(count) for name, count in list(empty.items())[:100]},
            **fields,
        )


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _shown(number: int) -> str:
    return number_format(number, force_grouping=True)


def check_audience(audience: Audience) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(audience)]


def _nobody(audience: Audience) -> Iterator[Finding]:
    if not audience.people:
        yield Finding(Level.ERROR, "audience", _("Nobody is in the audience."))
    elif audience.looked_at and not audience.mails:
        yield Finding(Level.ERROR, "audience", _("Nobody in the audience has an address that can get mail."))


def _large(audience: Audience) -> Iterator[Finding]:
    if audience.people > audience.large:
        message = _("The audience is large: %(people)s people.") % {"people": _shown(audience.people)}
        yield Finding(Level.WARNING, "audience", message)


def _contacts(audience: Audience) -> Iterator[Finding]:
    if "guardian" in audience.sendto:
        yield Finding(Level.NOTE, "sendto_fn_name", _("Guardians get it. Does the text speak to them?"))
    if "emergency" in audience.sendto:
        message = _("Emergency contacts get it: people who gave their address for emergencies only.")
        yield Finding(Level.WARNING, "sendto_fn_name", message)


def _left_out(audience: Audience) -> Iterator[Finding]:
    for number, text in (
        (
            audience.suppressed,
            ngettext(
                "%(number)s address is left out: it unsubscribed or cannot be reached.",
                "%(number)s addresses are left out: they unsubscribed or cannot be reached.",
                audience.suppressed,
            ),
        ),
        (
            audience.duplicates,
            ngettext(
                "%(number)s address comes twice. It gets one mail where the text is the same.",
                "%(number)s times an address comes again. It gets one mail where the text is the same.",
                audience.duplicates,
            ),
        ),
        (
            audience.without_address,
            ngettext(
                "%(number)s person has no such address and gets nothing.",
                "%(number)s people have no such address and get nothing.",
                audience.without_address,
            ),
        ),
    ):
        if number:
            yield Finding(Level.NOTE, "sendto_fn_name", text % {"number": _shown(number)})
    if audience.unresolved:
        message = ngettext(
            "%(number)s person has an address that cannot be used.",
            "%(number)s people have an address that cannot be used.",
            audience.unresolved,
        )
        message %= {"number": _shown(audience.unresolved)}
        yield Finding(Level.WARNING, "sendto_fn_name", message)


def _rendering(audience: Audience) -> Iterator[Finding]:
    if audience.failed:
        message = ngettext(
            "The text fails for %(number)s person: %(why)s",
            "The text fails for %(number)s people: %(why)s",
            audience.failed,
        )
        message %= {"number": _shown(audience.failed), "why": audience.why_failed}
        yield Finding(Level.ERROR, "msgtext", message)
    for name, count in sorted(audience.empty.items()):
        if count:
            message = ngettext(
                "{{ %(name)s }} is empty for %(number)s person.",
                "{{ %(name)s }} is empty for %(number)s people.",
                count,
            )
            yield Finding(Level.WARNING, "msgtext", message % {"name": name, "number": _shown(count)})
    if audience.biggest > CLIPPED_AFTER:
        message = _("The longest mail has %(size)d KB; Gmail cuts off after 102 KB.")
        yield Finding(Level.WARNING, "msgtext", message % {"size": audience.biggest // 1024})


CHECKS: tuple[Callable[[Audience], Iterator[Finding]], ...] = (_nobody, _large, _contacts, _left_out, _rendering)
