"""Two clocks that no host's wrong time disturbs: the database server's, which workers share, and the kernel's."""

import time
from datetime import UTC, datetime

from django.conf import settings
from django.db import connection
from django.utils import timezone

_EPOCH_OF = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
}


def database_now() -> datetime:
    """The time by the clock that all workers have in common: leases are counted by it. One small query, or none on
    SQLite, where they share a host."""
    statement = _EPOCH_OF.get(connection.vendor)
    if statement is None:
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(statement)
        now = datetime.fromtimestamp(float(cursor.fetchone()[0]), UTC)
    return now if settings.USE_TZ else timezone.make_naive(now, timezone.get_default_timezone())


def uptime() -> float:
    """Seconds that pass evenly, whoever sets the time; where the system can say so, also while it sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
