"""From a row of the queue to the mail that goes out."""

import logging
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from ..addresses import Mailbox, domain_of, parse_mailbox
from ..delivery import headers as header_rules
from ..delivery import return_path
from ..delivery.header_block import wire_bytes
from ..delivery.message import Mail, RawMail
from ..exceptions import SettingError
from ..models import Forward, MessageRequest, Suppression, TextOfEmail

log = logging.getLogger(__name__)


class _Shared(NamedTuple):
    headers: dict[str, str]
    not_after: datetime | None


class Composer:
    """Makes mails of rows, and remembers what the rows of one broadcast share."""

    def __init__(self) -> None:
        self._shared: dict[int | None, _Shared] = {None: _Shared({}, None)}
        self._forward: Forward | None = None
        self._forward_data = b""

    def mail(self, row: TextOfEmail) -> Mail | RawMail:
        """The mail of `row`. Raises AddressError, HeaderNotAllowed, SettingError for a row that cannot be one."""
        to = parse_mailbox(row.send_to)
        if row.forward_id is not None:
            return self._forwarded(row, to)
        headers = self._of_request(row.messagerequest_id).headers
        scope = row.scope or Suppression.ALL
        own = header_rules.unsubscribe_headers(to.address, scope) if row.user_id is not None or row.scope else {}
        if not own.keys().isdisjoint(headers):
            headers = {name: value for name, value in headers.items() if name not in own}
        return Mail(
            subject=row.subject,
            body=row.msgtext,
            plaintext=row.plaintext,
            sender=parse_mailbox(row.send_from),
            to=(to,),
            return_path=return_path.signed(row.pk),
            message_id=row.message_id,
            headers=headers,
            own_headers=own,
        )

    def _forwarded(self, row: TextOfEmail, to: Mailbox) -> RawMail:
        forward = self._forward
        if forward is None or forward.pk != row.forward_id:
            # One at a time is kept: the copies of a message follow one another, and it may be big.
            forward = self._forward = Forward.objects.select_related("incoming").get(textofemail=row)
            self._forward_data = wire_bytes(forward)
        sender = forward.sender or return_path.signed(row.pk)
        return RawMail(
            self._forward_data,
            (to,),
            "" if sender == Forward.NULL_SENDER else sender,
            row.message_id,
            _leaving(to.address, row.scope),
            # A list speaks in its own name, whatever its local part; an alias passes on another's.
            domain_of(row.send_from.rstrip("> ")) if row.scope else "",
        )

    def is_over(self, row: TextOfEmail) -> bool:
        """Whether the last moment of its broadcast has passed: it may have waited for long since it was claimed."""
        not_after = self._of_request(row.messagerequest_id).not_after
        return not_after is not None and not_after <= timezone.now()

    def _of_request(self, request_id: int | None) -> _Shared:
        if request_id is not None and request_id not in self._shared:
            request = MessageRequest.objects.select_related("creator").get(pk=request_id)
            self._shared[request_id] = _Shared(header_rules.request_headers(request), request.not_after)
        return self._shared[request_id]


def _leaving(address: str, scope: str) -> dict[str, str]:
    """How the reader of a forwarded copy leaves its list; nothing for an alias, which nobody leaves."""
    if not scope:
        return {}
    try:
        return header_rules.unsubscribe_headers(address, scope)
    except SettingError as error:  # a site without our URLs still passes on what people write to its lists
        log.error("Copies go out without List-Unsubscribe: %s", error)
        return {}
