"""Values from a form or a query string, in a shape that no database refuses."""

from collections.abc import Mapping
from datetime import datetime

from django import forms
from django.utils.translation import gettext as _

from ..addresses import one_line

#: The most digits with which a number still fits a 64-bit column.
_DIGITS = 18
#: Years of which any moment can be converted to any time zone: those at either end might leave the range of datetime.
_YEARS = range(2, 9999)


def text_line(data: Mapping[str, str], name: str, most: int = 2000) -> str:
    """The field `name` as one line without control characters, at most `most` characters; "" if it is missing."""
    return one_line(data.get(name) or "")[:most].strip()


def key_number(text: str) -> int:
    """The primary key in `text`; 0, which no row has, for anything that is no such number."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else 0


def check_time(moment: datetime | None) -> datetime | None:
    """`moment` itself. Raises ValidationError if some time zone or database could not hold it."""
    if moment is None or moment.year in _YEARS:
        return moment
    raise forms.ValidationError(_("This time is too far away to be meant."))
