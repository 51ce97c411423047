"""What a form or an address bar gives, made harmless: nothing that a database refuses or cannot hold."""

from collections.abc import Mapping
from datetime import datetime

from django import forms
from django.utils.translation import gettext as _

from ..addresses import one_line

#: Digits of a number that every database can look for.
_DIGITS = 18
#: Time zones are up to a day apart: further out, a time cannot be told in another one.
_YEARS = range(2, 9999)


def line(given: Mapping[str, str], name: str, most: int = 2000) -> str:
    """One field on one line, without NUL and other control characters, cut off at `most`; "" where it is missing."""
    return one_line(given.get(name) or "")[:most].strip()


def number(text: str) -> int:
    """The number that was typed, 0 for anything else: no row has that key."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else 0


def check_time(moment: datetime | None) -> datetime | None:
    """A time that every time zone and database can hold. Raises ValidationError."""
    if moment is None or moment.year in _YEARS:
        return moment
    raise forms.ValidationError(_("This time is too far away to be meant."))
