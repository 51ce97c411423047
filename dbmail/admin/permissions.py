"""Who may do what: each right can be given without the others."""

from typing import Any

from django.http import HttpRequest


def may_compose(user: Any) -> bool:
    """Write drafts, preview them for a nameless recipient, and send a test to oneself."""
    return bool(user.has_perm("dbmail.change_messagerequest"))


def may_send(user: Any) -> bool:
    """Let a broadcast go: schedule, pause, resume, cancel, requeue."""
    return bool(user.has_perm("dbmail.approve_messagerequest"))


def may_prepare(user: Any) -> bool:
    """Look at a draft as it would go out: who writes it, and who lets it go."""
    return may_compose(user) or may_send(user)


def may_see_recipients(user: Any) -> bool:
    """See addresses, and mails as they went to a person."""
    return bool(user.has_perm("dbmail.view_recipients"))


def may_moderate(user: Any) -> bool:
    """Read held mail, approve and reject it."""
    return bool(user.has_perm("dbmail.moderate_incomingmessage"))


def may_run_doctor(user: Any) -> bool:
    """Run the doctor: have DNS, the relay and our own site asked whether mail arrives."""
    return bool(user.has_perm("dbmail.run_doctor"))


def may_see_doctor(user: Any) -> bool:
    """Read what the doctor found."""
    return bool(user.has_perm("dbmail.view_doctorreport")) or may_run_doctor(user)


class RecipientsOnly:
    """Mixin of a ModelAdmin whose rows hold addresses or personal mail: who may see recipients may view them."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_see_recipients(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_recipients(request.user)


class ReadOnly:
    """Mixin of a ModelAdmin whose rows only the program writes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
