"""The public page of a public broadcast, without any recipient's data."""

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

_PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'"
# The message is the admins' HTML: styles and pictures, but no script, no form, no origin of ours.
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
@xframe_options_exempt  # frame-ancestors says it more precisely
def public_body(request: HttpRequest, pk: int) -> HttpResponse:
    """The HTML body alone, for the sandboxed frame on the page; as harmless when it is opened by itself."""
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
