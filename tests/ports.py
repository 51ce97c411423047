"""Ports for servers that take a number and are started a moment later."""

import random
import socket

_CHANCE = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no test running beside this one is given by the system.

    The system hands out ports from 32768 on, to connections too: one of those might be taken before the server starts.
    """
    while True:
        port = _CHANCE.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
