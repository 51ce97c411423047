"""Which addresses get no mail: entered one by one or by thousands, asked at processing and again before sending."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..addresses import normalise
from ..conf import config, load
from ..models.mail import TextOfEmail
from ..models.suppression import LIFTED, Suppression

log = logging.getLogger(__name__)

Reason = Suppression.Reason
#: Reasons that also stop mail which somebody sends to a person by name: it would not arrive, or may not be sent.
_ALSO_PERSONAL = frozenset({Reason.BOUNCED, Reason.MANUAL})
#: How many addresses are entered in one transaction.
_CHUNK = 500
#: How often the same addresses are tried again after another process has entered one of them in between.
_TRIES = 5
#: The columns that an entry writes over when it replaces another one.
_FIELDS = ("reason", "source", "created_at", "expires_at", "created_by")


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """One address to leave out of one scope of mail. `expires_at` None: until somebody lifts it."""

    address: str
    reason: str
    scope: str = Suppression.ALL
    source: str = ""
    expires_at: datetime | None = None
    created_at: datetime | None = None
    created_by: Any = None

    @property
    def key(self) -> tuple[str, str]:
        return normalise(self.address), self.scope

    def values(self) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "source": self.source[:2000],
            "created_at": self.created_at or timezone.now(),
            "expires_at": self.expires_at,
            "created_by": self.created_by,
        }


def replaces(new: NewSuppression, old: "NewSuppression | Suppression", now: datetime) -> bool:
    """Whether `new` takes the place of an entry that is there.

    What a person decided (unsubscribed, complained, an administrator) outlasts what a server said, or lifting a
    bounce would bring mail to somebody who has left. Otherwise the first entry stays, unless the new one ends later.
    """
    if old.expires_at is not None and old.expires_at <= now:
        return True
    decided, was_decided = (row.reason != Suppression.Reason.BOUNCED for row in (new, old))
    if decided != was_decided:
        return decided
    if old.expires_at is None:
        return False
    return new.expires_at is None or new.expires_at > old.expires_at


def suppress_many(entries: Iterable[NewSuppression]) -> list[Suppression]:
    """Enter them all; the rows that are new or changed. A few queries for every 500 entries."""
    changed: list[Suppression] = []
    remaining = iter(entries)
    while chunk := list(islice(remaining, _CHUNK)):
        changed += _enter(list(_strongest(chunk)))
    return changed


def _strongest(entries: Iterable[NewSuppression]) -> Iterator[NewSuppression]:
    """One entry for each address and scope."""
    now = timezone.now()
    kept: dict[tuple[str, str], NewSuppression] = {}
    for entry in entries:
        if entry.key not in kept or replaces(entry, kept[entry.key], now):
            kept[entry.key] = entry
    yield from kept.values()


def _enter(entries: list[NewSuppression]) -> list[Suppression]:
    for _attempt in range(_TRIES):
        try:
            with transaction.atomic():
                return _write(entries)
        except IntegrityError:
            log.info("Another process entered a suppression at the same time; looking again")
    with transaction.atomic():
        return _write(entries)


def _write(entries: list[NewSuppression]) -> list[Suppression]:
    there = _rows(entries)
    new, changed = [], []
    for entry in entries:
        row = there.get(entry.key)
        if row is None:
            address, scope = entry.key
            new.append(Suppression(address=address, scope=scope, **entry.values()))
        elif replaces(entry, row, timezone.now()):
            lifted = "".join(f"\n{line}" for line in row.source.splitlines() if line.startswith(LIFTED))
            for name, value in entry.values().items():
                setattr(row, name, value)
            row.source = f"{row.source}{lifted[-1000:]}".strip()
            changed.append(row)
    Suppression.objects.bulk_create(new)
    Suppression.objects.bulk_update(changed, _FIELDS)
    if any(row.pk is None for row in new):  # MySQL does not tell the keys of what it inserted
        keys = _rows(entries)
        for row in new:
            row.pk = keys[row.address, row.scope].pk
    return new + changed


def _rows(entries: list[NewSuppression]) -> dict[tuple[str, str], Suppression]:
    rows = Suppression.objects.select_for_update().filter(
        address__in={entry.key[0] for entry in entries}, scope__in={entry.scope for entry in entries}
    )
    return {(row.address, row.scope): row for row in rows}


def in_force() -> "QuerySet[Suppression]":
    """The entries that have not ended."""
    return Suppression.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()))


def suppressed(addresses: Iterable[str], scope: str = Suppression.ALL, *, is_personal: bool = False) -> dict[str, str]:
    """Those of `addresses` (normalised) that get no mail of this scope, with the reason. One query.

    With `is_personal`, the mail was written to these people by name: only what also stops such mail counts.
    """
    rows = in_force().filter(address__in=set(addresses), scope__in={Suppression.ALL, scope})
    if is_personal:
        rows = rows.filter(reason__in=_ALSO_PERSONAL)
    return dict(rows.values_list("address", "reason"))


def not_sent(reason: str) -> str:
    """What a mail that was stopped for this reason says of it."""
    words = Reason(reason).label if reason in Reason.values else reason
    return _("Not sent: the address is suppressed (%(why)s).") % {"why": words}


def stopped(mails: Sequence[TextOfEmail]) -> dict[int, str]:
    """Those of `mails` that may not go out, by key, with the reason. One query."""
    asked = {mail.address for mail in mails if mail.messagerequest_id or mail.forward_id or mail.scope}
    if not asked:
        return {}
    entries: dict[str, list[tuple[str, str]]] = {}
    for address, scope, reason in in_force().filter(address__in=asked).values_list("address", "scope", "reason"):
        entries.setdefault(address, []).append((scope, reason))
    found = {mail.pk: _stops(mail, entries.get(mail.address, ())) for mail in mails}
    return {pk: reason for pk, reason in found.items() if reason}


def _stops(mail: TextOfEmail, entries: Iterable[tuple[str, str]]) -> str:
    """The reason of the entry that keeps `mail` from its address, or "".

    | mail | what stops it |
    |-|-|
    | of a broadcast, or a copy for a list | an entry for all mail, or for its category or list |
    | a copy for an alias | a bounce, or an administrator: who left our mailings still gets personal mail |
    | neither: queued by the project with a category as its scope | an entry for all mail, or for that category |
    | the same without one | nothing: the project knows why it must go |
    """
    for scope, reason in entries:
        is_personal = mail.forward_id is not None and not mail.scope
        is_ours = mail.messagerequest_id is not None or mail.forward_id is not None or bool(mail.scope)
        if is_ours and scope in (Suppression.ALL, mail.scope) and (not is_personal or reason in _ALSO_PERSONAL):
            return reason
    return ""


def ends_at(reason: str) -> datetime | None:
    """When an entry made now for this reason ends by itself: addresses come back to life, decisions stay."""
    return timezone.now() + config().bounce_rest.hard if reason == Reason.BOUNCED else None


def suppress(
    address: str, reason: str, *, scope: str = Suppression.ALL, source: str = "", by: Any = None
) -> Suppression:
    """Enter `address`, in the name of the user `by`; the entry that is then in force (see `entries.replaces`)."""
    changed = suppress_all([NewSuppression(address, reason, scope, source, ends_at(reason), created_by=by)])
    return changed[0] if changed else Suppression.objects.get(address=normalise(address), scope=scope)


def suppress_all(entries: Iterable[NewSuppression]) -> list[Suppression]:
    """Enter all of them; the rows that are new or changed. The project's hook is told of each."""
    changed = suppress_many(entries)
    for row in changed:
        log.info("Suppression %s entered: %s", row.pk, row.reason)
        _tell_host(row)
    return changed


def lift(
    address: str,
    *,
    scope: str = Suppression.ALL,
    reasons: Iterable[str] | None = None,
    by: str = "",
    because: str = "",
) -> bool:
    """Take `address` out again (only an entry of one of `reasons`, if given); whether there was one in force.

    An administrator says `because`: the entry is then kept, ended, with that reason and the name in `by`.
    """
    rows = in_force().filter(address=normalise(address), scope=scope)
    if reasons is not None:
        rows = rows.filter(reason__in=list(reasons))
    row = rows.first()
    if row is None:
        return False
    log.info("Suppression %s lifted", row.pk)
    if because:
        row.expires_at = timezone.now()
        note = f"{LIFTED}{row.expires_at:%Y-%m-%d}{f' by {by}' if by else ''}: {' '.join(because.split())}"
        row.source = f"{row.source[:1000]}\n{note[:900]}".strip()
        row.save(update_fields=["expires_at", "source"])
    else:
        row.delete()
    _tell_host(row)
    return True


def _tell_host(row: Suppression) -> None:
    if config().unsubscribe_hook:
        hook = load("UNSUBSCRIBE_HOOK", config().unsubscribe_hook)
        try:
            with transaction.atomic():  # what fails in it must not spoil a transaction that is under way
                hook(row)
        except Exception:  # the project's own code: what the person asked for stands, whatever it does
            log.exception("The unsubscribe hook failed for suppression %s", row.pk)
