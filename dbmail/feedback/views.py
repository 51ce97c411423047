"""Where providers post what became of mail."""

import logging
from datetime import timedelta

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ..conf import config
from . import sendgrid
from .events import count_events

log = logging.getLogger(__name__)

#: How far the time of a signed webhook may be from ours: an older one is a replay. It allows for a slow way and for
#: clocks that differ by minutes, and leaves whoever has listened in no more than that.
TOLERANCE = timedelta(minutes=10)
#: Bytes of one body: 10,000 events have about 8 million.
MAX_BODY = 25_000_000
_PIECE = 65_536


@login_not_required
@csrf_exempt  # signed by the provider
@never_cache
@require_POST
def sendgrid_events(request: HttpRequest) -> HttpResponse:
    """SendGrid's signed event webhook.

    200: taken, whether new or not; 400: no JSON; 403: not signed by SendGrid's key, or too old; 404: no key is
    set; 413: larger than any body of theirs. What is answered with an error changes nothing.
    """
    if not config().sendgrid_webhook_key:
        raise Http404
    if not request.headers.get(sendgrid.SIGNATURE):
        return HttpResponse("Forbidden", status=403, content_type="text/plain")
    try:
        body = _body(request)
    except OSError as error:  # the other side hung up
        log.info("An event webhook was cut short: %s", error)
        return HttpResponse("The body was cut short.", status=400, content_type="text/plain")
    if body is None:
        return HttpResponse("The body is too large.", status=413, content_type="text/plain")
    try:
        sendgrid.verify(
            body,
            request.headers.get(sendgrid.SIGNATURE, ""),
            request.headers.get(sendgrid.TIMESTAMP, ""),
            config().sendgrid_webhook_key,
            timezone.now(),
            TOLERANCE,
        )
        with transaction.atomic():
            number = count_events(sendgrid.events(body))
    except sendgrid.Forged as error:
        log.warning("An event webhook was refused: %s", error)
        return HttpResponse("Forbidden", status=403, content_type="text/plain")
    except sendgrid.BadBody as error:
        log.warning("An event webhook had a bad body: %s", error)
        return HttpResponse(str(error), status=400, content_type="text/plain")
    log.info("SendGrid: %d new events", number)
    return HttpResponse(f"{number} new events\n", content_type="text/plain")


def _body(request: HttpRequest) -> bytes | None:
    """The whole body; None if it is larger than MAX_BODY. Django's own limit is for forms, and lower."""
    pieces, size = [], 0
    while piece := request.read(min(_PIECE, MAX_BODY + 1 - size)):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            return None
    return b"".join(pieces)
