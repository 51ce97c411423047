"""Settings of dbmail: one dict, `DBMAIL`, typed, with defaults that work; read when used.

from dbmail.conf import config
config().expire_after
config().breaker.share

settings.py declares each of them, and says how one is added; docs/settings.md is written from it.
"""

from .answers import category_choices, check_category, layout_choices, load, site_url
from .reading import config, read_settings
from .settings import Config

__all__ = [
    "Config",
    "category_choices",
    "check_category",
    "config",
    "layout_choices",
    "load",
    "read_settings",
    "site_url",
]
