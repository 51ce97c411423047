"""Doing once more what a database broke off."""

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds to go on trying to reach a database that went away.
PATIENCE = 60
_TRIES = 10
#: MariaDB's and MySQL's error number, PostgreSQL's SQLSTATE.
_DEADLOCK = (1213, "40P01")


def after_deadlock(work: Callable[P, T]) -> Callable[P, T]:
    """Decorates one whole transaction: do it again if the database ended it since it and another waited for each
    other. That is how InnoDB and PostgreSQL want it: which rows a statement locks is their optimiser's choice."""

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
