"""What the admin's lists are filtered by has an index in the order that they are shown in."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dbmail", "0010_preflight")]

    operations = [
        # The new one first, so that what expires and purges always has one of the two.
        migrations.AddIndex(
            model_name="textofemail",
            index=models.Index(fields=["state", "created_at", "id"], name="dbmail_mail_by_state"),
        ),
        migrations.RemoveIndex(model_name="textofemail", name="dbmail_mail_state"),
        migrations.AddIndex(
            model_name="attempt", index=models.Index(fields=["outcome", "id"], name="dbmail_try_outcome")
        ),
        migrations.AddIndex(
            model_name="mailevent", index=models.Index(fields=["event_type", "id"], name="dbmail_event_type")
        ),
        migrations.AddIndex(
            model_name="suppression", index=models.Index(fields=["reason", "id"], name="dbmail_suppression_reason")
        ),
    ]
