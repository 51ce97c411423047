"""People, classes and messages for the tests of incoming mail."""

from datetime import date

from django.contrib.auth.models import User

from dbmail.incoming.facts import Envelope
from dbmail.incoming.gate import receive
from dbmail.models import Forward, IncomingMessage, TextOfEmail
from testproject.outreach.models import ClassSubject, Program, Section

OUR_MTA = "mx.example.org"


def person(name, *, staff=False):
    return User.objects.create(
        username=name, email=f"{name}@home.test", first_name=name.title(), last_name="Doe", is_staff=staff
    )


def a_class(students=("sam", "sue"), teachers=("tess",)):
    """A class with one section, its teachers and students; its directors are directors@example.org."""
    program = Program.objects.create(
        niceName="Splash", startdate=date(2026, 11, 1), director_email="directors@example.org"
    )
    subject = ClassSubject.objects.create(title="Bees", program=program)
    subject.teachers.set([person(name) for name in teachers])
    section = Section.objects.create(parent_class=subject, number=1)
    section.students.set([person(name) for name in students])
    return subject


def letter(*fields, author="Tess Doe <tess@home.test>", subject="Hello", body=b"Good morning.\n", vouched=False):
    """A message as bytes; `fields` are more header lines."""
    lines = [f"From: {author}"] if author else []
    if vouched:
        domain = author.rpartition("@")[2].strip(">")
        lines.insert(0, f"Authentication-Results: {OUR_MTA}; dmarc=pass header.from={domain}")
    lines += ["To: somebody@elsewhere.test", f"Subject: {subject}", "Message-ID: <one@home.test>"]
    lines += ["Date: Tue, 24 Nov 2026 21:00:00 +0000", *fields]
    return "\n".join(lines).encode() + b"\n\n" + body


def post(address, raw=None, sender="tess@home.test", queue_id="q1", **fields):
    """Hand a message to the gate; the decision."""
    local_part, _, domain = address.rpartition("@")
    return receive(Envelope(local_part, domain, sender, queue_id), letter(**fields) if raw is None else raw)


def recipients():
    """Addresses that copies are queued for, in order."""
    return sorted(TextOfEmail.objects.filter(state="queued").values_list("address", flat=True))


def the_header():
    """The header of the one forward there is, as text."""
    return bytes(Forward.objects.get().headers).decode()


def the_message():
    return IncomingMessage.objects.get()
