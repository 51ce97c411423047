"""What became of each mail of a broadcast, as CSV."""

import csv
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _

from ..csv_cells import harmless
from ..models import MailEvent, MessageRequest, TextOfEmail

#: Columns of TextOfEmail that are exported.
_COLUMNS = ("id", "send_to", "state", "sent", "tries", "last_reply")
#: Rows read from the database at a time.
_ROWS = 2000


class _Line:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def as_csv(admin: Any, request: HttpRequest, broadcast: MessageRequest) -> HttpResponseBase:
    response = StreamingHttpResponse(_lines(broadcast), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="broadcast-{broadcast.pk}.csv"'
    admin.log_change(request, broadcast, _("Exported the recipients."))
    return response


def _lines(broadcast: MessageRequest) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield "\ufeff" + writer.writerow((*_COLUMNS, "reported"))  # spreadsheets read UTF-8 by this mark
    last = 0
    while True:
        rows = TextOfEmail.objects.filter(messagerequest=broadcast, pk__gt=last).order_by("pk")
        found = list(rows.values_list(*_COLUMNS)[:_ROWS])
        reported = _reported(broadcast, last, found[-1][0]) if found else {}
        for row in found:
            yield writer.writerow([harmless(_text(value)) for value in (*row, reported.get(row[0]))])
        if len(found) < _ROWS:
            return
        last = found[-1][0]


def _reported(broadcast: MessageRequest, after: int, last: int) -> dict[int, str]:
    """What was reported about mails later, such as `complained unsubscribed`, by the mail's key.

    Of the mails with `after` < key <= `last`.
    """
    rows = MailEvent.objects.filter(
        textofemail__messagerequest=broadcast, textofemail__gt=after, textofemail__lte=last
    ).order_by()
    found: dict[int, set[str]] = {}
    for mail, kind in rows.values_list("textofemail", "event_type"):
        found.setdefault(mail, set()).add(kind)
    return {mail: " ".join(sorted(kinds)) for mail, kinds in found.items()}


def _text(value: Any) -> str:
    return "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
