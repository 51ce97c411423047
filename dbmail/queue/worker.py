"""A name for this worker that another one can tell dead from alive."""

import os
import secrets
import socket
from pathlib import Path

#: Workers of this very process that stopped in the middle, though the process goes on.
_ended: set[str] = set()


def identity() -> str:
    """A name no other worker has, `pid.start.namespace.boot.random@host`, at most 64 characters."""
    return f"{os.getpid()}.{_start_of(os.getpid())}.{_here()}.{secrets.token_hex(3)}@{socket.gethostname()}"[:64]


def ended(name: str) -> None:
    """Remember that a worker of this process will do nothing more, and could not give back what it had claimed."""
    _ended.add(name)


def provably_dead(name: str) -> bool:
    """Whether the worker of this name can be seen to have ended: same kernel, same process namespace, no such process.

    For any other worker the end of its lease is the only sign.
    """
    if name in _ended:
        return True
    pid, _, rest = name.partition("@")[0].partition(".")
    start, _, where = rest.partition(".")
    if not pid.isdigit() or not start or where.rpartition(".")[0] != _here():
        return False
    return _start_of(int(pid)) != start


def provably_alive(name: str) -> bool:
    """Whether the worker of this name can be seen to run, as above."""
    pid, _, rest = name.partition("@")[0].partition(".")
    start, _, where = rest.partition(".")
    return pid.isdigit() and bool(start) and where.rpartition(".")[0] == _here() and _start_of(int(pid)) == start


def _here() -> str:
    """Process namespace and boot: within both, a process number and a start time belong to one process."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
        return f"{namespace}.{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}"
    except OSError:
        return "unknown.unknown"


def _start_of(pid: int) -> str:
    """When a process started, in ticks since boot (proc(5), stat field 22); "" where there is none, or no /proc."""
    try:
        # The second field is the program's name and may itself hold blanks and brackets.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]
