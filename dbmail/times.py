"""Times from outside, as this project keeps them."""

from datetime import UTC, datetime

from django.conf import settings
from django.utils import timezone


def project_time(time: datetime) -> datetime:
    """`time` aware or naive as USE_TZ wants it; one without a zone is taken for the project's own."""
    if timezone.is_naive(time) and settings.USE_TZ:
        return timezone.make_aware(time)
    if timezone.is_aware(time) and not settings.USE_TZ:
        return timezone.make_naive(time)
    return time


def as_shown(time: datetime) -> datetime:
    """`time` in the time zone that a page is shown in."""
    return timezone.localtime(time) if timezone.is_aware(time) else time


def from_timestamp(seconds: float) -> datetime:
    """The time so many seconds after 1970. Raises ValueError where there is no such time."""
    try:
        return project_time(datetime.fromtimestamp(seconds, tz=UTC))
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds!r} is no time.") from error
