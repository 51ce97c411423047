"""Times from outside, as this project keeps them."""

from datetime import UTC, datetime

from django.conf import settings
from django.utils import timezone


def project_time(time: datetime) -> datetime:
    """`time` as the project stores it: aware if USE_TZ, else naive in the current time zone.

    A naive `time` is taken to be in the current time zone.
    """
    if timezone.is_naive(time) and settings.USE_TZ:
        return timezone.make_aware(time)
    if timezone.is_aware(time) and not settings.USE_TZ:
        return timezone.make_naive(time)
    return time


def as_shown(time: datetime) -> datetime:
    """`time` in the current time zone, that of the page; a naive one stays as it is."""
    return timezone.localtime(time) if timezone.is_aware(time) else time


def from_timestamp(seconds: float) -> datetime:
    """The time `seconds` after the Unix epoch, as `project_time` returns it. Raises ValueError if out of range."""
    try:
        return project_time(datetime.fromtimestamp(seconds, tz=UTC))
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds!r} is no time.") from error
