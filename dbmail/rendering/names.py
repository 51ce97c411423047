"""Which names a template may not look up, on whatever object they stand."""

import re
from functools import lru_cache

from ..conf import config

# As a word of a name: auth_token and authToken, but not tokenised; secret, but not secretary.
_SECRET_WORDS = frozenset(
    ["credential", "credentials", "otp", "passphrase", "passwd", "pwd", "secret", "secrets", "token", "tokens", "totp"]
)
# Anywhere in a name, without regard to case and underscores: check_password, userPassword, api_key.
_SECRET_PARTS = ("password", "apikey", "privatekey", "secretkey", "sessionauth", "sessiondata", "sessionkey")
_SECRET_NAMES = frozenset(["session"])
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def is_secret(name: str) -> bool:
    """Whether `name` is a secret by our own list or by DBMAIL["SECRET_NAMES"]; case does not matter."""
    return _is_secret(name, config().secret_names)


@lru_cache(maxsize=4096)
def _is_secret(name: str, more: tuple[str, ...]) -> bool:
    lower = name.lower()
    if lower in _SECRET_NAMES or any(lower == extra.lower() for extra in more):
        return True
    if any(part in lower.replace("_", "").replace("-", "") for part in _SECRET_PARTS):
        return True
    return any(word.lower() in _SECRET_WORDS for word in _WORD.findall(name))


def is_hidden(name: str) -> bool:
    """Whether a look-up of `name` finds nothing: private by Python's convention, or secret."""
    return name.startswith("_") or is_secret(name)
