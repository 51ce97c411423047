"""Empty the bodies of old mail, and delete the rows of older mail."""

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...broadcasts.expire import purge
from ...conf import config

#: The fewest days that rows are kept: an MTA may deliver a message again for days, soft bounces count for two weeks.
_LEAST_ROWS = 30


class Command(BaseCommand):
    help = (
        "Empties the bodies of mails and of incoming messages (DBMAIL['INCOMING']['KEEP']) that are old, and deletes "
        "rows that are older still, if asked to. What waits, is held, or can be sent again stays. Run it nightly."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bodies", type=_days, default=90, metavar="DAYS", help="Keep bodies of mails so long (90)."
        )
        parser.add_argument(
            "--rows",
            type=_days,
            metavar="DAYS",
            help=f"Delete mails and incoming messages after so many days, at least {_LEAST_ROWS}; else they stay.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Say how many it would be.")

    def handle(self, *args: Any, **options: Any) -> None:
        bodies, rows = options["bodies"], options["rows"]
        if rows is not None and rows < max(bodies, _LEAST_ROWS):
            raise CommandError(f"--rows must be at least {max(bodies, _LEAST_ROWS)}: rows outlive their bodies.")
        purged = purge(
            timedelta(days=bodies),
            config().incoming.keep,
            None if rows is None else timedelta(days=rows),
            dry_run=options["dry_run"],
        )
        if options["verbosity"] > 0:
            self.stdout.write(f"{'It would be: ' if options['dry_run'] else ''}{purged}")


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 100_000:
        raise ArgumentTypeError(f"{text!r} is no number of days")
    return int(text)
