"""A broadcast's text for anybody who has the link to its public page: nothing of any account stands in it."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import CharField

from ..models.broadcast import MessageRequest
from .guard import STAND_IN
from .message import MessageRenderer, Rendered


def render_for_anybody(msgrequest: MessageRequest) -> Rendered:
    """As the mail, for a recipient who is nobody, and with nobody for every other account that the text leads to.

    Of the variables it shows what they hold and what they point to. What points to them, and rows of queries, are
    empty, though the mails show them. Raises what MessageRenderer raises.
    """
    reader = nobody()
    token = STAND_IN.set(reader)
    try:
        return MessageRenderer(msgrequest).render(reader).as_example()
    finally:
        STAND_IN.reset(token)


def nobody() -> Any:
    """An unsaved user whose every text field says what would stand there, like `[first name]`."""
    model = get_user_model()
    texts = [field for field in model._meta.get_fields() if isinstance(field, CharField) and not field.choices]
    return model(**{field.attname: f"[{field.verbose_name}]" for field in texts if not field.primary_key})
