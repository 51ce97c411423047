"""Bounces in the words of servers that do not know RFC 3464, as far as flufl.bounce (extra `[bounces]`) reads them."""

import re
from email import message_from_bytes, policy

from ..addresses import normalise, one_line
from .bounces import BAD_ADDRESS, Kind, Outcome, Report

#: Bytes that are looked at: such a server says what it has to say before it returns the message.
_READ = 200_000
_MOST = 100
# 5.1.1, but not the 5.1.1 of 192.5.1.1 or of version 5.1.1.2.
_STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")


def parse(raw: bytes) -> Report | None:
    """What a message to a signed return path says, or None where it is no bounce. Never raises.

    Only an enhanced status code in its text makes an address bad for good: words alone may mean anything.
    """
    try:
        from flufl.bounce import all_failures  # here, since most runs of the gate have no use for it
    except ImportError:  # the extra is not installed
        return None
    try:
        temporary, permanent = all_failures(message_from_bytes(raw[:_READ], policy=policy.compat32))
    except Exception:  # its detectors meet whatever strangers send; what they cannot read is no bounce
        return None
    text = raw[:_READ].decode("utf-8", "replace")
    line = next((line for line in text.splitlines() if _STATUS.search(line)), "")
    found = _STATUS.search(line)
    status = found.group(1) if found else ""
    outcomes = [
        Outcome(address, kind, kind is Kind.BOUNCED and bool(BAD_ADDRESS.fullmatch(status)), status, one_line(line))
        for kind, addresses in ((Kind.BOUNCED, permanent), (Kind.DEFERRED, temporary))
        for address in sorted(filter(None, map(_address, addresses)))[:_MOST]
    ]
    return Report("bounce", tuple(outcomes)) if outcomes else None


def _address(found: bytes | str) -> str:
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
    return normalise(one_line(text).strip("<> "))[:320] if "@" in text else ""
