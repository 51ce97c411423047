"""From a row of the queue to the mail that goes out."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from django.db import Error
from django.utils import timezone
from django.utils.translation import gettext as _

from ..addresses import Mailbox, domain_of, parse_mailbox
from ..blame import in_words, is_a_bug
from ..conf import config
from ..delivery import headers as header_rules
from ..delivery import return_path
from ..delivery.header_block import wire_bytes
from ..delivery.message import Mail, RawMail
from ..delivery.smtp import Reply, Stage
from ..exceptions import DbmailError, SettingError
from ..models import Forward, MessageRequest, Suppression, TextOfEmail
from .decide import Fate, RetryDecision, decide

log = logging.getLogger(__name__)


class _Shared(NamedTuple):
    """What the mails of one broadcast share."""

    headers: dict[str, str]
    not_after: datetime | None


class CannotBeMade(DbmailError):
    """No mail can be made of a row, for the error that is its cause; `decision`: what becomes of the row; `defect`:
    that cause, where it is a bug of the project's own code."""

    def __init__(self, decision: RetryDecision, defect: BaseException | None = None) -> None:
        super().__init__(decision.reason)
        self.decision, self.defect = decision, defect


@contextmanager
def _failing_alone(row: TextOfEmail) -> Iterator[None]:
    """What goes wrong here with `row` is its own, and leaves as CannotBeMade; but for errors of the database."""
    try:
        yield
    except DbmailError as error:
        raise CannotBeMade(RetryDecision(Fate.FAIL, str(error))) from error
    except (MessageRequest.DoesNotExist, Forward.DoesNotExist) as error:
        raise CannotBeMade(RetryDecision(Fate.FAIL, _("What it was made from was deleted."))) from error
    except Error:
        raise
    except BaseException as error:  # the project's own code says who the creator of a broadcast is
        if not is_a_bug(error):
            raise
        log.exception("Mail %s cannot be made", row.pk)
        said = _("It cannot be made into a mail: %(error)s") % {"error": in_words(error)}
        raise CannotBeMade(decide(Reply(451, said, Stage.END), row.tries, config()), error) from error


class Composer:
    """Makes mails of rows, and remembers what the rows of one broadcast share."""

    def __init__(self) -> None:
        self._shared: dict[int | None, _Shared] = {None: _Shared({}, None)}
        self._forward: Forward | None = None
        self._forward_data = b""

    def mail(self, row: TextOfEmail) -> Mail | RawMail:
        """The mail of `row`. Raises CannotBeMade for a row that fails by itself, and the database's errors."""
        with _failing_alone(row):
            return self._mail(row)

    def _mail(self, row: TextOfEmail) -> Mail | RawMail:
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
        """Whether the last moment of its broadcast has passed: it may have waited for long since it was claimed.

        Raises what `mail` raises.
        """
        with _failing_alone(row):
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
