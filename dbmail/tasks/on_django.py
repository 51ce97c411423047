"""The outbox as tasks of django.tasks (Django 6.0), on whatever backend the project's TASKS setting names."""

from django.core.exceptions import ImproperlyConfigured

from ..service import work

try:
    from django.tasks import task
except ImportError as error:
    raise ImproperlyConfigured(
        "dbmail.tasks.on_django needs Django 6.0 or newer: use Celery or dbmail_cron."
    ) from error


@task
def process_request(request_id: int) -> None:
    """Turn a broadcast into mails, and have them delivered as they are made."""
    if work.process_request(request_id, made=deliver_batch.enqueue):
        process_request.enqueue(request_id)


@task
def deliver_batch() -> None:
    """Send mails that are due."""
    if work.deliver_batch():
        deliver_batch.enqueue()


@task
def dispatch() -> None:
    """Upkeep, then one task for each broadcast that is due and one that delivers."""
    work.dispatch(process_request.enqueue, deliver_batch.enqueue)
