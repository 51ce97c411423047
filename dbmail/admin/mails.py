"""Mails, their recipients and the attempts to send them, all read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from ..models import Attempt, EmailRequest, MessageRequest, TextOfEmail
from . import address
from .paging import FastList, StateFilter, WordFilter, badge, linked
from .permissions import ReadOnly, RecipientsOnly

#: The most attempts on the page of a mail. One that waits for a relay in trouble may have hundreds.
_TRIES = 50


class LastTries(BaseInlineFormSet):
    def get_queryset(self) -> Any:
        if not hasattr(self, "_last"):
            self._last = super().get_queryset()[:_TRIES]
        return self._last


class AttemptInline(ReadOnly, RecipientsOnly, admin.TabularInline):
    model = Attempt
    formset = LastTries
    extra = 0
    fields = ["at", "outcome", "code", "text", "host"]
    readonly_fields = ["at", "outcome", "code", "text", "host"]
    ordering = ["-id"]


@admin.register(TextOfEmail)
class TextOfEmailAdmin(ReadOnly, RecipientsOnly, FastList):
    list_display = ["id", "recipient", "subject", "state_badge", "broadcast", "due_at", "sent", "tries"]
    list_filter = [StateFilter]
    ordering = ["-id"]
    sortable_by = ()  # only the primary key has an index that fits
    order_in_state = ("-created_at", "-id")
    search_ids = ("pk", "messagerequest_id")
    search_addresses = ("address",)
    not_listed = ("msgtext", "plaintext", "last_reply")
    search_help_text = _("A whole e-mail address, or the number of a mail or broadcast.")
    raw_id_fields = ["messagerequest", "user"]
    inlines = [AttemptInline]
    change_list_template = "admin/dbmail/textofemail/change_list.html"
    fieldsets = [
        (None, {"fields": ["state_badge", "last_reply", "recipient", "sender", "subject", "msgtext", "plaintext"]}),
        (_("Queue"), {"fields": ["messagerequest", "user", "message_id", "created_at", "due_at", "sent", "tries"]}),
        (_("Worker"), {"classes": ["collapse"], "fields": ["claimed_by", "claimed_until", "begun", "sent_by"]}),
    ]

    readonly_fields = ["state_badge", "recipient", "sender"]

    @admin.display(description=_("state"))
    def state_badge(self, mail: TextOfEmail) -> str:
        return badge(mail)

    @admin.display(description=_("to"))
    def recipient(self, mail: TextOfEmail) -> str:
        return mail.send_to

    @admin.display(description=_("from"))
    def sender(self, mail: TextOfEmail) -> str:
        return mail.send_from

    @admin.display(description=_("broadcast"))
    def broadcast(self, mail: TextOfEmail) -> str:
        return linked("messagerequest", mail.messagerequest_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.address_view)
        return [path("address/", view, name="dbmail_textofemail_address"), *super().get_urls()]

    def address_view(self, request: HttpRequest) -> HttpResponse:
        return address.page(self, request)


@admin.register(EmailRequest)
class EmailRequestAdmin(ReadOnly, RecipientsOnly, FastList):
    list_display = ["id", "target", "broadcast", "mail"]
    list_select_related = ()
    ordering = ["-id"]
    sortable_by = ()
    search_ids = ("pk", "msgreq_id", "target_id")
    search_addresses = ("textofemail__address",)
    search_help_text = _("A whole e-mail address, or the number of a recipient, broadcast or user.")
    raw_id_fields = ["target", "msgreq", "textofemail"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[EmailRequest]":
        """Prefetch the mails for one page of rows: a join would have the database sort all mails with their bodies."""
        broadcasts = Prefetch("msgreq", MessageRequest.objects.defer("msgtext"))
        mails = Prefetch("textofemail", TextOfEmail.objects.defer("msgtext", "plaintext"))
        return super().get_queryset(request).prefetch_related("target", broadcasts, mails)

    @admin.display(description=_("broadcast"))
    def broadcast(self, row: EmailRequest) -> str:
        return linked("messagerequest", row.msgreq_id, row.msgreq)

    @admin.display(description=_("mail"))
    def mail(self, row: EmailRequest) -> str:
        return linked("textofemail", row.textofemail_id, row.textofemail and row.textofemail.send_to)


class OutcomeFilter(WordFilter):
    title = _("outcome")
    parameter_name = "outcome"


@admin.register(Attempt)
class AttemptAdmin(ReadOnly, RecipientsOnly, FastList):
    list_display = ["id", "at", "mail", "outcome", "code", "text", "host"]
    list_filter = [OutcomeFilter]
    list_select_related = ["textofemail"]
    not_listed = ("textofemail__msgtext", "textofemail__plaintext", "textofemail__last_reply")
    ordering = ["-id"]
    sortable_by = ()
    search_ids = ("pk", "textofemail_id")
    search_addresses = ("textofemail__address",)
    search_help_text = _("A whole e-mail address, or the number of a mail.")
    raw_id_fields = ["textofemail"]

    @admin.display(description=_("mail"))
    def mail(self, row: Attempt) -> str:
        return linked("textofemail", row.textofemail_id, row.textofemail.send_to)
