"""The rows that a new site routes its mail by; a table that has rows keeps what it has."""

from django.db import migrations

# As they were when this migration was written; what people use today is in dbmail/incoming/rows.py.
ROWS = [
    (10, r"^\w(\d+)s(\d+)-(class|teachers|students)$", "SectionList", "Individual sections of a class"),
    (20, r"^\w(\d+)-(class|teachers|students)$", "ClassList", "Email class rosters"),
    (30, r"^(.*)$", "PlainList", "Manual email list redirects"),
    (40, r"^(.*)$", "UserEmail", "Addresses of teachers and staff"),
]


def create(apps, schema_editor):
    rows = apps.get_model("dbmail", "EmailList").objects.using(schema_editor.connection.alias)
    if rows.exists():
        return
    for seq, regex, handler, description in ROWS:
        rows.create(seq=seq, regex=regex, handler=handler, description=description)


def remove(apps, schema_editor):
    rows = apps.get_model("dbmail", "EmailList").objects.using(schema_editor.connection.alias)
    for seq, regex, handler, description in ROWS:
        rows.filter(seq=seq, regex=regex, handler=handler, description=description).delete()


class Migration(migrations.Migration):
    dependencies = [("dbmail", "0002_incoming")]

    operations = [migrations.RunPython(create, remove)]
