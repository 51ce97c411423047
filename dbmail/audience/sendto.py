"""Send-to functions: which addresses of a user get a message; contacts come from the host project's resolver."""

from collections.abc import Callable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..addresses import Mailbox, check_address, normalise, one_line
from ..blame import Blame, blame, database_error, in_words
from ..conf import config, load
from ..exceptions import AddressError, SettingError, UnknownSendTo
from ..people import address_of, name_of

#: By user key and kind of contact ("guardian", "emergency"): (address, name).
Contacts = dict[Any, dict[str, tuple[str, str]]]

#: Send-to function -> which of a user's addresses it takes.
_KINDS: dict[str, tuple[str, ...]] = {
    "": ("self",),
    "send_to_self": ("self",),
    "send_to_guardian": ("guardian",),
    "send_to_emergency": ("emergency",),
    "send_to_self_and_guardian": ("self", "guardian"),
    "send_to_self_and_emergency": ("self", "emergency"),
    "send_to_guardian_and_emergency": ("guardian", "emergency"),
    "send_to_self_and_guardian_and_emergency": ("self", "guardian", "emergency"),
}
#: What a failure report says of an address that cannot be used.
_UNUSABLE = {
    "self": gettext_noop("The person's address cannot be used: %(error)s"),
    "guardian": gettext_noop("The guardian's address cannot be used: %(error)s"),
    "emergency": gettext_noop("The emergency contact's address cannot be used: %(error)s"),
}


def contacts_of(users: Sequence[Any]) -> tuple[Contacts, dict[Any, str]]:
    """The contacts by user key, and by user key why they could not be found.

    The resolver is asked once for all. Only where that raises is it asked for each user, so that one
    bad record loses one user. Raises SettingError where DBMAIL["CONTACTS"] is not set.
    """
    if not config().contacts:
        raise SettingError(_('Set DBMAIL["CONTACTS"] to the function that finds guardian and emergency contacts.'))
    resolver = load("CONTACTS", config().contacts)
    try:
        return dict(resolver(users)), {}
    except Exception:  # The resolver is the project's code: whatever it raises, the other users still count.
        return _one_by_one(resolver, users)


def _one_by_one(resolver: Any, users: Sequence[Any]) -> tuple[Contacts, dict[Any, str]]:
    found: Contacts = {}
    failed: dict[Any, str] = {}
    for user in users:
        try:
            found.update(resolver([user]))
        except Exception as error:  # as above; the reason is kept for the report
            of_database = database_error(error)
            if of_database and blame(error) is not Blame.OWN:
                # Nobody goes without mail for that: later it is answered.
                raise of_database from of_database.__cause__
            said = _("The contact resolver failed: %(error)s")
            failed[user.pk] = said % {"error": in_words(error)}
    return found, failed


def addresses_for(users: Sequence[Any], sendto_name: str) -> tuple[dict[Any, list[Mailbox]], dict[Any, str]]:
    """For each user's key the mailboxes that get the message, and for each that had trouble the reason.

    A contact without an address yields nothing; an emergency contact that is missing is the guardian;
    an address that comes twice for one user counts once. A user can stand in both answers: an address
    that cannot be used takes none of the others away. Raises UnknownSendTo, SettingError.
    """
    kinds = kinds_of(sendto_name)
    contacts, failed = contacts_of(users) if kinds != ("self",) else ({}, {})
    found: dict[Any, list[Mailbox]] = {}
    for user in users:
        boxes: dict[str, Mailbox] = {}
        for kind in kinds:
            try:
                box = _mailbox(user, kind, contacts.get(user.pk) or {})
            except (AddressError, TypeError, ValueError, AttributeError) as error:
                failed[user.pk] = _(_UNUSABLE[kind]) % {"error": error}
            else:
                if box:
                    boxes.setdefault(normalise(box.address), box)
        found[user.pk] = list(boxes.values())
    return found, failed


def kinds_of(name: str) -> tuple[str, ...]:
    """Which of a user's addresses a send-to function takes. Raises UnknownSendTo."""
    try:
        return _KINDS[name]
    except KeyError:
        known = ", ".join(filter(None, _KINDS))
        said = _("%(name)r is not a send-to function. Known: %(known)s.")
        raise UnknownSendTo(said % {"name": name, "known": known}) from None


def _mailbox(user: Any, kind: str, contacts: dict[str, tuple[str, str]]) -> Mailbox | None:
    """The user's own mailbox or that contact's; None where there is no address."""
    if kind == "self":
        pair = (address_of(user), name_of(user))
    else:
        pair = contacts.get(kind) or contacts.get("guardian") or ("", "")
    address, name = pair
    address = (address or "").strip()
    return Mailbox(check_address(address), one_line(name or "")) if address else None


def send_to_function(name: str) -> Callable[[Any], list[tuple[str, str]]]:
    """The function user -> [(address, name), ...] of this name. Raises UnknownSendTo."""
    kinds = kinds_of(name)

    def send_to(user: Any) -> list[tuple[str, str]]:
        found, _failed = addresses_for([user], name)
        return [(box.address, box.name) for box in found[user.pk]]

    send_to.__name__ = name or "send_to_self"
    send_to.__doc__ = f"The {' and '.join(kinds)} mailboxes of a user, each (address, name)."
    return send_to
