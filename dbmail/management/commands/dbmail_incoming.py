"""Incoming mail from the command line: list it, show one message, decide on it."""

import sys
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...delivery.header_block import split
from ...exceptions import DbmailError
from ...incoming.moderation import approve, reject, replay
from ...incoming.rules import Decision, Verdict
from ...models import IncomingMessage, TextOfEmail


class Command(BaseCommand):
    help = "Lists and shows mail that came in, decides on held messages, and decides anew on others."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        listing = commands.add_parser("list", help="The latest messages, a line each.")
        listing.add_argument("--state", choices=IncomingMessage.State.values, help="Only those in this state.")
        listing.add_argument("--to", default="", help="Only those for this address.")
        listing.add_argument("--limit", type=int, default=50, help="At most so many (50).")
        show = commands.add_parser("show", help="What became of a message and why, its header, and who has a copy.")
        show.add_argument("id", type=int)
        show.add_argument("--raw", action="store_true", help="The message itself, byte for byte, and nothing else.")
        again = commands.add_parser("replay", help="Decide anew, by the rows of now; nobody gets a second copy.")
        again.add_argument("id", type=int)
        letting = commands.add_parser("approve", help="Send a held message on.")
        letting.add_argument("id", type=int)
        keeping = commands.add_parser("reject", help="Drop a held message; its author is told nothing.")
        keeping.add_argument("id", type=int)
        keeping.add_argument("--note", default="", help="Why; it is kept with the message.")
        for decide in (letting, keeping):
            decide.add_argument("--by", default="", metavar="USERNAME", help="In whose name.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['command']}")(options)
        except DbmailError as error:
            raise CommandError(str(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        found = IncomingMessage.objects.defer("raw").order_by("-pk")
        if options["state"]:
            found = found.filter(state=options["state"])
        if options["to"]:
            found = found.filter(recipient=options["to"].lower())
        for message in found[: max(options["limit"], 0)]:
            self.stdout.write(
                f"{message.pk:>8} {message.received_at:%Y-%m-%d %H:%M} {message.state:<8} {message.decision:<12} "
                f"{message.recipient}  {message.author}  {message.subject}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        message = _message(options["id"])
        if options["raw"]:
            sys.stdout.flush()
            sys.stdout.buffer.write(bytes(message.raw))
            return
        lines = {
            "state": f"{message.get_state_display()} (the mail server was told {message.exit_code})",
            "decided by": f"{message.decision}: {message.reason}",
            "received": f"{message.received_at:%Y-%m-%d %H:%M:%S %Z}".strip(),
            "for": message.recipient,
            "taken by": f"{message.emaillist or 'no row'}",
            "envelope from": message.sender or "<>",
            "queue id": message.queue_id,
            "moderator": f"{message.moderated_by or ''}",
            "size": f"{len(message.raw)} bytes" if message.raw else "purged",
        }
        for name, value in lines.items():
            self.stdout.write(f"{name:>13}: {value}")
        header, _body = split(bytes(message.raw))
        for field in header.fields:
            self.stdout.write(f"  {field.name}: {field.text[:500]}")
        copies = TextOfEmail.objects.filter(forward__incoming=message).order_by("pk").defer("msgtext", "plaintext")
        for copy in copies:
            self.stdout.write(f"  copy {copy.pk} {copy.state} {copy.address} {copy.last_reply}".rstrip())

    def _replay(self, options: dict[str, Any]) -> None:
        message = _message(options["id"])
        try:
            self._tell(replay(message))
        except DbmailError:
            raise
        except (
            Exception
        ) as error:  # a handler's own mistake: it is kept in the row, and whoever replays wants to see it
            raise CommandError(f"It failed again: {type(error).__name__}: {error}") from error

    def _approve(self, options: dict[str, Any]) -> None:
        self._tell(approve(_message(options["id"]), _user(options["by"])))

    def _reject(self, options: dict[str, Any]) -> None:
        reject(_message(options["id"]), _user(options["by"]), options["note"])
        self.stdout.write("Rejected.")

    def _tell(self, decision: Decision) -> None:
        self.stdout.write(f"{decision.verdict} ({decision.rule}): {decision.reason}")
        if decision.verdict == Verdict.SEND:
            self.stdout.write("Its copies are in the queue: the next dbmail_cron sends them.")


def _message(key: int) -> IncomingMessage:
    message = IncomingMessage.objects.filter(pk=key).first()
    if message is None:
        raise CommandError(f"There is no message {key}.")
    return message


def _user(name: str) -> Any:
    if not name:
        return None
    model = get_user_model()
    user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
    if user is None:
        raise CommandError(f"There is no user {name!r}.")
    return user
