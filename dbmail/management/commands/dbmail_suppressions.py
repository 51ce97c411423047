"""The suppression table from the command line."""

import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from ...models.suppression import Suppression
from ...suppression.csv_file import BadFile, read, write
from ...suppression.entries import lift, suppress_many

#: The most bad lines that are named; then only their number is given.
_SHOWN = 50


class Command(BaseCommand):
    help = "Exports, imports and lifts entries of the suppression table: the addresses that get no mail."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = (
            "examples:\n"
            "  manage.py dbmail_suppressions export left-out.csv\n"
            "  manage.py dbmail_suppressions import left-out.csv --dry-run\n"
            '  manage.py dbmail_suppressions lift ann@example.org --because "The mailbox works again" --by joe\n'
        )
        commands = parser.add_subparsers(dest="command", required=True)
        export = commands.add_parser("export", help="Write every entry as CSV.")
        export.add_argument("file", nargs="?", default="-", help="Where to; standard output if it is not given.")
        importing = commands.add_parser("import", help="Enter every line of a CSV file, or none if one is wrong.")
        importing.add_argument("file", help="A file that export wrote, or one with a column address; - for stdin.")
        importing.add_argument("--dry-run", action="store_true", help="Check the file and change nothing.")
        lifting = commands.add_parser("lift", help="End an entry, so that the address gets mail again.")
        lifting.add_argument("address")
        lifting.add_argument("--scope", default=Suppression.ALL, help="A list or category; all mail if not given.")
        lifting.add_argument("--because", required=True, help="Why; it is kept with the entry.")
        lifting.add_argument("--by", default="", help="Who says so.")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['command']}")(options)

    def _export(self, options: dict[str, Any]) -> None:
        rows = Suppression.objects.select_related("created_by").order_by("address", "scope").iterator()
        if options["file"] == "-":
            write(self.stdout, rows)
            return
        try:
            with Path(options["file"]).open("w", encoding="utf-8", newline="") as file:
                number = write(file, rows)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{number} entries exported.")

    def _import(self, options: dict[str, Any]) -> None:
        try:
            entries = read(_text(options["file"], sys.stdin))
        except BadFile as error:
            for line in error.lines[:_SHOWN]:
                self.stderr.write(str(line))
            raise CommandError(f"{len(error.lines)} bad lines; nothing was imported.") from error
        if options["dry_run"]:
            self.stdout.write(f"{len(entries)} entries could be imported.")
            return
        with transaction.atomic():
            changed = suppress_many(entries)
        self.stdout.write(f"{len(entries)} entries read, {len(changed)} new or changed.")

    def _lift(self, options: dict[str, Any]) -> None:
        if not lift(options["address"], scope=options["scope"], by=options["by"], because=options["because"]):
            raise CommandError(f"{options['address']} is not left out of {options['scope']}.")
        self.stdout.write(f"{options['address']} gets mail again.")


def _text(path: str, stdin: TextIO) -> str:
    try:
        data = stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 (byte {error.start}); save it as CSV UTF-8.") from error
