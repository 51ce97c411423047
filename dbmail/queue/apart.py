"""Doing a part of a pass whose errors must not cost the rest of it."""

import logging
from collections.abc import Callable
from typing import TypeVar

from ..blame import Blame, blame, is_a_bug

log = logging.getLogger(__name__)
T = TypeVar("T")


def apart(what: str, do: Callable[[], T], otherwise: T, tell: Callable[[str], object] = lambda said: None) -> T:
    """What `do` returns or, where it goes wrong, `otherwise`; `tell` is told why, in words that begin with `what`.

    Raises what is not to be done without: the database's error where that takes no work at all, and whatever wants
    this process to end.
    """
    try:
        return do()
    except BaseException as error:
        if not is_a_bug(error) or blame(error) is Blame.DATABASE:
            raise
        log.exception("%s went wrong; the rest goes on", what)
        tell(f"{what}: {type(error).__name__}: {error}".splitlines()[0])
        return otherwise
