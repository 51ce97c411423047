"""The signed envelope sender (VERP): a bounce to it names its mail, and nobody can forge one."""

from functools import lru_cache

from ..addresses import parse_mailbox
from ..conf import config
from ..exceptions import InvalidToken
from ..signing import is_signed, mac

#: Keeps these signatures apart from those of unsubscribe tokens and other things that dbmail signs.
_PURPOSE = "dbmail.return_path"
#: Length of the signature in hex digits: 64 bits are enough, since each guess costs a mail.
_MAC_LENGTH = 16


def signed(mail_id: int) -> str:
    """`bounces+ID-MAC@domain` for the TextOfEmail of this id, from the address in DBMAIL["BOUNCES"]."""
    local, _, domain = plain().rpartition("@")
    return f"{local}+{mail_id}-{mac(_PURPOSE, str(mail_id))[:_MAC_LENGTH]}@{domain}"


def read(address: str) -> int:
    """The id in a signed return path; raises InvalidToken. Case is ignored, since relays change it."""
    local = address.lower().rpartition("@")[0]
    mail_id, _, mac_given = local.rpartition("+")[2].partition("-")
    if mail_id.isascii() and mail_id.isdigit() and is_signed(_PURPOSE, mail_id, mac_given, _MAC_LENGTH):
        return int(mail_id)
    raise InvalidToken(f"{address!r} is not a return path of ours.")


def plain() -> str:
    """The bare bounces address: the envelope sender of mail that has no row of its own."""
    return _address(config().bounces)


@lru_cache(maxsize=8)
def _address(text: str) -> str:
    return parse_mailbox(text).address
