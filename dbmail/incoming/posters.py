"""What the database knows of an author's address."""

from collections.abc import Iterable

from django.contrib.auth import get_user_model

from ..addresses import Mailbox, normalise
from .rules import Standing


def standing(author: Mailbox | None, members: Iterable[Mailbox], owners: Iterable[str]) -> Standing:
    """Whether the author is a user, staff (or an owner of the list), or among `members`."""
    if author is None:
        return Standing()
    address = normalise(author.address)
    model = get_user_model()
    named = {f"{model.get_email_field_name()}__iexact": author.address, "is_active": True}
    users = list(model._default_manager.filter(**named)[:50])
    is_owner = any(normalise(owner) == address for owner in owners)
    return Standing(
        is_registered=bool(users),
        is_staff=is_owner or any(getattr(user, "is_staff", False) for user in users),
        is_member=any(normalise(member.address) == address for member in members),
    )
