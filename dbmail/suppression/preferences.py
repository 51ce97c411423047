"""What one address gets: each category that the project declares, and all mail."""

from collections.abc import Collection
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from ..conf import config
from ..models.events import MailEvent
from ..models.mail import TextOfEmail
from ..models.suppression import Suppression
from .entries import in_force, lift, suppress

#: Reasons of entries that the person made, and so may undo.
_OWN = (Suppression.Reason.UNSUBSCRIBED,)


@dataclass(frozen=True, slots=True)
class Choice:
    """One category, for a check box. `locked`: somebody else stopped it, so the person cannot change it."""

    name: str
    title: str
    wanted: bool
    locked: bool


@dataclass(frozen=True, slots=True)
class Preferences:
    """What an address gets."""

    #: Normalised.
    address: str
    #: The scope of the mail whose link led here.
    scope: str
    #: Why all mail to the address is stopped; "" if it is not.
    all_stopped: str
    #: Why mail of `scope` is stopped; "" if it is not.
    scope_stopped: str
    choices: tuple[Choice, ...]

    @property
    def stopped(self) -> str:
        return self.all_stopped or self.scope_stopped

    @property
    def can_undo(self) -> bool:
        return self.stopped in _OWN

    @property
    def title(self) -> str:
        """What people call the mail of this scope; "" for all mail."""
        return "" if self.scope == Suppression.ALL else str(config().categories.get(self.scope, self.scope))


def preferences(address: str, scope: str = Suppression.ALL) -> Preferences:
    """Those of a normalised address, as seen from a mail of `scope`. One query."""
    reasons = dict(in_force().filter(address=address).values_list("scope", "reason"))
    choices = tuple(
        Choice(name, str(title), name not in reasons, name in reasons and reasons[name] not in _OWN)
        for name, title in config().categories.items()
    )
    everything = reasons.get(Suppression.ALL, "")
    return Preferences(address, scope, everything, reasons.get(scope, ""), choices)


def stop(address: str, scope: str, source: str = gettext_noop("unsubscribe page")) -> None:
    """Suppress `scope` as the person asked, and add an event to the last broadcast mail of it that they got.

    The token does not name the mail, and people mostly unsubscribe from the last one.
    """
    suppress(address, Suppression.Reason.UNSUBSCRIBED, scope=scope, source=source)
    mails = TextOfEmail.objects.filter(address=address, state=TextOfEmail.State.SENT, messagerequest__isnull=False)
    if scope != Suppression.ALL:
        mails = mails.filter(scope=scope)
    last = mails.order_by("-pk").values_list("pk", flat=True).first()
    if last is not None:
        kind = MailEvent.Type.UNSUBSCRIBED
        event = {"textofemail_id": last, "address": address, "event_type": kind, "source": "unsubscribe"}
        MailEvent.objects.get_or_create(event_id=f"dbmail unsubscribe {last}", defaults=event)


def start_again(address: str, scope: str) -> bool:
    """Undo a person's own unsubscribing; a bounce and an administrator's entry stay."""
    return lift(address, scope=scope, reasons=_OWN)


def choose(address: str, wanted: Collection[str]) -> None:
    """Make the address get the declared categories in `wanted`, and no other declared one."""
    for choice in preferences(address).choices:
        if choice.wanted and choice.name not in wanted:
            stop(address, choice.name)
        elif not choice.wanted and choice.name in wanted:
            start_again(address, choice.name)
