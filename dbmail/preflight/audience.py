"""Checks of the audience. Each is a pure function from what a survey has seen to remarks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import MessageRequest
from .content import CLIPPED_AFTER, Remark, Severity
from .reach import Reach, Seen, Tally


@dataclass(frozen=True, slots=True)
class Audience:
    """What the checks go by."""

    #: How many people there are.
    people: int
    #: What a survey of some or all of them has seen.
    seen: Seen = field(default_factory=Seen)
    #: Name of the chosen send-to function.
    sendto: str = ""
    #: An audience of more people than this is large.
    large: int = 2000

    @property
    def reach(self) -> Reach:
        return self.seen.reach.get("" if self.sendto == MessageRequest.SEND_TO_SELF_REAL else self.sendto, Reach())


def _shown(number: int) -> str:
    return number_format(number, force_grouping=True)


def check_audience(audience: Audience) -> list[Remark]:
    return [remark for check in CHECKS for remark in check(audience)]


def check_choices(sendto: str, nobody: bool) -> list[Remark]:
    """The remarks that need no survey: they tell nothing about anybody."""
    if nobody:
        return [Remark(Severity.ERROR, "audience", _("Nobody is in the audience."))]
    return list(_contacts(Audience(1, sendto=sendto)))


def _nobody(audience: Audience) -> Iterator[Remark]:
    if not audience.people:
        yield Remark(Severity.ERROR, "audience", _("Nobody is in the audience."))
    elif audience.seen.people >= audience.people and not audience.reach.mails:
        yield Remark(Severity.ERROR, "audience", _("Nobody in the audience has an address that can get mail."))


def _large(audience: Audience) -> Iterator[Remark]:
    if audience.people > audience.large:
        message = _("The audience is large: %(people)s people.") % {"people": _shown(audience.people)}
        yield Remark(Severity.WARNING, "audience", message)


def _contacts(audience: Audience) -> Iterator[Remark]:
    if "guardian" in audience.sendto:
        yield Remark(Severity.NOTE, "sendto_fn_name", _("Guardians get it. Does the text speak to them?"))
    if "emergency" in audience.sendto:
        message = _("Emergency contacts get it: people who gave their address for emergencies only.")
        yield Remark(Severity.WARNING, "sendto_fn_name", message)


def _left_out(audience: Audience) -> Iterator[Remark]:
    if number := audience.reach.suppressed:
        text = ngettext(
            "%(number)s address is left out: it unsubscribed or cannot be reached.",
            "%(number)s addresses are left out: they unsubscribed or cannot be reached.",
            number,
        )
        yield Remark(Severity.NOTE, "sendto_fn_name", text % {"number": _shown(number)})
    if number := audience.reach.duplicates:
        text = ngettext(
            "%(number)s mail less: the same text goes to the same address for somebody else already.",
            "%(number)s mails less: the same text goes to the same address for somebody else already.",
            number,
        )
        yield Remark(Severity.NOTE, "sendto_fn_name", text % {"number": _shown(number)})


def _unreached(audience: Audience) -> Iterator[Remark]:
    if number := audience.seen.without_address.count:
        text = ngettext(
            "%(number)s person has no such address and gets nothing.",
            "%(number)s people have no such address and get nothing.",
            number,
        )
        yield _about(audience.seen.without_address, Severity.NOTE, "sendto_fn_name", text)
    if number := audience.seen.unresolved.count:
        text = ngettext(
            "%(number)s person has an address that cannot be used.",
            "%(number)s people have an address that cannot be used.",
            number,
        )
        yield _about(audience.seen.unresolved, Severity.WARNING, "sendto_fn_name", text)


def _failures(audience: Audience) -> Iterator[Remark]:
    for why, tally in sorted(audience.seen.failures.items(), key=lambda item: -item[1].count):
        if why:
            text = ngettext(
                "The text fails for %(number)s person: %(why)s",
                "The text fails for %(number)s people: %(why)s",
                tally.count,
            )
        else:
            text = ngettext(
                "The text fails for %(number)s person.",
                "The text fails for %(number)s people.",
                tally.count,
            )
        yield _about(tally, Severity.ERROR, "msgtext", text, why=why)


def _empty(audience: Audience) -> Iterator[Remark]:
    for name, tally in sorted(audience.seen.empty.items()):
        text = ngettext(
            "{{ %(name)s }} is empty for %(number)s person.",
            "{{ %(name)s }} is empty for %(number)s people.",
            tally.count,
        )
        yield _about(tally, Severity.WARNING, "msgtext", text, name=name)


def _size(audience: Audience) -> Iterator[Remark]:
    if audience.seen.biggest > CLIPPED_AFTER:
        message = _("The longest mail has %(size)d KB; Gmail cuts off after 102 KB.")
        longest = Tally(1, [audience.seen.biggest_for])
        yield _about(longest, Severity.WARNING, "msgtext", message, size=audience.seen.biggest // 1024)


def _about(tally: Tally, severity: Severity, place: str, text: str, **values: object) -> Remark:
    message = text % {"number": _shown(tally.count), **values}
    return Remark(severity, place, message, people=tuple(tally.people))


CHECKS: tuple[Callable[[Audience], Iterator[Remark]], ...] = (
    *(_nobody, _large, _contacts, _left_out, _unreached),
    *(_failures, _empty, _size),
)
