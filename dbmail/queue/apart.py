"""Doing a part of a pass whose errors must not cost the rest of it."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from ..blame import Blame, blame, in_words, is_a_bug

log = logging.getLogger(__name__)
T = TypeVar("T")
#: Times that a part is done where other transactions are in its way.
_TRIES = 3


def apart(what: str, do: Callable[[], T], otherwise: T, tell: Callable[[str], object] = lambda said: None) -> T:
    """What `do` returns or, where it goes wrong, `otherwise`; `tell` is told why, in words that begin with `what`.

    A part that others were in the way of is done again. Raises what is not to be done without: the database's error
    where that takes no work at all, and whatever wants this process to end.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            return do()
        except BaseException as error:
            whose = blame(error) if is_a_bug(error) else None
            if whose in (None, Blame.DATABASE):
                raise
            if whose is Blame.CONTENTION and tries_left:
                time.sleep(random.uniform(0, 0.1))  # noqa: S311 - apart from whoever was in the way
                continue
            log.exception("%s went wrong; the rest goes on", what)
            tell(f"{what}: {in_words(error)}".splitlines()[0])
    return otherwise
