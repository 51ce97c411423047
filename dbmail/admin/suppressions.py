"""Suppressions: addresses that get no mail of a kind."""

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..addresses import check_address, normalise
from ..exceptions import AddressError
from ..models import Suppression
from ..suppression.entries import NewSuppression, replaces, suppress_all
from .form_data import check_time
from .paging import FastList, WordFilter
from .permissions import may_see_recipients


class SuppressionForm(forms.ModelForm):
    """A new entry. If there is one for the same address and scope that is over or weaker, it is replaced."""

    class Meta:
        labels: ClassVar = {"scope": gettext_lazy("kind of mail")}

    def clean_address(self) -> str:
        try:
            return normalise(check_address(self.cleaned_data["address"].strip()))
        except AddressError as error:
            raise forms.ValidationError(str(error)) from None

    def clean_expires_at(self) -> datetime | None:
        return check_time(self.cleaned_data["expires_at"])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if not self.errors:
            there = Suppression.objects.filter(address=given["address"], scope=given["scope"]).first()
            if there is not None and not replaces(self.entry(), there, timezone.now()):
                raise forms.ValidationError(_("This address is left out already: %(why)s."), params={"why": there})
            self.instance = there or self.instance  # so that the unique constraint is checked against the others only
        return given

    def entry(self, by: Any = None) -> NewSuppression:
        given = {name: self.cleaned_data[name] for name in ("address", "reason", "scope", "source", "expires_at")}
        return NewSuppression(**given, created_by=by)


class ReasonFilter(WordFilter):
    title = gettext_lazy("reason")
    parameter_name = "reason"


@admin.register(Suppression)
class SuppressionAdmin(FastList):
    form = SuppressionForm
    list_display = ["address", "scope_in_words", "reason", "created_at", "expires_at", "source_in_words"]
    list_filter = [ReasonFilter]
    ordering = ["-id"]
    sortable_by = ()
    search_addresses = ("address",)
    search_help_text = gettext_lazy("A whole e-mail address.")
    raw_id_fields = ["created_by"]
    readonly_fields = ["scope_in_words", "source_in_words", "created_at", "created_by"]
    change_form_template = "admin/dbmail/suppression/change_form.html"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """A new entry has fields to fill in; an old one says in words what dbmail wrote into them, and who made it."""
        if obj is None:
            return ["address", "scope", "reason", "source", "expires_at"]
        words = ("scope_in_words", "source_in_words")
        return ["address", words[0], "reason", words[1], "expires_at", "created_at", "created_by"]

    @admin.display(description=gettext_lazy("kind of mail"))
    def scope_in_words(self, row: Suppression) -> str:
        return row.scope_in_words

    @admin.display(description=gettext_lazy("what it rests on"))
    def source_in_words(self, row: Suppression) -> str:
        return row.source_in_words

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_see_recipients(request.user) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_recipients(request.user) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Entering an address tells whether it was suppressed already, so it takes the right to see recipients too."""
        return may_see_recipients(request.user) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An entry is lifted, with a reason, on the page of its address; nobody edits or deletes it without one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"reason": Suppression.Reason.MANUAL, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        """Save by `suppress_all`: a row that was there keeps its key, and the note on who lifted it and why."""
        suppress_all([form.entry(by=request.user)])
        obj.pk = Suppression.objects.get(address=form.cleaned_data["address"], scope=form.cleaned_data["scope"]).pk
