"""One contestant does the work once, in a process of its own; what it took is printed as JSON.

    python -m testproject.benchmark.contestants CONTESTANT NUMBER [--count-queries]

DATABASE_URL and SMTP_PORT say where. The database is made afresh by the caller.
"""

import json
import os
import resource
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import date
from itertools import islice
from typing import Any

from .work import HTML, SUBJECT, TEXT

SENDER = "info@example.org"


class Queries:
    """Counts the statements of every connection's thread that asks."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """As itertools has it from Python 3.12 on."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def audience(number: int) -> Any:
    from django.contrib.auth import get_user_model

    from testproject.outreach.models import Program

    model = get_user_model()
    for chunk in batched(range(number), 5000):
        model.objects.bulk_create(
            [
                model(username=f"u{n}", email=f"u{n}@students.example", first_name=f"Ann{n}", last_name="Example")
                for n in chunk
            ],
            batch_size=500,
        )
    return Program.objects.create(niceName="Splash", startdate=date(2027, 2, 6), director_email=SENDER)


def dbmail(number: int, program: Any, lap: Callable[[str], None]) -> None:
    from django.contrib.auth import get_user_model
    from django.db.models import Q

    from dbmail.models import MessageRequest, PersistentQueryFilter
    from dbmail.service.passes import process_messages, send_email_requests

    model = get_user_model()
    MessageRequest.createRequest(
        var_dict={"program": program},
        subject=SUBJECT,
        msgtext=HTML,
        sender=SENDER,
        recipients=PersistentQueryFilter.create_from_Q(model, Q()),
        creator=model.objects.first(),
    )
    others = [_another() for _ in range(int(os.environ.get("PROCESSES", "1")) - 1)]
    lap("start")
    process_messages()
    lap("rows")
    for other in others:
        print("go", file=other.stdin, flush=True)
    send_email_requests()
    for other in others:
        other.wait()
    lap("sending")


def _another() -> "subprocess.Popen[str]":
    """A second process that sends from the same queue, ready to begin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "testproject.benchmark.contestants", "another", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()  # type: ignore[union-attr]  # a pipe
    return process


def another(number: int, program: Any, lap: Callable[[str], None]) -> None:
    from dbmail.service.passes import send_email_requests

    lap("start")
    print("ready", flush=True)
    sys.stdin.readline()
    send_email_requests()


def post_office(number: int, program: Any, lap: Callable[[str], None]) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from post_office import mail
    from post_office.models import EmailTemplate

    template = EmailTemplate.objects.create(name="t", subject=SUBJECT, content=TEXT, html_content=HTML)
    lap("start")
    for users in batched(get_user_model().objects.order_by("pk").iterator(chunk_size=500), 500):
        mail.send_many(
            [
                {
                    "recipients": [user.email],
                    "sender": SENDER,
                    "template": template,
                    "context": {"user": user, "program": program},
                    "priority": "medium",
                }
                for user in users
            ]
        )
    lap("rows")
    call_command("send_queued_mail", processes=1, log_level=0)
    lap("sending")


def mailer(number: int, program: Any, lap: Callable[[str], None]) -> None:
    from django.contrib.auth import get_user_model
    from django.template import Context, Template
    from mailer import send_html_mail
    from mailer.engine import send_all

    subject, text, html = Template(SUBJECT), Template(TEXT), Template(HTML)
    lap("start")
    for user in get_user_model().objects.order_by("pk").iterator(chunk_size=500):
        context = Context({"user": user, "program": program})
        send_html_mail(subject.render(context), text.render(context), html.render(context), SENDER, [user.email])
    lap("rows")
    send_all()
    lap("sending")


def bare(number: int, program: Any, lap: Callable[[str], None]) -> None:
    """The least that sending can cost: bytes made before, smtplib, as many connections as dbmail uses."""
    from dbmail.addresses import Mailbox
    from dbmail.delivery.message import Mail

    data = Mail("Hello", HTML, Mailbox(SENDER), (Mailbox("u@students.example"),), SENDER, "1@example.org", TEXT)
    mail = data.for_smtp().data
    connections = int(os.environ.get("CONNECTIONS", "1"))
    port = int(os.environ["SMTP_PORT"])
    lap("start")

    def send(count: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as smtp:
            for n in range(count):
                smtp.sendmail(SENDER, [f"u{n}@students.example"], mail)

    threads = [threading.Thread(target=send, args=[number // connections]) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lap("sending")


def main() -> None:
    contestant, number = sys.argv[1], int(sys.argv[2])
    os.environ["CONTESTANT"] = contestant if contestant in ("post_office", "mailer") else "dbmail"
    os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.benchmark.settings"
    import django

    django.setup()
    from django.db import connection
    from django.urls import get_resolver

    program = audience(number) if contestant not in ("bare", "another") else None
    _ = get_resolver().url_patterns  # the project's own imports are nobody's work
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queries, laps, last = Queries(), {}, [time.perf_counter()]
    counted: dict[str, int] = {}

    def lap(name: str) -> None:
        now = time.perf_counter()
        laps[name], counted[name] = now - last[0], queries.count - sum(counted.values())
        last[0] = now

    with ExitStack() as stack:
        if "--count-queries" in sys.argv:
            stack.enter_context(connection.execute_wrapper(queries))
        globals()[contestant](number, program, lap)
    del laps["start"], counted["start"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": laps, "queries": counted, "peak_mb": peak / 1024, "before_mb": before / 1024}))


if __name__ == "__main__":
    main()
