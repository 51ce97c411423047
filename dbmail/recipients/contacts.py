"""A user's guardian and emergency contact, as the host project's resolver tells them for many users at once."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from ..conf import config, load
from ..exceptions import SettingError

Contacts = dict[Any, dict[str, tuple[str, str]]]


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
            said = _("The contact resolver failed: %(error)s")
            failed[user.pk] = said % {"error": f"{type(error).__name__}: {error}"}
    return found, failed
