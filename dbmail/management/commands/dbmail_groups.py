"""Create the groups of people who write, send, moderate and route mail."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand

#: Name of a group -> its permissions. Each group works without the others.
GROUPS: dict[str, tuple[str, ...]] = {
    "Mail: writers": (
        "add_messagerequest",
        "change_messagerequest",
        "view_messagerequest",
        "delete_messagerequest",
        "view_persistentqueryfilter",
    ),
    "Mail: senders": ("view_messagerequest", "approve_messagerequest"),
    "Mail: recipients": (
        "view_messagerequest",
        "view_recipients",
        "view_suppression",
        "add_suppression",
        "delete_suppression",
    ),
    "Mail: moderators": ("moderate_incomingmessage",),
    "Mail: postmasters": (
        *(
            f"{verb}_{table}"
            for verb in ("add", "change", "delete", "view")
            for table in ("emaillist", "plainredirect")
        ),
        "view_incomingmessage",
        "view_recipients",
        "view_doctorreport",
        "run_doctor",
    ),
}


class Command(BaseCommand):
    help = (
        "Makes the groups of people who write, send, see recipients, moderate, and route mail, where they are missing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for name, codenames in GROUPS.items():
            group, created = Group.objects.get_or_create(name=name)
            found = Permission.objects.filter(content_type__app_label="dbmail", codename__in=codenames)
            group.permissions.add(*found)
            self.stdout.write(f"{name}: {'made' if created else 'there already'}, {len(found)} permissions")
