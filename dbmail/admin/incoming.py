"""Incoming mail: its log, what waits for a moderator, and the events that other servers reported."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from ..exceptions import DbmailError
from ..incoming.moderation import approve, legible, prospect, reject, replay
from ..models import IncomingMessage, MailEvent
from .disclosure import handler_error
from .form_data import text_line
from .paging import FastList, StateFilter, WordFilter, badge
from .permissions import ReadOnly, RecipientsOnly, may_moderate, may_see_recipients

#: The most characters of a message that its page shows.
_SHOWN = 20_000


@admin.register(IncomingMessage)
class IncomingMessageAdmin(ReadOnly, FastList):
    list_display = ["id", "received_at", "recipient", "author", "subject", "state_badge", "reason"]
    list_filter = [StateFilter]
    ordering = ["-id"]
    sortable_by = ()
    order_in_state = ("-received_at", "-id")
    search_addresses = ("recipient",)
    not_listed = ("raw",)
    search_help_text = gettext_lazy("The whole address that it was for, or the number of a message.")
    change_form_template = "admin/dbmail/incomingmessage/change_form.html"
    fieldsets = [
        (None, {"fields": ["author", "recipient", "subject", "text", "received_at"]}),
        (
            gettext_lazy("What was decided"),
            {"fields": ["state_badge", "reason", "decision", "emaillist", "moderated_by", "moderated_at"]},
        ),
        (
            gettext_lazy("For the postmaster"),
            {"classes": ["collapse"], "fields": ["sender", "exit_code", "message_id", "queue_id"]},
        ),
    ]
    readonly_fields = ["state_badge", "text"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        seen = may_see_recipients(request.user) and request.user.has_perm("dbmail.view_incomingmessage")
        return seen or may_moderate(request.user)

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, message: IncomingMessage) -> str:
        return badge(message)

    @admin.display(description=gettext_lazy("text"))
    def text(self, message: IncomingMessage) -> str:
        return format_html('<pre class="dbmail-text">{}</pre>', self._words(message))

    def _words(self, message: IncomingMessage) -> str:
        if not message.raw:
            return _("(The message itself has been purged.)")
        words = legible(bytes(message.raw))
        return words if len(words) <= _SHOWN else f"{words[:_SHOWN]} …"

    def get_urls(self) -> list[URLPattern]:
        decide = self.admin_site.admin_view(require_POST(self.decide))
        again = self.admin_site.admin_view(self.replay)
        return [
            path("<int:pk>/decide/", decide, name="dbmail_incomingmessage_decide"),
            path("<int:pk>/replay/", again, name="dbmail_incomingmessage_replay"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        message = self.get_object(request, object_id)
        held = message is not None and message.state == IncomingMessage.State.HELD
        may = may_moderate(request.user)
        more = {**(extra_context or {}), "can_decide": held and may, "can_replay": may and not held}
        return super().change_view(request, object_id, form_url, more)

    def replay(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what deciding anew would do; the POST does it. Nobody who has a copy gets a second one."""
        if not may_moderate(request.user):
            raise PermissionDenied
        message = IncomingMessage.objects.filter(pk=pk).first()
        if message is None:
            raise Http404(_("There is no such message."))
        back = redirect("admin:dbmail_incomingmessage_change", pk)
        try:
            if request.method == "POST":
                decision = replay(message)
                said = _("Decided anew: %(reason)s") % {"reason": decision.reason}
                self.log_change(request, message, said)
                messages.success(request, said)
                return back
            plan, missing = prospect(message)
        except (
            Exception
        ) as error:  # a handler is the project's code and may raise anything; the person wants to see it
            messages.error(request, handler_error(error, request.user))
            return back
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": message,
            "title": _("Decide anew"),
            "plan": plan,
            "missing": missing,
            "may_see_recipients": may_see_recipients(request.user),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/dbmail/incomingmessage/replay.html", context)

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Approve or reject a held message."""
        if not may_moderate(request.user):
            raise PermissionDenied
        message = IncomingMessage.objects.filter(pk=pk).first()
        if message is None:
            raise Http404(_("There is no such message."))
        try:
            if request.POST.get("verdict") == "approve":
                decision = approve(message, request.user)
                said = _("Approved: %(reason)s") % {"reason": decision.reason}
            else:
                reject(message, request.user, text_line(request.POST, "note", 500))
                said = _("Rejected. Its author is told nothing.")
        except DbmailError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, message, said)
            messages.success(request, said)
        return redirect("admin:dbmail_incomingmessage_changelist")


class EventFilter(WordFilter):
    title = gettext_lazy("event")
    parameter_name = "event_type"


class MailEventForm(forms.ModelForm):
    class Meta:
        labels: ClassVar = {"event_id": gettext_lazy("name at the provider"), "raw": gettext_lazy("as it came")}


@admin.register(MailEvent)
class MailEventAdmin(ReadOnly, RecipientsOnly, FastList):
    form = MailEventForm
    list_display = ["id", "at", "address", "event_badge", "for_good", "status", "description", "source"]
    list_filter = [EventFilter]  # those for good are found in the list of suppressions
    ordering = ["-id"]
    sortable_by = ()
    search_ids = ("pk", "textofemail_id")
    search_addresses = ("address",)
    not_listed = ("raw",)
    search_help_text = gettext_lazy("A whole e-mail address, or the number of a mail.")
    raw_id_fields = ["textofemail", "incoming"]

    @admin.display(description=gettext_lazy("event"))
    def event_badge(self, event: MailEvent) -> str:
        return badge(event, "event_type")

    @admin.display(description=gettext_lazy("for good"))
    def for_good(self, event: MailEvent) -> str:
        """A word instead of Django's icons: a red cross at every mail that arrived would look like trouble."""
        return _("Yes") if event.is_hard else ""
