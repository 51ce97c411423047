"""The outbox as Celery tasks: `dbmail.dispatch` every few seconds by beat, the others follow from it."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ..service import work

try:
    from celery import shared_task
except ImportError as error:
    raise ImproperlyConfigured("dbmail.tasks.on_celery needs Celery: pip install 'dbmail[celery]'.") from error

#: A message is done with when its task is done: one whose worker dies comes again, and repeats nothing.
_OPTIONS: dict[str, Any] = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True}
#: Seconds after which a message that no worker had time for is dropped: the next dispatch says the same.
_STALE = 60


@shared_task(name="dbmail.process_request", **_OPTIONS)
def process_request(request_id: int) -> None:
    """Turn a broadcast into mails, and have them delivered as they are made."""
    if work.process_request(request_id, made=_deliver):
        process_request.delay(request_id)


@shared_task(name="dbmail.deliver_batch", **_OPTIONS)
def deliver_batch() -> None:
    """Send mails that are due."""
    if work.deliver_batch():
        _deliver()


@shared_task(name="dbmail.dispatch", **_OPTIONS)
def dispatch() -> None:
    """Upkeep, then one task for each broadcast that is due and one that delivers."""
    work.dispatch(_process, _deliver)


def _process(request_id: int) -> None:
    process_request.apply_async([request_id], expires=_STALE)


def _deliver() -> None:
    deliver_batch.apply_async(expires=_STALE)
