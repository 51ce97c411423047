"""Telling workers that sleep that something waits, under the path that operations.md and releases.md name."""

from .database import wake_workers

__all__ = ["wake_workers"]
