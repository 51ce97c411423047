"""An address of the organisation for a person: username@, forwarded to the account's own address."""

from typing import Any

from django.contrib.auth import get_user_model

from ...conf import config, load
from .base import BaseHandler


class UserEmail(BaseHandler):
    """username@ goes to that user, with the author's own From and signature.

    Only for users whom DBMAIL["USER_ALIASES"] admits; by default staff. A student's alias would be an
    address that anyone can guess.
    """

    preserve_headers = True

    def process(self, user: str, *_groups: str | None, **_named: str | None) -> None:
        model = get_user_model()
        named = {f"{model.USERNAME_FIELD}__iexact": user, "is_active": True}
        account = model._default_manager.filter(**named).order_by("pk").first() if user else None
        if account is None or not _has_alias(account):
            return
        address = getattr(account, model.get_email_field_name(), "")
        if address:
            self.recipients = [(address, account.get_full_name() if hasattr(account, "get_full_name") else "")]
            self.send = True


def _has_alias(user: Any) -> bool:
    if config().user_aliases:
        return bool(load("USER_ALIASES", config().user_aliases)(user))
    return bool(getattr(user, "is_staff", False))
