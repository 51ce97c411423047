"""DKIM's public RSA keys as DNS shows them (RFC 6376, 3.6.1): base64 of DER, written and read."""

import base64
import binascii

_INTEGER, _BIT_STRING, _SEQUENCE = 0x02, 0x03, 0x30
#: "rsaEncryption, no parameters" (RFC 8017, A.1) as a whole DER element.
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")


def rsa_key(modulus: int, exponent: int) -> str:
    """A public RSA key as SubjectPublicKeyInfo (RFC 5280, 4.1): what stands in `p=`."""
    key = _element(_SEQUENCE, _integer(modulus) + _integer(exponent))
    return base64.b64encode(_element(_SEQUENCE, _RSA + _element(_BIT_STRING, b"\0" + key))).decode()


def rsa_bits(public: str) -> int | None:
    """The bits of the RSA key in `p=`, a SubjectPublicKeyInfo or the bare key; None if it cannot be read."""
    try:
        key = base64.b64decode(public, validate=True)
        content, _rest = _read(key, _SEQUENCE)
        if content[0] == _SEQUENCE:  # SubjectPublicKeyInfo: the algorithm, then the key in a bit string
            _algorithm, rest = _read(content, _SEQUENCE)
            bits, _rest = _read(rest, _BIT_STRING)
            content, _rest = _read(bits[1:], _SEQUENCE)
        modulus, _rest = _read(content, _INTEGER)
        return int.from_bytes(modulus).bit_length()
    except (binascii.Error, ValueError, IndexError):
        return None


def _integer(number: int) -> bytes:
    return _element(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def _element(tag: int, content: bytes) -> bytes:
    """A DER element: its tag, the length of its content (from 128 on with a length of its own), its content."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def _read(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the DER element that `data` begins with, and what follows it. Raises ValueError, IndexError."""
    if data[0] != tag:
        raise ValueError("another element")
    length, start = data[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        raise ValueError("cut short")
    return data[start : start + length], data[start + length :]
