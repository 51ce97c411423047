"""SendGrid's signed event webhook: from the body of a POST to events.

Contract: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event and, for the signature,
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ..addresses import check_address, one_line
from ..exceptions import AddressError, DbmailError, SettingError
from ..times import from_timestamp
from .events import NewEvent, Reject, Type

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"

#: SendGrid's event -> ours. Opens, clicks and what it does itself (processed) are not kept.
_TYPES = {
    "delivered": Type.DELIVERED,
    "deferred": Type.DEFERRED,
    "bounce": Type.BOUNCED,
    "blocked": Type.BOUNCED,
    "dropped": Type.REJECTED,
    "spamreport": Type.COMPLAINED,
    "unsubscribe": Type.UNSUBSCRIBED,
    "group_unsubscribe": Type.UNSUBSCRIBED,
}
#: Why SendGrid dropped a mail -> our word, and whether the address will get no other either.
_DROPPED = {
    "bounced address": (Reject.BOUNCED, True),
    "invalid": (Reject.INVALID, True),
    "unsubscribed address": (Reject.UNSUBSCRIBED, True),
    "spam reporting address": (Reject.SPAM, True),
    "spam content": (Reject.BLOCKED, False),
    "spam content (if spam checker app is enabled)": (Reject.BLOCKED, False),
}


class Forged(DbmailError):
    """The request is not signed by SendGrid, or too old to be anything but a replay."""


class BadBody(DbmailError, ValueError):
    """The body is signed and yet no JSON array."""


def verify(body: bytes, signature: str, timestamp: str, keys: str, now: datetime, tolerance: timedelta) -> None:
    """Raises Forged unless one of `keys` signed `timestamp` and `body` (ECDSA, P-256, SHA-256) not long ago.

    `keys`: as SendGrid shows them (base64 of a SubjectPublicKeyInfo), with blanks between. Raises SettingError for
    one that is no such key, and where the package cryptography is missing.
    """
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12):
        raise Forged("The timestamp is no number of seconds.")
    if abs(now.timestamp() - int(timestamp)) > tolerance.total_seconds():
        raise Forged(f"The timestamp is more than {tolerance} away from now.")
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Forged("The signature is not base64.") from error
    if not any(_signed_by(key, given, timestamp.encode() + body) for key in keys.split()):
        raise Forged("The signature is not of the key in DBMAIL['SENDGRID_WEBHOOK_KEY'].")


def _signed_by(key: str, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        public_key(key).verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def public_key(key: str) -> Any:
    """The key in its base64 form as an object. Raises SettingError."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_der_public_key
    except ImportError as error:
        raise SettingError("SendGrid's signatures need the package cryptography: install dbmail[sendgrid].") from error
    try:
        loaded = load_der_public_key(base64.b64decode(key, validate=True))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingError(f'DBMAIL["SENDGRID_WEBHOOK_KEY"] is no public key as SendGrid shows it: {error}') from error
    if not isinstance(loaded, ec.EllipticCurvePublicKey) or loaded.curve.name != "secp256r1":
        raise SettingError('DBMAIL["SENDGRID_WEBHOOK_KEY"] is no key of the curve P-256, as SendGrid\'s are.')
    return loaded


def events(body: bytes) -> Iterator[NewEvent]:
    """The events of a body that tell something, read one after the other. Raises BadBody where the JSON ends.

    What is in the array and no event is passed over: SendGrid would send it again for a day.
    """
    for item in _items(body):
        event = new_event(item) if isinstance(item, dict) else None
        if event:
            yield event


def _items(body: bytes) -> Iterator[Any]:
    """The elements of a JSON array, without the whole of it in memory as objects."""
    try:
        text = body.decode("utf-8").strip()
        if not text.startswith("["):
            raise BadBody("The body is not a JSON array.")
        decode, place, end = json.JSONDecoder().raw_decode, 1, len(text)
        place = _skip_blanks(text, place)
        while text[place : place + 1] != "]":
            item, place = decode(text, place)
            yield item
            place = _skip_blanks(text, place)
            if text[place : place + 1] == ",":
                place = _skip_blanks(text, place + 1)
                if text[place : place + 1] == "]":
                    raise BadBody("The JSON array ends with a comma.")
            elif text[place : place + 1] != "]":
                raise BadBody(f"The JSON array goes wrong at character {place}.")
        if place + 1 != end:
            raise BadBody("Something follows the JSON array.")
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, BadBody) else BadBody(f"The body is not JSON: {error}") from error


def _skip_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def new_event(item: dict[str, Any]) -> NewEvent | None:
    """One event in our words; None for one that says nothing that we keep."""
    kind = _text(item, "event")
    if kind not in _TYPES:
        return None
    try:
        address = check_address(_text(item, "email"))
    except AddressError:
        return None
    reject, is_hard = _verdict(kind, item)
    return NewEvent(
        address=address,
        event_type=_TYPES[kind],
        source="sendgrid",
        at=_time(item.get("timestamp")),
        event_id=f"sendgrid:{_text(item, 'sg_event_id')[:200] or _fingerprint(item)}",
        # With a mail backend of SendGrid's API the Message-ID is theirs: ours is in what delivery.message adds.
        message_id=(_text(item, "dbmail") or _text(item, "smtp-id")).strip("<> ")[:255],
        reject_reason=reject,
        is_hard=is_hard,
        status=_text(item, "status"),
        description=_text(item, "reason") or _text(item, "response"),
        # Most events say that all went well: their columns say it too.
        raw=None if kind == "delivered" else item,
        one_scope=kind == "group_unsubscribe",
    )


def _verdict(kind: str, item: dict[str, Any]) -> tuple[str, bool]:
    """The reject reason, and whether the address is no good.

    SendGrid calls a bounce of type "blocked" one that is not the address's own fault, and keeps sending to it.
    """
    status, group = _text(item, "status"), _text(item, "bounce_classification").lower()
    if kind == "dropped":
        reason = _text(item, "reason").lower()
        return _DROPPED.get(reason, (Reject.OTHER, False))
    if kind == "spamreport":
        return Reject.SPAM, False
    if _TYPES[kind] == Type.UNSUBSCRIBED:
        return Reject.UNSUBSCRIBED, False
    if _TYPES[kind] != Type.BOUNCED:
        return "", False
    if kind == "blocked" or _text(item, "type") == "blocked" or status.startswith("4"):
        is_full = group == "mailbox unavailable" or status in ("5.2.2", "4.2.2")
        return (Reject.BOUNCED if is_full else Reject.BLOCKED), False
    return (Reject.INVALID if group == "invalid address" or status.startswith("5.1.") else Reject.BOUNCED), True


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return one_line(value) if isinstance(value, str) else ""


def _time(value: Any) -> datetime | None:
    try:
        return from_timestamp(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _fingerprint(item: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()
