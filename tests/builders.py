"""Rows for tests: each builder fills in what the test does not care about."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone

from dbmail.models import MessageRequest, PersistentQueryFilter, TextOfEmail


def a_user(name: str = "ann", **fields: Any) -> Any:
    """A user NAME@example.org."""
    model = get_user_model()
    fields = {model.USERNAME_FIELD: name, model.get_email_field_name(): f"{name}@example.org", **fields}
    return model.objects.create(**fields)


def an_admin() -> Any:
    model = get_user_model()
    return model.objects.filter(**{model.USERNAME_FIELD: "admin"}).first() or a_user("admin", is_staff=True)


def a_request(*, to: Q | None = None, variables: dict[str, Any] | None = None, **fields: Any) -> MessageRequest:
    """A broadcast to everyone but the admin."""
    admin = an_admin()
    model = get_user_model()
    audience = PersistentQueryFilter.create_from_Q(model, to if to is not None else ~Q(pk=admin.pk))
    fields = {"subject": "Hello", "msgtext": "Dear {{ user.first_name }}", "sender": "info@example.org", **fields}
    return MessageRequest.createRequest(var_dict=variables, recipients=audience, creator=admin, **fields)


def a_mail(address: str = "ann@example.org", **fields: Any) -> TextOfEmail:
    """A mail in the queue, of no broadcast."""
    fields = {"subject": "Hello", "msgtext": "A body", "send_from": "info@example.org", **fields}
    return TextOfEmail.objects.create(send_to=address, created_at=timezone.now(), **fields)
