"""Who changed a draft and who let it go, and whether the reason of a state may be read by everybody."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dbmail", "0012_compression"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="messagerequest",
            name="approved_version",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="A mark of what was let go, to notice changes.",
                max_length=64,
            ),
        ),
        migrations.AddField(
            model_name="messagerequest",
            name="reason_is_open",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="The reason quotes nobody's data: anyone who looks may read it.",
            ),
        ),
        migrations.CreateModel(
            name="DraftChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "kind",
                    models.CharField(
                        choices=[("changed", "changed"), ("approved", "approved")], default="changed", max_length=8
                    ),
                ),
                (
                    "what",
                    models.CharField(
                        blank=True, default="", help_text="Names of fields, with commas.", max_length=255
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "messagerequest",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="dbmail.messagerequest",
                        verbose_name="broadcast",
                    ),
                ),
            ],
            options={
                "verbose_name": "change of a draft",
                "verbose_name_plural": "changes of drafts",
                "default_permissions": (),
            },
        ),
    ]
