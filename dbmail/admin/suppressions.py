"""Addresses that get no mail."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..models import Suppression
from .paging import FastList
from .permissions import may_see_recipients


@admin.register(Suppression)
class SuppressionAdmin(FastList):
    list_display = ["address", "scope", "reason", "created_at", "expires_at", "source"]
    list_filter = ["reason"]
    ordering = ["-id"]
    sortable_by = ()
    search_addresses = ("address",)
    search_help_text = "A whole e-mail address."
    raw_id_fields = ["created_by"]
    fields = ["address", "scope", "reason", "source", "expires_at", "created_at", "created_by"]
    readonly_fields = ["created_at", "created_by"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_see_recipients(request.user) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_recipients(request.user) and super().has_view_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_recipients(request.user) and super().has_change_permission(request, obj)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"reason": Suppression.Reason.MANUAL, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)
