"""Header fields that people give, and those for unsubscribing (RFC 2369, 8058)."""

import re
from collections.abc import Mapping
from email.utils import getaddresses
from typing import Any

from django.utils.translation import gettext as _

from ..addresses import check_address, format_mailbox
from ..conf import site_url
from ..exceptions import AddressError, HeaderNotAllowed
from ..models import MessageRequest
from ..suppression import tokens
from .from_address import author

#: Names that may be given besides X-...: none of them changes who gets a mail, who seems to send it, or its MIME.
ALLOWED = frozenset(
    [
        *("auto-submitted", "comments", "expires", "feedback-id", "importance", "in-reply-to", "keywords"),
        *("list-archive", "list-help", "list-id", "list-owner", "list-post", "list-subscribe"),
        *("list-unsubscribe", "list-unsubscribe-post", "organization", "precedence", "priority"),
        *("references", "reply-to"),
    ]
)
_TOKEN = re.compile(r"[!-9;-~]{1,76}")


def check_special_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """`headers` as they go into a mail: stripped, one spelling of each. Raises HeaderNotAllowed."""
    checked: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in headers.items():
        lower = name.lower() if isinstance(name, str) else ""
        if not _TOKEN.fullmatch(lower) or not (lower in ALLOWED or lower.startswith("x-")):
            said = _("The header %(name)r cannot be given. Allowed: X-... and %(allowed)s.")
            raise HeaderNotAllowed(said % {"name": name, "allowed": ", ".join(sorted(ALLOWED))})
        if lower in seen:
            raise HeaderNotAllowed(_("The header %(name)r is given twice.") % {"name": name})
        seen.add(lower)
        if not isinstance(value, str):
            said = _("The header %(name)r must be a string, not %(type)s.")
            raise HeaderNotAllowed(said % {"name": name, "type": type(value).__name__})
        value = value.strip()
        if not value or any(not c.isprintable() and c != "\t" for c in value):
            said = _("The header %(name)r is empty, or holds a line break or control character.")
            raise HeaderNotAllowed(said % {"name": name})
        checked[name] = _reply_to(value) if lower == "reply-to" else value
    return checked


def _reply_to(value: str) -> str:
    try:
        return ", ".join(format_mailbox(check_address(address), name) for name, address in getaddresses([value]))
    except AddressError as error:
        raise HeaderNotAllowed(_("Reply-To must hold addresses: %(error)s") % {"error": error}) from error


def unsubscribe_headers(address: str, scope: str = "all") -> dict[str, str]:
    """List-Unsubscribe and List-Unsubscribe-Post for mail to `address`."""
    return headers_that_unsubscribe(tokens.make(address, scope))


def headers_that_unsubscribe(token: str) -> dict[str, str]:
    """The same for a token.

    RFC 8058 wants an https URL for one click; without DBMAIL["SITE_URL"] only the mailto form is left.
    """
    if not site_url():
        return {"List-Unsubscribe": f"<{tokens.mailto(token)}>"}
    return {
        "List-Unsubscribe": f"<{tokens.link(token)}>, <{tokens.mailto(token)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def request_headers(request: MessageRequest) -> dict[str, str]:
    """The header fields that every mail of a broadcast carries. Raises HeaderNotAllowed, DbmailError."""
    headers = check_special_headers(request.special_headers_dict)
    names = {name.lower() for name in headers}
    reply_to = author(request).reply_to
    if reply_to and "reply-to" not in names:
        headers["Reply-To"] = str(reply_to)
    if "precedence" not in names:
        # What vacation responders and other mailers go by (RFC 3834, 2; RFC 2076).
        headers["Precedence"] = "bulk"
    return headers
