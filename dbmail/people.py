"""A user's name and address, on whatever user model the project has (AbstractBaseUser has neither method)."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q


def address_of(user: Any) -> str:
    """The address in the user model's e-mail field, as it stands there; empty without a user or an address."""
    if user is None:
        return ""
    address = getattr(user, user.get_email_field_name(), "")
    return address.strip() if isinstance(address, str) else ""


def name_of(user: Any) -> str:
    """The full name as the model tells it; empty where the model knows none."""
    full_name = getattr(user, "get_full_name", None)
    return (full_name() or "").strip() if callable(full_name) else ""


def has_address(address: str) -> Q:
    """The condition on the user model that finds the accounts with this address, whatever its case."""
    return Q(**{f"{get_user_model().get_email_field_name()}__iexact": address.strip()})
