"""The rows that route incoming mail, and a tester that says where mail for one address would go."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..incoming.intake import plan_for
from ..incoming.route import Plan
from ..incoming.rows import unreachable
from ..models import EmailList, PlainRedirect
from ..models.choices import word_of
from .disclosure import handler_error
from .form_data import text_line
from .paging import FastList, OnlyOffered, search_text
from .permissions import may_see_recipients


@admin.register(EmailList)
class EmailListAdmin(OnlyOffered):
    list_display = ["regex", "seq", "handler", "subject_prefix", "posters", "admin_hold", "description"]
    list_filter = ["handler", "admin_hold"]
    search_fields = ["regex", "description"]
    change_list_template = "admin/dbmail/emaillist/change_list.html"

    @admin.display(description=gettext_lazy("who may post"))
    def posters(self, row: EmailList) -> str:
        return word_of(row.get_who_may_post_display())

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.tester)
        return [path("tester/", view, name="dbmail_emaillist_tester"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "GET" and self.has_view_permission(request):
            rows = list(EmailList.objects.all())
            for key, why in unreachable(rows).items():
                row = next(row for row in rows if row.pk == key)
                messages.warning(
                    request, _("Rule %(seq)s never has an effect: %(why)s") % {"seq": row.seq, "why": why}
                )
        return super().changelist_view(request, extra_context)

    def tester(self, request: HttpRequest) -> HttpResponse:
        """Say where mail to an address would go. Nothing is sent or stored."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        address = text_line(request.GET, "q")
        sender = text_line(request.GET, "sender")
        plan, problem = _plan(address, sender, request.user) if address else (None, "")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Where would mail go?"),
            "wanted": address,
            "sender": sender,
            "plan": plan,
            "problem": problem,
            "may_see_recipients": may_see_recipients(request.user),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/dbmail/emaillist/tester.html", context)


def _plan(address: str, sender: str, user: Any) -> tuple[Plan | None, str]:
    try:
        return plan_for(address, sender or "somebody@elsewhere.invalid"), ""
    except Exception as error:  # a handler is the project's code and may raise anything; the person wants to see it
        return None, handler_error(error, user)


@admin.register(PlainRedirect)
class PlainRedirectAdmin(FastList):
    list_display = ["original", "destination"]
    search_help_text = gettext_lazy("The beginning of the local part.")

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        return queryset.filter(original__istartswith=search_text(search_term)), False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_see_recipients(request.user) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_recipients(request.user) and super().has_view_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_recipients(request.user) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The page that confirms it shows the addresses."""
        return may_see_recipients(request.user) and super().has_delete_permission(request, obj)
