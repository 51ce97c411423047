"""How long the doctor waits for answers: not for ever where a person waits for the doctor."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """`seconds` for everything together and `each` for one thing; without them, until each gives up by itself."""

    def __init__(self, seconds: float = math.inf, each: float = math.inf) -> None:
        self._each = each
        #: When it ends, by time.monotonic().
        self.until = time.monotonic() + seconds

    def ask(self, question: Callable[[], T], unanswered: T) -> T:
        """What `question` returns, or `unanswered` where that takes too long.

        It is then left to its own time-outs: sockets wait for each line, and some systems' look-ups cannot be
        stopped. So it may not touch the database.
        """
        wait = min(self._each, self.until - time.monotonic())
        if wait == math.inf:
            return question()
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:  # raised again where the answer is waited for
                answer.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        try:
            return answer.result(max(wait, 0))
        except TimeoutError:
            return unanswered
