"""Send mail: one pass for cron, or passes without end."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error

from ...service.loop import Loop
from ...service.passes import PassReport, look_over_drafts, run_pass
from ...stop import Stop

#: The most seconds, after a pass, for preflights that no page takes further.
PREFLIGHT = 300
#: Exit codes of sysexits.h.
EX_OK, EX_SOFTWARE, EX_TEMPFAIL = 0, 70, 75


class Command(BaseCommand):
    help = (
        "Turns broadcasts that are due into mails and sends the mails that are due. Any number may run at once, "
        "on any number of machines. SIGTERM or Ctrl-C: the mails in flight are finished, then it ends. "
        "Exit code 0: done; 70: a broadcast failed (its creator is told); 75: the relay or the database takes "
        "nothing now, or a part of the pass went wrong: the next run goes on. "
        "With --loop it ends when it is told to, with 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="Say nothing if all went well (cron mails the rest).")
        parser.add_argument("--loop", action="store_true", help="Go on with what becomes due, until told to stop.")
        parser.add_argument(
            "--interval",
            type=_seconds,
            default=15.0,
            metavar="SECONDS",
            help="With --loop: look for work at least this often (15). PostgreSQL wakes it at once besides.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        bar = _Bar(sys.stderr) if sys.stderr.isatty() and options["verbosity"] > 0 else None
        progress = bar.show if bar else lambda report: None
        try:
            with Stop() as stop:
                if options["loop"]:
                    Loop(stop, options["interval"], self._tell_of_work, progress).run()
                    return
                report = run_pass(stop=stop, progress=progress)
                if bar:
                    bar.clear()
                self._tell(report)
                defects: list[str] = []
                look_over_drafts(stop, PREFLIGHT, defects.append)
                self._tell_defects(defects)
        except Error as error:
            self.stderr.write(f"The database does not answer as it should: {error}")
            raise SystemExit(EX_TEMPFAIL) from error
        finally:
            if bar:
                bar.clear()
        if report.trouble or report.defects or defects:
            raise SystemExit(EX_TEMPFAIL)
        if report.failed_requests:
            raise SystemExit(EX_SOFTWARE)

    def _tell_of_work(self, report: PassReport) -> None:
        """Report a pass of the loop if it did anything."""
        if report.did_anything:
            self._tell(report)

    def _tell(self, report: PassReport) -> None:
        went_well = not (report.went_wrong or report.failed_requests or report.sending.failed_count)
        if self.options["verbosity"] > 0 and not (self.options["quiet"] and went_well):
            self.stdout.write(report.summary())
            self.stdout.flush()
        if report.trouble:
            self.stderr.write(f"Mail waits: {report.trouble}")
        self._tell_defects(report.defects)

    def _tell_defects(self, defects: list[str]) -> None:
        for defect in defects:
            self.stderr.write(f"Not all went well. {defect}")


class _Bar:
    """A line on a terminal that shows how far the pass is, and is written over as it goes on."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def show(self, report: PassReport) -> None:
        self.stream.write(f"\r{report.mails} made, {report.sending.sent} sent, {report.sending.failed_count} failed ")
        self.stream.flush()

    def clear(self) -> None:
        self.stream.write("\r\033[K")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError("a number of seconds above 0 is needed")
    return seconds
