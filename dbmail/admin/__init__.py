"""The screens: one file each. Importing them registers their tables with Django's admin."""

from . import broadcasts, filters, incoming, mails, routing, suppressions

__all__ = ["broadcasts", "filters", "incoming", "mails", "routing", "suppressions"]
