"""From a broadcast to rows in the queue: chunk by chunk, each its own transaction, resumable after any crash."""

import json
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error, IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..addresses import Mailbox, format_mailbox, normalise
from ..audience.sendto import addresses_for
from ..audience.stored_query import answered
from ..blame import Blame, blame, database_error, in_words, is_a_bug
from ..broadcasts.approval import check_approved
from ..broadcasts.control import all_made, fail, refresh, take_up
from ..broadcasts.leases import FREE, lease
from ..broadcasts.notices import report_request_failed
from ..conf import check_category, config
from ..database import after_deadlock, database_now, wake_workers
from ..delivery.from_address import author
from ..delivery.headers import request_headers
from ..exceptions import DbmailError, RenderFailed, UnresolvableQuery
from ..models import EmailRequest, MessageRequest, TextOfEmail
from ..models.mail import copy_key, new_message_id
from ..models.suppression import Suppression
from ..rendering.message import MessageRenderer, Rendered
from ..suppression.entries import not_sent, suppressed
from .record import insert_rows
from .worker import ended, identity, provably_dead

log = logging.getLogger(__name__)
BroadcastState = MessageRequest.State
MailState = TextOfEmail.State

#: The fields of a new mail, in the order of `_Processing._mail`.
_FIELDS = (
    *("messagerequest", "user", "send_to", "send_from", "address", "copy_key", "scope"),
    *("subject", "msgtext", "plaintext", "message_id", "created_at", "due_at", "state", "sent", "last_reply"),
    *("sent_by", "tries", "claimed_by", "claimed_until", "begun"),
)
_ADDRESS, _STATE = _FIELDS.index("address"), _FIELDS.index("state")
_UNTRIED = (None, 0, "", None, False)

#: Recipients that are turned into rows in one transaction, and asked of CONTACTS together: enough that a transaction
#: costs little of the whole, few enough that a crash repeats seconds of work. Mails of any size fit: see below.
CHUNK_SIZE = 500
#: Errors that may quote what is stored about a person, or in the conditions of an audience.
_PERSONAL = (RenderFailed, UnresolvableQuery)
#: Characters of rendered mail after which a chunk is closed early: memory is bounded also for big bodies.
_CHUNK_TEXT = 16_000_000
#: Recipients without a usable address that are named in the progress.
_EXAMPLES = 20
#: A broadcast that was taken up so often and got no further is set aside.
_TAKEN_UP = 3
#: Times that a chunk is made: somebody may delete people, or what they refer to, while it is.
_TIMES = 3


def process_request(request: MessageRequest) -> int:
    """Turn all recipients of `request` into mails; how many were made now.

    Does nothing for a request that is processed, paused or ended, or that another worker is processing.
    Raises DbmailError after it has marked the request as failed and told its creator; the database's error where
    that is away, or others were in the way for too long, which is no fault of the request: the next pass goes on.
    """
    return sum(process_in_chunks(request))


def process_in_chunks(request: MessageRequest) -> Generator[int, None, None]:
    """As `process_request`, giving way after each chunk with the number of mails that it made."""
    worker = identity()
    if not _take(request, worker):
        return
    log.info("Request %s: processing", request.pk)
    in_vain = False
    try:
        _set_aside_if_in_vain(request)
        yield from _Processing(request, worker).chunks()
    except BaseException as error:
        # The project's own code runs here (resolvers, properties of its objects): its bugs stop one request only.
        if not is_a_bug(error):
            raise
        whose, of_database = blame(error), database_error(error)
        if of_database and whose is not Blame.OWN:
            in_vain = whose is Blame.CONTENTION
            raise of_database from of_database.__cause__  # which has its code
        if _fail(request, error):
            if isinstance(error, DbmailError):
                raise
            said = _("Broadcast %(number)s failed: %(error)s")
            raise DbmailError(said % {"number": request.pk, "error": in_words(error)}) from error
    finally:
        # Also when whoever asked for chunks wants no more of them.
        _let_go(request, worker, in_vain)


def _take(request: MessageRequest, worker: str) -> bool:
    """Make `worker` the only one who processes the request, until its lease ends."""
    holder = MessageRequest.objects.filter(pk=request.pk).values_list("claimed_by", flat=True).first()
    free = Q(claimed_by="") | Q(claimed_until__lt=database_now())
    if holder and provably_dead(holder):
        free |= Q(claimed_by=holder)
    return take_up(request, worker, free)


def _let_go(request: MessageRequest, worker: str, in_vain: bool) -> None:
    """`in_vain`: others were in the way, so that it does not count as taken up."""
    ended(worker)
    uncounted = {"taken_up": F("taken_up") - 1} if in_vain else {}
    with suppress(Error):  # its lease ends anyway, and for this process it has ended
        ours = MessageRequest.objects.filter(pk=request.pk, claimed_by=worker)
        ours.update(**FREE, **uncounted)
        refresh(request)


def _set_aside_if_in_vain(request: MessageRequest) -> None:
    """Raises DbmailError for a request that ended its workers, or the database, again and again: nobody but the count
    is left to tell of that."""
    if request.taken_up > _TAKEN_UP:
        said = _(
            "It was set aside: %(times)d times the work on it broke off before it got any further, since the program "
            "or the database ended in the midst of it. Their logs say why; resume it to try again."
        )
        raise DbmailError(said % {"times": _TAKEN_UP})


def _fail(request: MessageRequest, error: BaseException) -> bool:
    """Mark `request` as failed and tell its creator; False if it is not under way any more."""
    expected = isinstance(error, DbmailError)
    is_open = expected and not isinstance(error, _PERSONAL)
    reason = str(error) if expected else in_words(error)
    if not fail(request, reason, is_open=is_open, defect=None if expected else error):
        return False
    if refresh(request):
        report_request_failed(request)
    return True


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
        while (made := self._chunk()) is not None:
            yield made

    def _chunk(self, times_left: int = _TIMES - 1) -> int | None:
        """How many mails it made; None if there is nothing more to do."""
        try:
            return self._read_and_store()
        except IntegrityError:
            if not times_left:
                raise
            log.info("Request %s: somebody was deleted just now; reading its recipients again", self.request.pk)
            return self._chunk(times_left - 1)

    @after_deadlock
    def _read_and_store(self) -> int | None:
        users = self._next_users()
        if users:
            return self._store(self._render(users))
        self._finish()
        return None

    def _next_users(self) -> list[Any]:
        users = self.users
        if self.request.cursor:
            users = users.filter(pk__gt=json.loads(self.request.cursor))
        with answered():
            return list(users[:CHUNK_SIZE])

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
        now = database_now()
        with transaction.atomic():
            ours = MessageRequest.objects.filter(
                pk=self.request.pk, claimed_by=self.worker, cursor=self.request.cursor, state=BroadcastState.PROCESSING
            )
            # A write before any read: SQLite gives the lock to whoever asks first, and lets the others wait.
            if not ours.update(cursor=cursor, taken_up=0, **lease(self.worker, now)):
                return None
            ids = self._existing(chunk)
            new = [mail for key, mail in chunk.mails.items() if key not in ids]
            self._insert(new, chunk)
            if new:
                ids = self._existing(chunk)
            links = {(self.request.pk, pk, ids[key]) for pk, key in chunk.links}
            insert_rows(EmailRequest, ("msgreq", "target", "textofemail"), links)
            chunk.count("merged", len(chunk.links) - len(new))
            progress = self._save_progress(chunk)
        self.request.cursor, self.request.progress = cursor, progress
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

    def _save_progress(self, chunk: _Chunk) -> dict[str, Any]:
        progress = dict(self.request.progress)
        for what, number in chunk.counts.items():
            progress[what] = progress.get(what, 0) + number
        if chunk.problems:
            progress["problems"] = [*progress.get("problems", []), *chunk.problems][:_EXAMPLES]
        MessageRequest.objects.filter(pk=self.request.pk).update(progress=progress)
        return progress

    def _finish(self) -> None:
        """Every recipient has been seen: what is left is sending, or nothing at all."""
        progress = self.request.progress
        all_made(self.request, self.worker, "" if progress.get("mails") else _why_nobody(progress))
        log.info("Request %s: processed, %s mails", self.request.pk, self.request.progress.get("mails", 0))


def _why_nobody(progress: dict[str, Any]) -> str:
    seen = progress.get("recipients", 0)
    if not seen:
        return _("The stored query finds nobody.")
    return _("None of the %(number)d recipients has an address.") % {"number": seen}
