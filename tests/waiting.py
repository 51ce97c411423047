"""The one place where tests wait: for something to come about, never for a time to pass."""

import time
from collections.abc import Callable
from typing import Any


def until(
    condition: Callable[[], Any], seconds: float = 60, said: Callable[[], str] = lambda: "", every: float = 0.05
) -> None:
    """Return as soon as `condition` holds; fail if it does not within so many seconds; `said` adds what is known."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"what was waited for did not happen. {said()}"
        time.sleep(every)  # noqa: TID251 - between two looks
