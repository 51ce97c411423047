"""Stored queries: the audiences that broadcasts go to."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import PersistentQueryFilter
from .paging import FastList, wanted
from .permissions import may_see_recipients


@admin.register(PersistentQueryFilter)
class PersistentQueryFilterAdmin(FastList):
    """Only the name can be changed: the conditions belong to the broadcasts that went to them."""

    list_display = ["id", "useful_name", "item_model", "create_ts"]
    ordering = ["-id"]
    search_help_text = _("The number of an audience, or the beginning of its name.")
    readonly_fields = ["item_model", "q_filter", "create_ts"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """The conditions may hold addresses."""
        shown = ["q_filter"] if may_see_recipients(request.user) else []
        return ["useful_name", "item_model", *shown, "create_ts"]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        term = wanted(search_term)
        if term.isdecimal() or not term:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(useful_name__istartswith=term), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
