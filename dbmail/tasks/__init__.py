"""The outbox as tasks of a task queue, for work on many machines: `on_celery` for Celery, `on_django` for
django.tasks; both are thin covers of `work`. docs/operations.md says how to deploy them.

Celery's `autodiscover_tasks()` imports this module, and so finds its tasks.
"""

from importlib.util import find_spec

if find_spec("celery"):
    from . import on_celery as on_celery
