"""The page on which anybody can read a public broadcast, without any recipient's data."""

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from .broadcasts.published import published
from .exceptions import DbmailError
from .rendering.message import Rendered
from .rendering.public import render_for_anybody
from .rendering.text import is_html

#: Content-Security-Policy of the page around the body.
_PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'"
#: Content-Security-Policy of the body, which is HTML that staff wrote: styles and pictures, but no script, no form,
#: and not our origin.
_BODY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src https: data:; font-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@login_not_required
@require_safe
def public(request: HttpRequest, pk: int) -> HttpResponse:
    """`/email/<id>`: subject and body as a nameless recipient would get them; 404 for what is not public."""
    rendered = _rendered(pk)
    context = {"subject": rendered.subject, "text": "" if is_html(rendered.body) else rendered.body, "pk": pk}
    response = render(request, "dbmail/public.html", context)
    response["Content-Security-Policy"] = _PAGE_POLICY
    return response


@login_not_required
@require_safe
@xframe_options_exempt  # frame-ancestors of the policy replaces it
def public_body(request: HttpRequest, pk: int) -> HttpResponse:
    """The HTML body alone, for the sandboxed frame on the page; it is as harmless when opened by itself."""
    rendered = _rendered(pk)
    if not is_html(rendered.body):
        raise Http404
    response = HttpResponse(rendered.body)
    response["Content-Security-Policy"] = _BODY_POLICY
    response["Referrer-Policy"] = "no-referrer"
    return response


def _rendered(pk: int) -> Rendered:
    request = get_object_or_404(published(), pk=pk)
    try:
        return render_for_anybody(request)
    except DbmailError as error:
        raise Http404(_("This message cannot be shown.")) from error
