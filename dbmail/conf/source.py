"""Values as they stand in a settings file, for messages that say what to write and for the table of settings."""

from datetime import timedelta
from typing import Any

_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def as_python(value: Any) -> str:
    """`value` as a person would write it: double quotes, timedelta(minutes=20), 30_000_000."""
    if isinstance(value, timedelta):
        return _timedelta(value)
    if isinstance(value, str):
        return _text(value)
    if type(value) is int and abs(value) >= 100_000:
        return f"{value:_}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_python(key)}: {as_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{_items(value)}]"
    if isinstance(value, tuple):
        return f"({_items(value)},)" if len(value) == 1 else f"({_items(value)})"
    return repr(value)


def shortly(value: Any, limit: int = 80) -> str:
    """As `as_python`, cut off where it is long, and without a private key that was pasted: messages go into logs."""
    text = as_python(value)
    if "-----BEGIN" in text:
        return '"..."'
    return text if len(text) <= limit else f"{text[:limit]}..."


def _text(value: str) -> str:
    quoted = repr(str(value))
    return quoted if '"' in quoted else f'"{quoted[1:-1]}"'


def _items(values: list[Any] | tuple[Any, ...]) -> str:
    return ", ".join(map(as_python, values))


def _timedelta(value: timedelta) -> str:
    seconds = value.days * 86_400 + value.seconds
    if value.microseconds:
        return f"timedelta(seconds={value.total_seconds()})"
    for name, length in _UNITS:
        if seconds and seconds % length == 0:
            return f"timedelta({name}={seconds // length})"
    return f"timedelta(seconds={seconds})"
