"""The screens: one file each. Importing them registers their tables with Django's admin."""

from . import audiences, broadcasts, doctor, incoming, mails, routing, suppressions

__all__ = ["audiences", "broadcasts", "doctor", "incoming", "mails", "routing", "suppressions"]
