"""From a broadcast to rows in the queue: chunk by chunk, each its own transaction, resumable after any crash."""

import json
import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..addresses import Mailbox, format_mailbox, normalise
from ..audience.sendto import addresses_for
from ..broadcasts.notices import report_request_failed
from ..conf import check_category, config
from ..database import wake_workers
from ..delivery.from_address import author
from ..exceptions import DbmailError, RenderFailed, UnresolvableQuery
from ..models import EmailRequest, MessageRequest, TextOfEmail
from ..models.mail import copy_key, new_message_id
from ..models.suppression import Suppression
from ..rendering.message import MessageRenderer, Rendered
from ..suppression.entries import not_sent, suppressed
from .approval import check_approved
from .compose import request_headers
from .record import insert_rows
from .worker import ended, identity, provably_dead

log = logging.getLogger(__name__)
State = MessageRequest.State
MailState = TextOfEmail.State

#: The fields of a new mail, in the order of `_Processing._mail`.
_FIELDS = (
    *("messagerequest", "user", "send_to", "send_from", "address", "copy_key", "scope"),
    *("subject", "msgtext", "plaintext", "message_id", "created_at", "due_at", "state", "sent", "last_reply"),
    *("sent_by", "tries", "claimed_by", "claimed_until", "begun"),
)
_ADDRESS, _STATE = _FIELDS.index("address"), _FIELDS.index("state")
_UNTRIED = (None, 0, "", None, False)

#: Errors that may quote what is stored about a person, or in the conditions of an audience.
_PERSONAL = (RenderFailed, UnresolvableQuery)
#: Characters of rendered mail after which a chunk is closed early: memory is bounded also for big bodies.
_CHUNK_TEXT = 16_000_000
#: Recipients without a usable address that are named in the progress.
_EXAMPLES = 20


def process_request(request: MessageRequest) -> int:
    """Turn all recipients of `request` into mails; how many were made now.

    Does nothing for a request that is processed, paused or ended, or that another worker is processing.
    Raises DbmailError after it has marked the request as failed and told its creator.
    """
    return sum(process_in_chunks(request))


def process_in_chunks(request: MessageRequest) -> Generator[int, None, None]:
    """As `process_request`, giving way after each chunk with the number of mails that it made."""
    worker = identity()
    if not _take(request, worker):
        return
    log.info("Request %s: processing", request.pk)
    try:
        yield from _Processing(request, worker).chunks()
    except DbmailError as error:
        _fail(request, str(error), is_open=not isinstance(error, _PERSONAL))
        raise
    except (OperationalError, InterfaceError, IntegrityError):
        raise  # no fault of the request: the next pass goes on with it
    except Exception as error:
        # The project's own code runs here (resolvers, properties of its objects): its bugs stop one request only.
        log.exception("Request %s: unexpected error", request.pk)
        _fail(request, f"{type(error).__name__}: {error}")
        said = _("Broadcast %(number)s failed: %(error)s")
        raise DbmailError(said % {"number": request.pk, "error": f"{type(error).__name__}: {error}"}) from error
    finally:
        # Also when whoever asked for chunks wants no more of them.
        ended(worker)
        MessageRequest.objects.filter(pk=request.pk, claimed_by=worker).update(claimed_by="", claimed_until=None)
        request.refresh_from_db()


def _take(request: MessageRequest, worker: str) -> bool:
    """Make `worker` the only one who processes the request, until its lease ends."""
    now = timezone.now()
    free = Q(claimed_by="") | Q(claimed_until__lt=now)
    holder = MessageRequest.objects.filter(pk=request.pk).values_list("claimed_by", flat=True).first()
    if holder and provably_dead(holder):
        free |= Q(claimed_by=holder)
    ready = MessageRequest.objects.filter(
        free, pk=request.pk, processed=False, state__in=[State.SCHEDULED, State.PROCESSING]
    )
    taken = ready.update(
        state=State.PROCESSING, state_reason="", claimed_by=worker, claimed_until=now + config().lease
    )
    if taken:
        request.refresh_from_db()
    return bool(taken)


def _fail(request: MessageRequest, reason: str, is_open: bool = False) -> None:
    """`is_open`: the reason quotes nobody's data."""
    log.error("Request %s: failed: %s", request.pk, reason)
    failed = MessageRequest.objects.filter(pk=request.pk, state=State.PROCESSING)
    if failed.update(state=State.FAILED, state_reason=reason, reason_is_open=is_open):
        request.refresh_from_db()
        report_request_failed(request)


@dataclass
class _Chunk:
    """What a run of recipients becomes."""

    mails: dict[tuple[str, str], list[Any]] = field(default_factory=dict)  # values by address and copy key
    links: list[tuple[Any, tuple[str, str]]] = field(default_factory=list)  # user key, mail
    last: Any = None
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    size: int = 0

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number


class _Processing:
    def __init__(self, request: MessageRequest, worker: str) -> None:
        self.request, self.worker = request, worker
        check_approved(request)
        self.sender = str(author(request).sender)
        check_category(request.category)  # a name that was never declared is one that nobody could leave
        self.scope = request.category or Suppression.ALL
        request_headers(request)  # raises for what would spoil every mail
        self.users: QuerySet[Any] = request.recipients.getList(get_user_model()).order_by("pk")
        self.renderer = MessageRenderer(request)

    def chunks(self) -> Iterator[int]:
        while True:
            users = self._next_users()
            if not users:
                self._finish()
                return
            made = self._store(self._render(users))
            if made is None:
                return  # paused, cancelled, or taken over after our lease ran out
            yield made

    def _next_users(self) -> list[Any]:
        users = self.users
        if self.request.cursor:
            users = users.filter(pk__gt=json.loads(self.request.cursor))
        return list(users[: config().chunk_size])

    def _render(self, users: Sequence[Any]) -> _Chunk:
        chunk = _Chunk()
        boxes_of, troubles = addresses_for(users, self.request.sendto_fn_name)
        for user in users:
            chunk.last = user.pk
            chunk.count("recipients")
            boxes = boxes_of[user.pk]
            if user.pk in troubles:
                chunk.count("unresolved")
                chunk.problems.append(f"{user.pk}: {troubles[user.pk]}")
            elif not boxes:
                chunk.count("without_address")
                chunk.problems.append(_("%(number)s: no address") % {"number": user.pk})
            if boxes:
                self._add(chunk, user, boxes)
            if chunk.size > _CHUNK_TEXT:
                break
        return chunk

    def _add(self, chunk: _Chunk, user: Any, boxes: list[Mailbox]) -> None:
        rendered = self.renderer.render(user)
        if not rendered.body.strip():
            raise RenderFailed(_("The body is empty for account %(number)s.") % {"number": user.pk})
        same = copy_key(rendered.subject, rendered.body) if config().merge_families else str(user.pk)[:40]
        for box in boxes:
            key = (normalise(box.address), same)
            if key not in chunk.mails:
                chunk.mails[key] = self._mail(user, box, rendered.to(key[0], self.scope), key)
                chunk.size += len(rendered.body) + len(rendered.plaintext)
            chunk.links.append((user.pk, key))

    def _mail(self, user: Any, box: Mailbox, rendered: Rendered, key: tuple[str, str]) -> list[Any]:
        """The values of _FIELDS."""
        return [
            self.request.pk,
            user.pk,
            format_mailbox(*box),
            self.sender,
            *key,
            self.scope,
            rendered.subject,
            rendered.body,
            rendered.plaintext,
            new_message_id(),
            self.request.created_at,
            timezone.now(),
            MailState.QUEUED.value,
            None,
            "",
            *_UNTRIED,
        ]

    def _store(self, chunk: _Chunk) -> int | None:
        """One transaction: the cursor moves on, and the rows are there. None if the request is not ours any more."""
        cursor = json.dumps(chunk.last, cls=DjangoJSONEncoder)
        with transaction.atomic():
            ours = MessageRequest.objects.filter(
                pk=self.request.pk, claimed_by=self.worker, cursor=self.request.cursor, state=State.PROCESSING
            )
            # A write before any read: SQLite gives the lock to whoever asks first, and lets the others wait.
            if not ours.update(cursor=cursor, claimed_until=timezone.now() + config().lease):
                return None
            ids = self._existing(chunk)
            new = [mail for key, mail in chunk.mails.items() if key not in ids]
            self._insert(new, chunk)
            if new:
                ids = self._existing(chunk)
            links = {(self.request.pk, pk, ids[key]) for pk, key in chunk.links}
            insert_rows(EmailRequest, ("msgreq", "target", "textofemail"), links)
            chunk.count("merged", len(chunk.links) - len(new))
            self._save_progress(chunk)
        self.request.cursor = cursor
        return len(new)

    def _existing(self, chunk: _Chunk) -> dict[tuple[str, str], int]:
        rows = TextOfEmail.objects.filter(
            messagerequest=self.request, address__in={address for address, _key in chunk.mails}
        )
        return {(address, key): pk for address, key, pk in rows.values_list("address", "copy_key", "pk")}

    def _insert(self, mails: list[list[Any]], chunk: _Chunk) -> None:
        left_out = suppressed((mail[_ADDRESS] for mail in mails), self.scope)
        for mail in mails:
            if mail[_ADDRESS] in left_out:
                reason = not_sent(left_out[mail[_ADDRESS]])
                mail[_STATE : _STATE + 3] = MailState.SUPPRESSED.value, timezone.now(), reason
                chunk.count("suppressed")
        insert_rows(TextOfEmail, _FIELDS, mails)
        wake_workers()  # others that sleep take their share: once a chunk
        chunk.count("mails", len(mails))

    def _save_progress(self, chunk: _Chunk) -> None:
        progress = dict(self.request.progress)
        for what, number in chunk.counts.items():
            progress[what] = progress.get(what, 0) + number
        if chunk.problems:
            progress["problems"] = [*progress.get("problems", []), *chunk.problems][:_EXAMPLES]
        MessageRequest.objects.filter(pk=self.request.pk).update(progress=progress)
        self.request.progress = progress

    def _finish(self) -> None:
        """Every recipient has been seen: what is left is sending, or nothing at all."""
        state, reason = State.SENDING, ""
        if not self.request.progress.get("mails"):
            state = State.DONE
            reason = _why_nobody(self.request.progress)
        MessageRequest.objects.filter(pk=self.request.pk, claimed_by=self.worker, state=State.PROCESSING).update(
            processed=True, state=state, state_reason=reason, reason_is_open=False
        )
        log.info("Request %s: processed, %s mails", self.request.pk, self.request.progress.get("mails", 0))


def _why_nobody(progress: dict[str, Any]) -> str:
    seen = progress.get("recipients", 0)
    if not seen:
        return _("The stored query finds nobody.")
    return _("None of the %(number)d recipients has an address.") % {"number": seen}
