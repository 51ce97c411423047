"""What can be seen of another process."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


def catches(pid: int, number: int) -> bool:
    """Whether the process has installed a handler for the signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(line for line in lines if line.startswith("SigCgt")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


class Cost(NamedTuple):
    """What a process ended with, and what it took, the processes that it waited for included."""

    code: int
    #: Seconds of the processor.
    seconds: float
    #: The most memory that it had, in MB.
    memory: float


# In between, for a child of ours would be charged with the memory that this process has.
_MEASURE = """
import os, sys
pid = os.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def measured(command: list[str], message: bytes, environment: dict[str, str]) -> Cost:
    """Run a command that prints nothing, with `message` on its stdin."""
    whole = [sys.executable, "-I", "-S", "-c", _MEASURE, *command]
    done = subprocess.run(whole, input=message, env=environment, stdout=subprocess.PIPE, check=True)  # noqa: S603
    code, seconds, memory = done.stdout.split()
    return Cost(int(code), float(seconds), float(memory))
