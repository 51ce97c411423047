"""The two steps of a pass under the reference's import path."""

from .service.passes import process_messages, send_email_requests

__all__ = ["process_messages", "send_email_requests"]
