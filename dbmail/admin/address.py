"""One page for one address: what it got, what it did not get, and why."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from ..broadcasts.insight import trace
from ..models import Suppression
from ..suppression.entries import lift
from .form_data import key_number, text_line
from .permissions import may_see_recipients

#: The most characters of a reason for lifting a suppression.
REASON_LENGTH = 500


def page(admin: Any, request: HttpRequest) -> HttpResponse:
    if not may_see_recipients(request.user):
        raise PermissionDenied
    if request.method == "POST":
        return _lift(admin, request)
    return _page(admin, request, text_line(request.GET, "q"))


def _page(admin: Any, request: HttpRequest, wanted: str, unexplained: int | None = None) -> HttpResponse:
    """`unexplained` is the key of a suppression that somebody tried to lift without giving a reason."""
    found = trace(wanted) if "@" in wanted else None
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": _("Why did this address (not) get it?"),
        "wanted": wanted,
        "found": found,
        "may_lift": request.user.has_perm("dbmail.delete_suppression"),
        "unexplained": unexplained,
        "media": admin.media,
    }
    return TemplateResponse(request, "admin/dbmail/textofemail/address.html", context)


def _lift(admin: Any, request: HttpRequest) -> HttpResponse:
    """End one suppression. The reason is kept with it and in the admin's history."""
    if not request.user.has_perm("dbmail.delete_suppression"):
        raise PermissionDenied
    row = get_object_or_404(Suppression, pk=key_number(text_line(request.POST, "suppression")))
    because = text_line(request.POST, "because", REASON_LENGTH)
    if not because:
        return _page(admin, request, row.address, unexplained=row.pk)
    if lift(row.address, scope=row.scope, by=request.user.get_username(), because=because):
        other = admin.admin_site.get_model_admin(Suppression) if admin.admin_site.is_registered(Suppression) else admin
        other.log_change(request, row, _("Lifted: %(why)s") % {"why": because})
        messages.success(request, _("This address gets mail again."))
    else:
        messages.info(request, _("This was over already: nothing was changed."))
    return redirect(reverse("admin:dbmail_textofemail_address") + "?" + urlencode({"q": row.address}))
