"""How often a broadcast was taken up without getting any further."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dbmail", "0013_approval"),
    ]

    operations = [
        migrations.AddField(
            model_name="messagerequest",
            name="taken_up",
            field=models.PositiveSmallIntegerField(
                default=0, editable=False, help_text="How often a worker has taken it up since it last got further."
            ),
        ),
    ]
