"""DKIM signatures (RFC 6376) by us, for projects whose relay or provider does not sign. Needs dbmail[dkim]."""

import os
from functools import lru_cache
from typing import NamedTuple

from django.utils.translation import gettext as _

from ..addresses import domain_matches
from ..conf import config
from ..conf.groups import Dkim
from ..dns.dkim import rsa_key
from ..exceptions import CannotSign

#: What a signature covers, where a mail has it. RFC 8058, 4 wants the two fields for unsubscribing among them.
FIELDS = (
    *("from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"),
    *("reply-to", "list-id", "list-unsubscribe", "list-unsubscribe-post"),
)


class Signer(NamedTuple):
    """A key, its name in DNS, and the domain that signs ("" for that of each From)."""

    selector: str
    domain: str
    key: bytes


def signer() -> Signer | None:
    """What DBMAIL["DKIM"] says; None where nothing is signed here. Raises CannotSign."""
    return signer_of(config().dkim)


def signer_of(given: Dkim) -> Signer | None:
    """As `signer`, for a setting that may not be in force."""
    path = given.key
    if not path:
        return None
    try:
        key = _read(path, os.stat(path).st_mtime_ns)
    except OSError as error:
        said = _('DBMAIL["DKIM"]["KEY"]: %(path)s cannot be read: %(error)s.')
        raise CannotSign(said % {"path": path, "error": error.strerror}) from error
    return Signer(given.selector, given.domain.lower(), key)


@lru_cache(maxsize=4)
def _read(path: str, changed: int) -> bytes:
    with open(path, "rb") as file:
        key = file.read()
    public_key(key)
    return key


def signed(data: bytes, author_domain: str) -> bytes:
    """A message with a signature in front; as it is where nothing is signed, or not for this author's domain.

    `data` has CRLF. Raises CannotSign for a key that cannot be used.
    """
    by = signer()
    if by is None or (by.domain and not domain_matches(author_domain, f".{by.domain}")):
        return data
    dkim = _library()
    present = {line.partition(b":")[0].strip().lower() for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")}
    field: bytes = dkim.sign(
        data,
        selector=by.selector.encode(),
        domain=(by.domain or author_domain).encode(),
        privkey=by.key,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[name.encode() for name in FIELDS if name.encode() in present],
    )
    return field + data


def public_key(private: bytes) -> str:
    """The public key (base64) that DNS must show for a private one in PEM. Raises CannotSign."""
    try:
        parsed = _library().crypto.parse_pem_private_key(private)
        return rsa_key(parsed["modulus"], parsed["publicExponent"])
    except CannotSign:
        raise
    except Exception as error:  # dkimpy's parser raises what it likes for what is no key
        raise CannotSign(_('DBMAIL["DKIM"]["KEY"] is no RSA private key in PEM.')) from error


def _library():  # type: ignore[no-untyped-def] # an extra that may be missing
    try:
        import dkim
    except ImportError as error:
        raise CannotSign(_('DBMAIL["DKIM"] needs the package dkimpy: install dbmail[dkim].')) from error
    return dkim
