"""Short signatures for what goes into every mail: return paths and unsubscribe tokens.

Django's Signer derives its key anew for each signature. With two signatures a mail, that would be a tenth of the time
of sending it, so the derived key is kept here. The construction is the same: HMAC-SHA256 (RFC 2104) under a key that
SECRET_KEY and a purpose give.
"""

import hmac
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.utils.encoding import force_bytes


def mac(purpose: str, value: str) -> str:
    """The signature of `value` for `purpose`: 64 hexadecimal digits, of which the caller may use the first ones."""
    return _mac(purpose, value, settings.SECRET_KEY)


def is_signed(purpose: str, value: str, given: str, length: int) -> bool:
    """Whether `given` is the first `length` digits of the signature of `value` for `purpose`.

    SECRET_KEY counts, and each of SECRET_KEY_FALLBACKS. Compares in constant time.
    """
    claimed = given.encode("utf-8", "replace")
    return any(hmac.compare_digest(_mac(purpose, value, key)[:length].encode(), claimed) for key in _keys())


def _keys() -> Iterator[Any]:
    yield settings.SECRET_KEY
    yield from settings.SECRET_KEY_FALLBACKS


def _mac(purpose: str, value: str, secret: Any) -> str:
    return hmac.digest(_derived(purpose, force_bytes(secret)), value.encode("utf-8", "replace"), "sha256").hex()


@lru_cache(maxsize=32)
def _derived(purpose: str, secret: bytes) -> bytes:
    return sha256(purpose.encode() + b"\0" + secret).digest()
