"""From a broadcast to rows, and from rows to the relay."""
