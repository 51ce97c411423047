from django.db import migrations, models

import dbmail.conf


class Migration(migrations.Migration):
    dependencies = [("dbmail", "0007_doctor_report")]

    operations = [
        migrations.AddField(
            model_name="messagerequest",
            name="layout",
            field=models.CharField(
                blank=True,
                choices=dbmail.conf.layout_choices,
                default="",
                help_text="What of the project's layouts stands around the body, which then is HTML without an <html> tag.",
                max_length=64,
            ),
        ),
    ]
