"""An organisation's mail, sent and received through its own database: a reusable Django app."""

__version__ = "0.1.0.dev0"
