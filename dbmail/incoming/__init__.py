"""Mail that comes in: store, match, decide, forward.

gate.py is the way through: bytes and an envelope in, a sysexits code out.
"""
