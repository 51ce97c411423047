"""Take in mail over LMTP."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = (
        "Takes in mail over LMTP until SIGTERM; needs the extra dbmail[lmtp]. Whoever can connect can hand in mail "
        "for any address: listen on loopback or a Unix socket only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--listen",
            type=_place,
            default=("127.0.0.1", 8024),
            metavar="HOST:PORT|PATH",
            help="default: 127.0.0.1:8024",
        )
        parser.add_argument("--workers", type=_positive, default=2, help="messages decided on at once; default: 2")
        parser.add_argument("--connections", type=_positive, default=50, help="connections at once; default: 50")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from ...incoming.lmtp import serve
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "aiosmtpd":
                raise
            raise CommandError("LMTP needs aiosmtpd: pip install 'dbmail[lmtp]'") from error
        try:
            serve(options["listen"], options["workers"], options["connections"], self._ready)
        except OSError as error:
            raise CommandError(f"Cannot listen there: {error}") from error

    def _ready(self, address: str) -> None:
        self.stdout.write(f"Listening on {address}")
        self.stdout.flush()


def _place(text: str) -> tuple[str, int] | str:
    if "/" in text:
        return text
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ArgumentTypeError(f"{text!r} is neither HOST:PORT nor the path of a socket")
    return host.strip("[]"), int(port)


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)
