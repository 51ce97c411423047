"""Processes of our own, for what cannot be interrupted otherwise."""

import os
import sys


def interpreter() -> str:
    """The path of a Python for a child process; inside some web servers sys.executable is the server."""
    if "python" in os.path.basename(sys.executable or ""):
        return sys.executable
    return os.path.join(sys.exec_prefix, "bin", "python3")
