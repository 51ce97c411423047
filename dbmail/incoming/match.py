"""Does a row's regular expression match an address? Never for longer than a second.

Three ways, the first that is possible: google-re2 (extra `[re2]`), which is linear by construction;
Python's `re` under a timer signal, in the main thread; Python's `re` in a child process that can be killed.
"""

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from types import FrameType
from typing import Any

from django.utils.translation import gettext as _

from ..processes import interpreter

try:
    import re2
except ImportError:  # the extra is not installed
    re2 = None

#: Longest time for one match, in seconds.
LIMIT = 1.0
#: ASCII classes, so that \w and \d mean the same here and in re2.
FLAGS = re.IGNORECASE | re.ASCII


class BadPattern(ValueError):
    """The regular expression does not compile."""


class SlowPattern(Exception):
    """The regular expression did not finish in time, or could not be tried where that is bounded."""


@dataclass(frozen=True, slots=True)
class Match:
    """What the groups of a row caught: the unnamed ones in order, the named ones by name."""

    groups: tuple[str | None, ...] = ()
    named: dict[str, str | None] = field(default_factory=dict)


def subject_of(regex: str, local_part: str, domain: str) -> str:
    """What `regex` is matched against: local@domain if it contains an @, else the local part."""
    return f"{local_part}@{domain}" if "@" in regex else local_part


def match(regex: str, local_part: str, domain: str) -> Match | None:
    """What `regex` finds in the address, or None. Raises BadPattern, SlowPattern."""
    subject = subject_of(regex, local_part, domain)
    check(regex)
    linear = _linear(regex)
    if linear is not None:
        return _as_match(linear.search(subject))
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        with _interrupted_after(LIMIT):
            return _as_match(re.compile(regex, FLAGS).search(subject))
    return _in_child(regex, subject)


def check(regex: str) -> None:
    """Raises BadPattern where `regex` does not compile."""
    try:
        re.compile(regex, FLAGS)
    except (re.error, OverflowError, RecursionError) as error:
        said = _("%(regex)r is not a regular expression: %(error)s.")
        raise BadPattern(said % {"regex": regex, "error": error}) from None


@lru_cache(maxsize=256)
def _linear(regex: str) -> Any:
    """`regex` for re2, or None: not installed, or look-around, a back-reference or the like."""
    if re2 is None:
        return None
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(regex, options=options)
    except re2.error:
        return None


def _as_match(found: Any) -> Match | None:
    if found is None:
        return None
    named_numbers = set(found.re.groupindex.values())
    unnamed = tuple(group for number, group in enumerate(found.groups(), 1) if number not in named_numbers)
    return Match(unnamed, dict(found.groupdict()))


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Raises SlowPattern inside the block when it takes longer: `re` looks for signals while it matches."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SlowPattern(_("No answer within %(seconds)g s.") % {"seconds": seconds})

    before = signal.signal(signal.SIGALRM, stop)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if remaining:  # somebody else's alarm: it may ring late by what this block took
            signal.setitimer(signal.ITIMER_REAL, remaining, interval)


# It answers on one line: nothing, or "unnamed groups, named groups" as JSON.
_CHILD = """
import json, re, sys
regex, subject, flags = json.loads(sys.stdin.read())
found = re.compile(regex, flags).search(subject)
if found:
    named = set(found.re.groupindex.values())
    unnamed = [group for number, group in enumerate(found.groups(), 1) if number not in named]
    print(json.dumps([unnamed, found.groupdict()]))
"""


def _in_child(regex: str, subject: str) -> Match | None:
    import json

    try:
        answer = subprocess.run(  # noqa: S603  (a fixed script; the pattern is data on its stdin)
            [interpreter(), "-I", "-S", "-c", _CHILD],
            input=json.dumps([regex, subject, int(FLAGS)]).encode(),
            capture_output=True,
            timeout=LIMIT + 1,  # the interpreter has to start as well
            check=True,
        ).stdout
    except subprocess.TimeoutExpired:
        raise SlowPattern(_("No answer within %(seconds)g s.") % {"seconds": LIMIT}) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise SlowPattern(_("No process to match it in: %(error)s") % {"error": error}) from error
    if not answer:
        return None
    groups, named = json.loads(answer)
    return Match(tuple(groups), named)
