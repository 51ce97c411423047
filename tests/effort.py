"""How much work something is, whatever else the machine does meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """The block takes less than so many seconds of the processor, in this thread."""
    begin = time.thread_time()
    yield
    assert time.thread_time() - begin < seconds
