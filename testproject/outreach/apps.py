"""The app of the test project, in small steps where a test asks for them."""

import os

from django.apps import AppConfig


class OutreachConfig(AppConfig):
    name = "testproject.outreach"

    def ready(self) -> None:
        # Tests that kill processes need many chunks and batches of a few mails. Nobody else has a reason to change
        # what are constants of dbmail's.
        if chunk := os.environ.get("CHUNK_SIZE"):
            from dbmail.queue import process

            process.CHUNK_SIZE = int(chunk)
        if batch := os.environ.get("BATCH_SIZE"):
            from dbmail.queue import deliver

            deliver.BATCH_SIZE = int(batch)
