"""Examine whether this project's mail arrives: DNS, relay, unsubscribe page, the big providers' rules."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...dns.errors import DomainsError
from ...doctor.finding import as_json, as_text, worst
from ...doctor.project import examine_project, keep
from ...exceptions import SettingError

#: Exit code of sysexits.h if the settings are wrong, so that nothing could be examined.
EX_CONFIG = 78


class Command(BaseCommand):
    help = (
        "Looks at everything that decides whether mail of this project arrives: MX, SPF, DKIM, DMARC, alignment, "
        "reverse DNS, TLS of the relay, bounces, the unsubscribe page, Gmail's and Yahoo's rules. Says what to do and "
        "what to publish; sends no mail. Exit code 0: all well; 1: warnings; 2: failures; 78: the settings are wrong."
    )
    requires_system_checks = []  # what they find, this finds too

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="For a program.")
        parser.add_argument("--dns-only", action="store_true", help="Ask DNS alone: no relay, no MX, no page.")
        parser.add_argument("--keep", action="store_true", help="Have the admin's page show the result.")
        parser.add_argument(
            "--resolver", action="append", default=[], help="A DNS server to ask: 192.0.2.53[:5353]. May be repeated."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            findings = examine_project(options["resolver"], network=not options["dns_only"])
        except (SettingError, DomainsError) as error:
            self.stderr.write(str(error))
            raise SystemExit(EX_CONFIG) from error
        if options["keep"]:
            keep(findings)
        self.stdout.write(as_json(findings) if options["json"] else as_text(findings))
        code = worst(findings).exit_code
        if code:
            raise SystemExit(code)
