"""The settings in force. They are read when they are first used, and again after a test has changed one."""

from functools import lru_cache
from typing import Any

from django.core.signals import setting_changed

from .reading import read_settings
from .settings import Config


@lru_cache(maxsize=1)
def config() -> Config:
    """The settings in force. Raises SettingError for the first that is wrong; `manage.py check` tells all."""
    found, problems = read_settings()
    if problems:
        raise problems[0]
    return found


def _forget(**_kwargs: Any) -> None:
    config.cache_clear()


setting_changed.connect(_forget, dispatch_uid="dbmail.conf")
