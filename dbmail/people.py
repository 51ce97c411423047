"""A user's name, address and standing, on whatever user model the project has (AbstractBaseUser has no method for a
name, its is_active is no column, and is_staff is often a property)."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, Q

# One address or one name is that of few accounts; families share one.
_ACCOUNTS = 50


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


def active_accounts(condition: Q) -> list[Any]:
    """The active accounts that `condition` finds, in the order of their keys; for conditions that find few."""
    model = get_user_model()
    if has_activity(model):
        condition &= Q(is_active=True)
    found = model._default_manager.filter(condition).order_by("pk")[:_ACCOUNTS]
    return [user for user in found if getattr(user, "is_active", True)]


def has_activity(model: type[Model]) -> bool:
    """Whether the model has a column that says who is active."""
    try:
        model._meta.get_field("is_active")
    except FieldDoesNotExist:
        return False
    return True


def is_staff(user: Any) -> bool:
    """Whether the user model counts this account among the staff; nobody where it knows none."""
    return bool(getattr(user, "is_staff", False))
