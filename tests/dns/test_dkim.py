"""Public keys as `p=` shows them, against those that cryptography writes and reads."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from dbmail.dns.dkim import rsa_bits, rsa_key


def written(key: rsa.RSAPublicKey, form: serialization.PublicFormat) -> str:
    return base64.b64encode(key.public_bytes(serialization.Encoding.DER, form)).decode()


@pytest.mark.parametrize("bits", [1024, 1032, 2048, 4096])
def test_a_key_is_written_and_read_as_others_do_it(bits: int) -> None:
    key = rsa.generate_private_key(65537, bits).public_key()
    numbers = key.public_numbers()
    info = written(key, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert rsa_key(numbers.n, numbers.e) == info
    assert rsa_bits(info) == rsa_bits(written(key, serialization.PublicFormat.PKCS1)) == bits


@given(st.integers(2**503, 2**1100), st.integers(3, 2**40))
def test_lengths_of_every_size_are_read_by_others(modulus: int, exponent: int) -> None:
    modulus, exponent = modulus | 1, exponent | 1
    text = rsa_key(modulus, exponent)
    assert rsa_bits(text) == modulus.bit_length()
    if exponent < modulus and exponent < 2**33:  # what OpenSSL takes
        numbers = serialization.load_der_public_key(base64.b64decode(text)).public_numbers()
        assert (numbers.n, numbers.e) == (modulus, exponent)


WHOLE = rsa_key(2**2047 + 1, 65537)


@pytest.mark.parametrize("text", ["", "%%%", "MA==", "MAA=", "BQA=", WHOLE[:200], WHOLE[4:]])
def test_what_is_no_key_has_no_bits(text: str) -> None:
    assert rsa_bits(text) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert rsa_bits(base64.b64encode(data).decode()) in {None, *range(60 * 8)}
