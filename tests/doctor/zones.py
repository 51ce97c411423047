"""A domain in order, as lines of zone files for a DNS server."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def a_key(bits=2048):
    public = rsa.generate_private_key(65537, bits).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


KEY = a_key()
GOOD = {
    "mx": ["@ MX 10 mx", "mx A 127.0.0.1"],
    "spf": ['@ TXT "v=spf1 ip4:192.0.2.25 include:spf.provider.test -all"', '@ TXT "some other text"'],
    "dkim": [f's1._domainkey TXT "v=DKIM1; k=rsa; p={KEY[:200]}" "{KEY[200:]}"'],
    "dmarc": ['_dmarc TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.org"'],
}
OTHERS = {
    "provider.test": [
        'spf TXT "v=spf1 ip4:198.51.100.0/24 ~all"',
        'nine TXT "v=spf1 a:a a:b a:c a:d a:e a:f a:g a:h ~all"',
        'loop TXT "v=spf1 include:loop.provider.test -all"',
    ],
    "2.0.192.in-addr.arpa": ["25 PTR mail.example.org."],
}


def of(findings, check, about=""):
    return [f for f in findings if f.check == check and about in f.about]
