"""What can be seen of another process."""

from pathlib import Path


def catches(pid: int, number: int) -> bool:
    """Whether the process has installed a handler for the signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(line for line in lines if line.startswith("SigCgt")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)
