"""Fills an empty database with an outreach programme: students, guardians, an admin, a broadcast."""

from datetime import date
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Q

from dbmail.models import MessageRequest, PersistentQueryFilter

from ...models import Profile, Program, StudentInfo

FIRST = ["Ana", "Ben", "Chloé", "Dmitri", "Elif", "Fatou", "Grace", "Hiro", "Ines", "Jürgen"]
LAST = ["Álvarez", "Brown", "Çelik", "Diallo", "Eriksson", "Fischer", "García", "Huang", "Ito", "Jones"]
BODY = """<html>
<body>
  <h1>Welcome to {{ program.niceName }}!</h1>
  <p>Dear {{ user.first_name }},</p>
  <p>your classes start on <b>{{ program.startdate|date:"l, j F Y" }}</b>.
     Everything you need is <a href="https://example.org/welcome">on our site</a>.</p>
  <p>Questions? Write to {{ program.director_email }}.</p>
  <p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>
</body>
</html>
"""


class Command(BaseCommand):
    help = "Fill an empty database with students, their guardians, an admin, and a broadcast to all of them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--students", type=int, default=6)
        parser.add_argument("--no-broadcast", action="store_true")
        parser.add_argument("--password", help="The password of the user admin; without one nobody can log in.")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        admin = users.create_superuser("admin", "directors@example.org", options["password"])
        program = Program.objects.create(
            niceName="Splash 2027", startdate=date(2027, 2, 6), director_email="directors@example.org"
        )
        numbers = range(1, options["students"] + 1)
        students = users.bulk_create(
            [
                users.model(
                    username=f"student{n}",
                    email=f"student{n}@students.example",
                    first_name=FIRST[n % len(FIRST)],
                    last_name=LAST[n // len(FIRST) % len(LAST)],
                )
                for n in numbers
            ],
            batch_size=500,
        )
        StudentInfo.objects.bulk_create([StudentInfo(user=s, program=program) for s in students], batch_size=500)
        Profile.objects.bulk_create(
            [
                Profile(
                    user=s,
                    # Two children of one family in three: one guardian reads for both.
                    guardian_name=f"Guardian of the {s.last_name} family",
                    guardian_email=f"guardian{n - n % 3}@families.example",
                    emergency_name="Grandparent" if n % 4 == 0 else "",
                    emergency_email=f"grandparent{n}@families.example" if n % 4 == 0 else "",
                )
                for n, s in zip(numbers, students, strict=True)
            ],
            batch_size=500,
        )
        if not options["no_broadcast"]:
            MessageRequest.createRequest(
                var_dict={"program": program},
                subject="Welcome to {{ program.niceName }}!",
                msgtext=BODY,
                sender="Splash Directors <directors@example.org>",
                recipients=PersistentQueryFilter.create_from_Q(
                    users.model, Q(studentinfo__program=program), description=f"Students of {program.niceName}"
                ),
                sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN,
                creator=admin,
                public=True,
            )
        self.stdout.write(f"{len(students)} students with guardians, and an admin.")
