"""A lease: one worker holds a row until a moment by the database's clock, or until it lets go. Broadcasts that are
processed and mails that are sent are held alike, by their fields `claimed_by` and `claimed_until`."""

from datetime import datetime
from typing import Any

from django.db.models import Q

from ..conf import config
from ..database import database_now

#: The fields of a row that nobody holds.
FREE: dict[str, Any] = {"claimed_by": "", "claimed_until": None}


def lease(worker: str, now: datetime | None = None) -> dict[str, Any]:
    """The fields of a row that `worker` holds for DBMAIL["LEASE"] from `now`, the database's time, or from now on."""
    return {"claimed_by": worker, "claimed_until": (now or database_now()) + config().lease}


def ended(when: datetime) -> Q:
    """Rows whose lease had ended by `when`."""
    return Q(claimed_until__isnull=True) | Q(claimed_until__lt=when)
