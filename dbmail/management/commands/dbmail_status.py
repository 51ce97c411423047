"""Report how the queue is, to a person or to Nagios, Icinga, Zabbix and the like."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from ...service.status import Health, Status, judge, status, words


class Command(BaseCommand):
    help = (
        "Says how many mails wait, how long the oldest has been due and when the last pass was. "
        "Exit code as monitoring plugins have it: 0 fine, 1 warning, 2 critical, 3 unknown."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        age = "Minutes that a mail may be due, or that may pass between two passes"
        parser.add_argument("--warning", type=float, default=30, help=f"{age}, until it is a warning (30).")
        parser.add_argument("--critical", type=float, default=120, help=f"{age}, until it is critical (120).")
        parser.add_argument("--json", action="store_true", help="For a program.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = status()
        except DatabaseError as error:
            self.stdout.write(f"DBMAIL UNKNOWN - the database does not answer as it should: {error}".splitlines()[0])
            raise SystemExit(Health.UNKNOWN) from error
        limits = timedelta(minutes=options["warning"]), timedelta(minutes=options["critical"])
        health, reasons = judge(found, *limits)
        self.stdout.write(_as_json(found, health, reasons) if options["json"] else _as_line(found, health, reasons))
        if health is not Health.OK:
            raise SystemExit(int(health))


def _as_line(found: Status, health: Health, reasons: list[str]) -> str:
    """One line of text, a bar, and numbers: the format of monitoring plugins."""
    oldest = f", the oldest due for {words(found.oldest)}" if found.oldest else ""
    last = f", last pass {words(found.last_pass)} ago" if found.last_pass is not None else ""
    text = "; ".join(reasons) or f"{found.waiting} mails wait, {found.due} are due{oldest}{last}"
    numbers = {"waiting": found.waiting, "due": found.due, "sending": found.sending, "in_doubt": found.in_doubt}
    values = " ".join(f"{name}={number}" for name, number in numbers.items())
    values += f" oldest={_seconds(found.oldest)}s last_pass={_seconds(found.last_pass)}s"
    return f"DBMAIL {health.name} - {text} | {values}".replace("\n", " ")


def _as_json(found: Status, health: Health, reasons: list[str]) -> str:
    values = {
        name: _seconds(value) if isinstance(value, timedelta) else value for name, value in asdict(found).items()
    }
    return json.dumps({"health": health.name.lower(), "reasons": reasons, **values}, indent=2)


def _seconds(age: timedelta | None) -> int:
    return int(age.total_seconds()) if age is not None else 0
