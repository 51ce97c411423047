"""Broadcasts: their list, the doors to the pages of one, and the tables of their audiences and variables."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from ..broadcasts.approval import note_change
from ..models import MessageRequest, MessageVars, PersistentQueryFilter
from . import compose, confirm, export, preflight, preview, start, watch
from .paging import FastList, LeanList, StateFilter, badge, search_text
from .permissions import ReadOnly, may_compose, may_prepare, may_see_recipients, may_send

#: A view of one broadcast: (model admin, request, broadcast) -> response.
Page = Callable[[Any, HttpRequest, MessageRequest], HttpResponseBase]


class BroadcastList(LeanList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = watch.with_waiting(list(self.result_list))
        for broadcast in self.result_list:
            broadcast.exact = may_see_recipients(request.user)


@admin.register(MessageRequest)
class MessageRequestAdmin(FastList):
    list_display = ["subject_line", "state_badge", "id", "when", "by", "mails_made"]
    list_filter = [StateFilter]
    list_select_related = ["creator"]
    not_listed = ("msgtext", "special_headers")
    ordering = ["-id"]
    sortable_by = ()
    search_help_text = _("The number of a broadcast, or the beginning of its subject.")
    change_list_template = "admin/dbmail/messagerequest/change_list.html"

    class Media:
        css = {"all": ["dbmail/admin.css"]}

    def get_urls(self) -> list[URLPattern]:
        may_look = self._may_look
        pages: list[tuple[str, Page, Callable[[Any], bool], str]] = [
            ("save", compose.save, may_compose, "POST"),
            ("name", compose.name_audience, may_compose, "POST"),
            ("preview", preview.as_json, may_prepare, "POST"),
            ("body", preview.as_html, may_prepare, "POST"),
            ("sender", preview.sender, may_prepare, "POST"),
            ("people", preview.people, may_see_recipients, "GET"),
            ("count", preflight.count, may_prepare, "POST"),
            ("survey", preflight.first_people, may_prepare, "POST"),
            ("everyone", preflight.everyone, may_prepare, "POST"),
            ("test", confirm.send_test, may_prepare, "POST"),
            ("confirm", confirm.page, may_prepare, "GET POST"),
            ("pause", confirm.pause, may_send, "POST"),
            ("resume", confirm.resume, may_send, "POST"),
            ("cancel", confirm.cancel, may_send, "POST"),
            ("reopen", confirm.reopen, may_send, "POST"),
            ("progress", watch.progress, may_look, "GET"),
            ("parts", watch.parts, may_look, "GET"),
            ("chart", watch.chart, may_look, "GET"),
            ("requeue", watch.requeue, may_send, "POST"),
            ("export", export.as_csv, may_see_recipients, "GET"),
        ]
        own = [
            path(f"<int:pk>/{name}/", self._door(view, right, methods), name=f"dbmail_messagerequest_{name}")
            for name, view, right, methods in pages
        ]
        return own + super().get_urls()

    def _door(self, view: Page, right: Callable[[Any], bool], methods: str) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def enter(request: HttpRequest, pk: int) -> HttpResponseBase:
            if not right(request.user):
                raise PermissionDenied
            broadcast = self.get_queryset(request).select_related("recipients", "creator").filter(pk=pk).first()
            if broadcast is None:
                raise Http404(_("There is no such broadcast."))
            return view(self, request, broadcast)

        return self.admin_site.admin_view(require_http_methods(methods.split())(never_cache(enter)))

    @staticmethod
    def _may_look(user: Any) -> bool:
        return bool(user.has_perm("dbmail.view_messagerequest")) or may_prepare(user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_look(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may_look(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a draft of which no mail was made can be deleted: anything else is the record of what was sent."""
        unsent = obj is None or (obj.state == MessageRequest.State.DRAFT and not obj.cursor)
        return unsent and super().has_delete_permission(request, obj)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return start.page(self, request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A draft opens on the page to compose it, if the person may; anything else on the page to watch it."""
        broadcast = self.get_object(request, object_id)
        if broadcast is None:
            return super().change_view(request, object_id)  # says so, and leads to the list
        if not self._may_look(request.user):
            raise PermissionDenied
        if broadcast.state == MessageRequest.State.DRAFT and may_compose(request.user):
            return compose.page(self, request, broadcast)
        return watch.page(self, request, broadcast)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BroadcastList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        term = search_text(search_term)
        if term.isdecimal() or not term:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(subject__istartswith=term), False

    @admin.display(description=_("subject"))
    def subject_line(self, broadcast: MessageRequest) -> str:
        return broadcast.subject or str(_("(no subject)"))

    @admin.display(description=_("state"))
    def state_badge(self, broadcast: MessageRequest) -> str:
        return badge(broadcast)

    @admin.display(description=_("when"))
    def when(self, broadcast: MessageRequest) -> Any:
        return broadcast.processed_by or broadcast.created_at

    @admin.display(description=_("creator"))
    def by(self, broadcast: MessageRequest) -> Any:
        return broadcast.creator

    @admin.display(description=_("mails"))
    def mails_made(self, broadcast: MessageRequest) -> str:
        return watch.progress_in_list(broadcast, getattr(broadcast, "exact", False))


@admin.register(PersistentQueryFilter)
class PersistentQueryFilterAdmin(FastList):
    """Only the name can be changed: the conditions are part of the record of the broadcasts that went to them."""

    list_display = ["id", "useful_name", "item_model", "create_ts"]
    ordering = ["-id"]
    search_help_text = _("The number of an audience, or the beginning of its name.")
    readonly_fields = ["item_model", "q_filter", "create_ts"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """The conditions may hold addresses, so they are shown to people who may see recipients."""
        shown = ["q_filter"] if may_see_recipients(request.user) else []
        return ["useful_name", "item_model", *shown, "create_ts"]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        term = search_text(search_term)
        if term.isdecimal() or not term:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(useful_name__istartswith=term), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(MessageVars)
class MessageVarsAdmin(ReadOnly, FastList):
    """Read-only: only programs add objects to a broadcast. A person could have any object shown in a mail."""

    list_display = ["id", "provider_name", "messagerequest"]
    list_select_related = ["messagerequest"]
    ordering = ["-id"]
    search_ids = ("pk", "messagerequest_id")
    search_help_text = _("The number of a broadcast.")
    raw_id_fields = ["messagerequest"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only while the broadcast is a draft, by whoever may delete that."""
        draft = obj is None or obj.messagerequest.state == MessageRequest.State.DRAFT
        return draft and request.user.has_perm("dbmail.delete_messagerequest")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with transaction.atomic():
            note_change(obj.messagerequest, request.user, [obj.provider_name])
            super().delete_model(request, obj)
