"""Telling workers that sleep that there is something to do: NOTIFY, where the database is PostgreSQL.

On other databases workers look by themselves every few seconds, and nothing here does anything.
"""

from django.db import DEFAULT_DB_ALIAS, connections

CHANNEL = "dbmail_outbox"


def wake_workers(using: str | None = None) -> None:
    """Say that a broadcast or a mail waits. In a transaction it is said with the commit, once however often it is
    called; without a commit never. Code of your own that queues by `QuerySet.update()` calls this after it."""
    connection = connections[using or DEFAULT_DB_ALIAS]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
