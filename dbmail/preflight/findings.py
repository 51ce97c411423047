"""What a check says."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    ERROR = "error"  # it cannot be sent like this
    WARNING = "warning"  # it can, and readers will see it
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and the field of the page where it can be put right; the keys of a few people whom it is about."""

    level: Level
    field: str
    message: str
    line: int | None = None
    people: tuple[str, ...] = ()
