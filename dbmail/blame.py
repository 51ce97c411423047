"""Whose fault an error is: the work's at hand, the database's, or nobody's, since somebody wants us to stop."""

from collections.abc import Iterator
from enum import Enum

from django.db import Error, InterfaceError, OperationalError, connection, transaction

from .stop import signals_raise


class Blame(Enum):
    OWN = "the work's own: it would come again, and other work does well"
    CONTENTION = "nobody's: others were in the way, and it goes well when it is done again"
    DATABASE = "the database's: it takes no work at all now"


#: Deadlocks, conflicts of transactions and locks that were waited for too long: classes and codes of PostgreSQL's
#: SQLSTATE, MariaDB's and MySQL's numbers, SQLite's primary result codes (BUSY, LOCKED).
_CONTENTION: dict[str, tuple[object, ...]] = {
    "postgresql": ("40", "55P03"),
    "mysql": (1205, 1213, 3572),
    "sqlite": (5, 6),
}
#: A connection that broke off, no room, no memory, being shut down, or not to be written to (as after a failover),
#: although it may answer again by now. Not 57014 and its like: that a statement takes too long is its own fault.
_UNWELL: dict[str, tuple[object, ...]] = {
    "postgresql": ("08", "53", "57P", "58", "25006"),
    "mysql": (0, 1021, 1040, 1041, 1053, 1290, 1317, 1836, 1927, 2002, 2003, 2006, 2013, 2055, 4031),
    "sqlite": (7, 8, 10, 11, 13, 14),
}


def blame(error: BaseException) -> Blame:
    """Whose fault `error` is; the database is asked if it had a part in it.

    Where it is the work's own the connection can be used again, whatever it was left in, unless that is a broken
    transaction of the caller's.
    """
    found = database_error(error)
    if found is None:
        return Blame.OWN
    if is_contention(found):
        return Blame.CONTENTION
    if _is_one_of(_UNWELL, found) or _is_lost(found) or not _answers():
        return Blame.DATABASE
    return Blame.OWN


def database_error(error: BaseException) -> Error | None:
    """The error of the database that `error` is, or comes from."""
    return next((cause for cause in _causes(error) if isinstance(cause, Error)), None)


def is_contention(error: Error) -> bool:
    """Whether the same work, done again, goes well."""
    return _is_one_of(_CONTENTION, error)


def in_words(error: BaseException) -> str:
    """Its type and what it says, whatever that is, and if it cannot even say it: fit for a table and a screen."""
    try:
        said = str(error)
    except Exception:
        said = "?"
    return showable(f"{type(error).__name__}: {said}")


def showable(text: str) -> str:
    """Text that a table takes and a terminal shows: no NUL, half of a character or control character. Lines stay."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def is_a_bug(error: BaseException) -> bool:
    """Whether `error` is code that went wrong, and not somebody who wants this process to end.

    SystemExit and the like count as the first where no signal raises them: in dbmail_cron above all.
    """
    return isinstance(error, Exception) or not (isinstance(error, GeneratorExit) or signals_raise())


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_one_of(codes: dict[str, tuple[object, ...]], error: Error) -> bool:
    found = _code(error)
    if isinstance(found, str):
        return any(found.startswith(str(code)) for code in codes["postgresql"])
    return found in codes.get(connection.vendor, ())


def _is_lost(error: Error) -> bool:
    """What PostgreSQL says of a statement has a code; what the driver says of a connection that broke off has none."""
    lost = isinstance(error, OperationalError | InterfaceError)
    return lost and connection.vendor == "postgresql" and _code(error) is None


def _code(error: Error) -> object:
    """What the database calls it: SQLSTATE (PostgreSQL), or a number."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state:
        return state
    number = getattr(cause, "sqlite_errorcode", None)
    if number is not None:
        return number & 0xFF
    return error.args[0] if error.args and isinstance(error.args[0], int) else None


def _answers() -> bool:
    if connection.in_atomic_block:
        try:
            with transaction.atomic():
                return _select_1()
        except Error:
            return False
    try:
        connection.rollback()  # it may be in a transaction that is broken, begun by code that went round Django
        return _select_1()
    except Error:
        connection.close()
        return False


def _select_1() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone() is not None
