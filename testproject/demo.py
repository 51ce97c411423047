"""What scripts/demo runs: a database, a relay, a broadcast, one pass of cron, and a look at what arrived."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections import Counter
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".demo"


class Sink:
    """A relay that keeps what it is given: return path, recipient, message."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, EmailMessage]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.mails += [(envelope.mail_from, address, message) for address in envelope.rcpt_tos]
        return "250 2.0.0 Taken"


def manage(*words: str) -> None:
    print(f"\n$ manage.py {' '.join(word if 'password' not in word else '--password=...' for word in words)}")
    subprocess.run([sys.executable, ROOT / "manage.py", *words], check=True, cwd=ROOT)  # noqa: S603 - our own words


def main() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    sink = Sink()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    relay = Controller(sink, hostname="127.0.0.1", port=port)
    relay.start()
    web = "127.0.0.1:8000"
    os.environ |= {
        "DATABASE_URL": f"sqlite:///{PLACE / 'db.sqlite3'}",
        "SMTP_PORT": str(port),
        "SITE_URL": f"http://{web}",
        "DEBUG": "1",
    }
    password = secrets.token_urlsafe(9)
    print(f"A relay listens on 127.0.0.1:{port}; everything else is in {PLACE}.")
    manage("migrate", "--verbosity=0")
    manage("seed", f"--password={password}")
    manage("dbmail_cron")
    relay.stop()
    show(sink)
    print(f"\nThe admin is at http://{web}/admin/ - user admin, password {password}")
    print(f"The broadcast is public: http://{web}/email/1")
    if "--no-input" in sys.argv:
        return
    print("Mail that you send from there goes nowhere: the relay has ended. Ctrl-C ends the site.\n")
    try:
        manage("runserver", web, "--noreload")
    except KeyboardInterrupt:
        print()


def show(sink: Sink) -> None:
    print(f"\n{len(sink.mails)} mails arrived:")
    for recipient, count in sorted(Counter(recipient for _, recipient, _ in sink.mails).items()):
        print(f"  {recipient:32} {count}")
    return_path, recipient, message = sink.mails[0]
    print(f"\nThe first of them, from the envelope {return_path} to {recipient}:\n")
    for name in ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"):
        print(f"  {name}: {message[name]}"[:160])
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            print("\n  " + part.get_content().strip().replace("\n", "\n  "))
    print(f"\nIts parts: {', '.join(part.get_content_type() for part in message.walk())}.")


if __name__ == "__main__":
    main()
