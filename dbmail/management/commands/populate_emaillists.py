"""Create the default rows that incoming mail is routed by."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from ...incoming.rows import DEFAULT_ROWS
from ...models import EmailList


class Command(BaseCommand):
    help = "Creates the default routes of incoming mail; a table that has rows is left as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--force", action="store_true", help="Delete every row that there is, then create these.")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            existing = EmailList.objects.count()
            if existing and not options["force"]:
                self.stdout.write(f"There are {existing} rows already: nothing done. --force replaces them.")
                return
            EmailList.objects.all().delete()
            for row in DEFAULT_ROWS:
                EmailList.objects.create(**asdict(row))
        self.stdout.write(f"Created {len(DEFAULT_ROWS)} rows" + (f", deleted {existing}." if existing else "."))
