"""What the database server does for workers beside keeping rows: transactions done again, its clock, waking."""

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections
from django.utils import timezone

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
#: Seconds to go on trying to reach a database that went away.
PATIENCE = 60
_TRIES = 10
#: MariaDB's and MySQL's error number, PostgreSQL's SQLSTATE; the last is what it says where a project has made
#: transactions stricter than they are by default.
_DEADLOCK = (1213, "40P01", "40001")


def after_deadlock(work: Callable[P, T]) -> Callable[P, T]:
    """Retry the decorated function, which must be one whole transaction, when the database aborts it as the victim of
    a deadlock. InnoDB and PostgreSQL expect that: which rows a statement locks is their optimiser's choice."""

    @wraps(work)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        for tries_left in reversed(range(_TRIES)):
            try:
                return work(*args, **kwargs)
            except OperationalError as error:
                if not tries_left or connection.in_atomic_block or not _is_deadlock(error):
                    raise
                log.info("The database ended a transaction that waited for another; doing it again")
                time.sleep(random.uniform(0, 0.05))  # noqa: S311 - apart from whoever it met
        raise AssertionError  # the last try returns or raises

    return again


def _is_deadlock(error: OperationalError) -> bool:
    code = getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
    return (code or (error.args[0] if error.args else None)) in _DEADLOCK


def persistently(work: Callable[[], T]) -> T:
    """Do `work`, again and again for a minute if the database is away: what was sent must be written down."""
    deadline, work = time.monotonic() + PATIENCE, after_deadlock(work)
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or time.monotonic() > deadline:
                raise
            log.warning("The database does not answer (%s); trying again", type(error).__name__)
            connection.close()
            time.sleep(0.5)


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


CHANNEL = "dbmail_outbox"


def wake_workers(using: str | None = None) -> None:
    """Say that a broadcast or a mail waits. In a transaction it is said with the commit, once however often it is
    called; without a commit never. Code of your own that queues by `QuerySet.update()` calls this after it."""
    connection = connections[using or DEFAULT_DB_ALIAS]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
