"""Who a student's guardian and emergency contact are: what DBMAIL["CONTACTS"] names."""

from collections.abc import Sequence
from typing import Any

from .models import Profile


def contacts(users: Sequence[Any]) -> dict[Any, dict[str, tuple[str, str]]]:
    """The contacts of all `users`, with one query."""
    return {
        profile.user_id: {
            "guardian": (profile.guardian_email, profile.guardian_name),
            "emergency": (profile.emergency_email, profile.emergency_name),
        }
        for profile in Profile.objects.filter(user__in=users)
    }
