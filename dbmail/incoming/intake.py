"""What a mail server's pipe says, as an envelope; and the answer to "what would happen to mail for this address?"."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from django.db import connections

from ..addresses import domain_of
from ..conf import config
from ..delivery.header_block import split
from .facts import Envelope, claimed_sender
from .gate import preview, receive
from .route import Plan
from .rules import EX_TEMPFAIL, Verdict

#: Envelope senders that mean none: Exim's, SMTP's, and what Postfix writes where null_sender is not set.
_NULL_SENDERS = ("", "<>", "mailer-daemon")
_NOBODY = "nobody@invalid"
_CHUNK = 1_000_000


def take(environment: Mapping[str, bytes | None], raw: bytes, size: int | None = None) -> int:
    """Take in one message as a pipe transport hands it over; the sysexits code. Raises ValueError without address."""
    code = receive(envelope_of(environment, raw), raw, _send_at_once, size=size).exit_code
    with suppress(Exception):  # the work is done or not by now; this only spares the server a line in its log
        connections.close_all()
    return code


def read_message(pipe: BinaryIO) -> tuple[bytes, int]:
    """The message, or the beginning of one that is too large; and its size. A server wants it read to the end."""
    raw = pipe.read(config().incoming.max_size + 1)
    size = len(raw)
    while more := len(pipe.read(_CHUNK)):
        size += more
    return raw, size


def _send_at_once(forward_id: int) -> None:
    if config().incoming.send_seconds:
        # Most messages that come in never get here: the outbox is loaded for those that do.
        from .at_once import send_at_once

        send_at_once(forward_id, config().incoming.send_seconds)


def envelope_of(environment: Mapping[str, bytes | None], raw: bytes) -> Envelope:
    """The envelope in LOCAL_PART (with its prefix and suffix), DOMAIN, SENDER, RECIPIENT and MESSAGE_ID.

    Without LOCAL_PART and DOMAIN, RECIPIENT tells them; without SENDER, the message's Return-Path or From.
    """
    values = {
        name: value.decode("utf-8", "surrogateescape") for name, value in environment.items() if value is not None
    }
    local_part, _, domain = values.get("RECIPIENT", "").rpartition("@")
    if "LOCAL_PART" in values:
        affixes = values.get("LOCAL_PART_PREFIX", ""), values.get("LOCAL_PART_SUFFIX", "")
        local_part = values["LOCAL_PART"].join(affixes)
    if not local_part:
        raise ValueError("Neither LOCAL_PART nor RECIPIENT says whom the message is for.")
    sender = values.get("SENDER")
    if sender is None:
        sender = claimed_sender(split(raw)[0])
    sender = sender.encode("utf-8", "replace").decode("utf-8")
    return Envelope(
        local_part=local_part,
        domain=values.get("DOMAIN") or domain or config().from_domains[0].lstrip("."),
        sender="" if sender.lower() in _NULL_SENDERS else sender,
        queue_id=values.get("MESSAGE_ID", ""),
    )


def envelope_for(recipient: str, sender: str, queue_id: str = "") -> Envelope:
    """The envelope of LMTP's MAIL and RCPT commands: addresses as they stand between the angle brackets."""
    local_part, _, domain = recipient.rpartition("@")
    if len(local_part) > 1 and local_part[0] == local_part[-1] == '"':
        local_part = re.sub(r"\\(.)", r"\1", local_part[1:-1])  # RFC 5321, 4.1.2: a quoted string
    sender = sender.encode("utf-8", "replace").decode("utf-8")
    return Envelope(local_part, domain, "" if sender.lower() in _NULL_SENDERS else sender, queue_id)


def explain(address: str, environment: Mapping[str, bytes | None], raw: bytes) -> str:
    """In words: which rows were asked, which took it, what the rules say, who would get it. Changes nothing.

    Without a message the rules see one from an unknown author.
    """
    given = environment.get("SENDER")
    sender = (claimed_sender(split(raw)[0]) or _NOBODY) if given is None else given.decode("utf-8", "replace")
    try:
        plan = plan_for(address, sender, raw)
    except Exception as error:  # whatever the rows or a handler raise, the gate lets the mail server keep the message
        return f"{address}\n{type(error).__name__}: {error}\nexit code {EX_TEMPFAIL}"
    return "\n".join(_lines(plan, bool(raw)))


def plan_for(address: str, sender: str, raw: bytes = b"") -> Plan:
    """What the gate would do with mail for `address` (without a domain: of ours), as SMTP and people write it.

    Without a message the rules see one from `sender`. Changes nothing; raises what the rows or a handler raise.
    """
    if "@" not in address:
        address += "@" + domain_of("x@" + config().from_domains[0].lstrip("."))
    author = "".join(filter(str.isprintable, sender)) or _NOBODY
    return preview(envelope_for(address, sender), raw or f"From: {author}\r\n\r\n".encode("utf-8", "replace"))


def _lines(plan: Plan, with_message: bool) -> list[str]:
    lines = [f"{plan.envelope.recipient}" + ("" if with_message else " (no message given: the author is unknown)")]
    lines += [f"  row {step.seq} {step.handler} {step.regex}  {step.outcome}" for step in plan.steps]
    decision = plan.decision
    lines.append(f"{decision.verdict} ({decision.rule}): {decision.reason}")
    lines.append(f"exit code {decision.exit_code}")
    if plan.recipients:
        would = "would get it" if decision.verdict == Verdict.SEND else "would get it if it were let through"
        lines.append(f"{len(plan.recipients)} {would}:")
        lines += [f"  {box}" for box in plan.recipients]
    return lines
