"""The screens: one file each. Importing them registers their tables with Django's admin."""

from . import broadcasts, doctor, incoming, mails, routing, suppressions

__all__ = ["broadcasts", "doctor", "incoming", "mails", "routing", "suppressions"]
