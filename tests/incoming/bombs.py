"""Messages that a stranger makes to cost as much as they can: what parsers of mail are slow at, or break on."""

import base64
from collections.abc import Callable

_HEAD = (
    b"From: Eve <eve@evil.test>\nSubject: Hello\nMessage-ID: <1@evil.test>\nDate: Tue, 24 Nov 2026 21:00:00 +0000\n"
)
_REPORT = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
_FAILED = b"Final-Recipient: rfc822;ann@home.test\nAction: failed\nStatus: 5.1.1\n"


def _fields(*lines: bytes) -> bytes:
    return _HEAD + b"".join(line + b"\n" for line in lines) + b"\nbody\n"


def _from(value: bytes) -> bytes:
    return b"From: " + value + b"\nSubject: Hello\nMessage-ID: <1@evil.test>\n\nbody\n"


def _nested(depth: int) -> bytes:
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return _HEAD + parts + b"\ncore\n"


def _same_boundary(depth: int) -> bytes:
    return _HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * depth + b"\ncore\n"


def _deep_and_long() -> bytes:
    """Each line of the innermost part is asked about by every part around it."""
    return _nested(90) + b"\n" * 400_000


def _part(fields: bytes, content: bytes) -> bytes:
    return _HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + fields + b"\n" + content + b"\n--b--\n"


def _base64_in_base64(times: int) -> bytes:
    content = b"A" * 3000
    for _ in range(times):
        content = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(content)
    return _HEAD + content


def _continuations(number: int) -> bytes:
    return b"Content-Type: text/plain;" + b"".join(b"\n a*%d*=utf-8''x;" % n for n in range(number))


#: By name, how it is made.
BOMBS: dict[str, Callable[[], bytes]] = {
    "600 parentheses in From": lambda: _from(b"(" * 600),
    "600 parentheses in From, closed": lambda: _from(b"(" * 600 + b")" * 600 + b" eve@evil.test"),
    "600 groups in From": lambda: _from(b"a:" * 600 + b"eve@evil.test"),
    "100,000 brackets in From": lambda: _from(b"<" * 100_000 + b"eve@evil.test>"),
    "100,000 addresses in From": lambda: _from(b",\n ".join([b"eve@evil.test"] * 100_000)),
    "100,000 semicolons in Content-Type": lambda: _fields(b'Content-Type: multipart/report; a="' + b";" * 100_000),
    "100,000 continuations of a parameter": lambda: _fields(_continuations(100_000)),
    "a boundary of a megabyte": lambda: _fields(b"Content-Type: multipart/mixed; boundary=" + b"b" * 1_000_000),
    "a field of ten megabytes": lambda: _fields(b"X-A: " + b"x" * 10_000_000),
    "a million fields": lambda: _fields(*[b"A: 1"] * 1_000_000),
    "a million continuation lines": lambda: _fields(b"A: 1", *[b" x"] * 1_000_000),
    "200,000 List-Ids": lambda: _fields(*[b"List-Id: <=?a?q?x?=>"] * 200_000),
    "List-Ids full of encoded words": lambda: _fields(*[b"List-Id: " + b"=?a?q?" * 600] * 240),
    "References of a megabyte": lambda: _fields(b"References:" + b"\n <1@evil.test>" * 70_000),
    "a subject of encoded words": lambda: _fields(b"Subject: " + b"=?utf-8?q?=?=" * 80_000),
    "10,000 Received fields": lambda: _fields(*[b"Received: from a (b (c (d)))"] * 10_000),
    "Received fields of our own length": lambda: _fields(*[b"Received: " + b"x " * 40_000] * 20),
    "Reply-To with 100,000 addresses": lambda: _fields(b"Reply-To: " + b"eve@evil.test, " * 100_000),
    "Authentication-Results of a megabyte": lambda: _fields(
        b"Authentication-Results: mx.example.org;" + b" (" * 500_000
    ),
    "nothing but NUL": lambda: _HEAD + b"\0" * 5_000_000,
    "nothing but carriage returns": lambda: _HEAD + b"\n" + b"\r" * 5_000_000,
    "multiparts 10,000 deep": lambda: _nested(10_000),
    "one boundary 10,000 deep": lambda: _same_boundary(10_000),
    "many lines under 90 multiparts": _deep_and_long,
    "100,000 parts": lambda: _HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000,
    "messages in messages, 10,000 deep": lambda: _HEAD + b"Content-Type: message/rfc822\n\n" * 10_000,
    "digests in digests": lambda: _HEAD + b"Content-Type: multipart/digest; boundary=b\n\n--b\n\n" * 5_000,
    "base64 in base64": lambda: _base64_in_base64(20),
    "ten megabytes of base64": lambda: _part(b"Content-Transfer-Encoding: base64\n", (b"A" * 76 + b"\n") * 130_000),
    "ten megabytes of quoted-printable": lambda: _part(
        b"Content-Transfer-Encoding: quoted-printable\n", (b"=41" * 25 + b"=\n") * 130_000
    ),
    "a charset that needs the square": lambda: _part(
        b"Content-Type: text/plain; charset=punycode\n", b"a-b" * 100_000
    ),
    "tags that never end": lambda: _part(b"Content-Type: text/html\n", b"<a " * 30_000),
    "comments that never end": lambda: _part(b"Content-Type: text/html\n", b"<!-- >" * 16_000),
    "a report on 100,000 recipients": lambda: (
        _HEAD + _REPORT + b"Content-Type: message/delivery-status\n\n" + (_FAILED + b"\n") * 100_000 + b"--b--\n"
    ),
    "a report of the newer kind on 100,000 recipients": lambda: (
        _HEAD
        + _REPORT
        + b"Content-Type: message/global-delivery-status\n\n"
        + (_FAILED + b"\n") * 100_000
        + b"--b--\n"
    ),
    "a report whose status is a megabyte": lambda: (
        _HEAD
        + _REPORT
        + b"Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822;"
        + b"a" * 1_000_000
        + "ü".encode() * 100_000
        + b"@home.test\nAction: failed\n\n--b--\n"
    ),
    "a complaint of garbage": lambda: (
        _HEAD
        + b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\n"
        + b"Original-Rcpt-To: <a@b.test>\n" * 100_000
        + b"\n--b--\n"
    ),
    "a bounce in words of a megabyte": lambda: (
        _fields(b"X-A: 1") + b"The following addresses had permanent fatal errors 5.1.1 <a@b.test>\n" * 15_000
    ),
    "qmail's words without end": lambda: (
        b"From: MAILER-DAEMON@evil.test\nSubject: failure notice\n\nHi. This is the qmail-send program at evil.test.\n"
        + b"<a@b.test>:\n" * 80_000
    ),
    "one line of ten megabytes": lambda: _HEAD + b"\n" + b"a@b.test " * 1_100_000,
    "lists in lists": lambda: _part(b"Content-Type: text/html\n", b"<ul><li>" * 12_000),
    "links that never end": lambda: _part(b"Content-Type: text/html\n", b"](<" * 33_000),
    "semicolons in each of 240 multiparts": lambda: (
        _HEAD
        + b"Content-Type: multipart/mixed; boundary=b\n\n"
        + (b"--b\nContent-Type: multipart/x" + b";" * 900 + b"\n\nx\n") * 240
    ),
    "a bounce in words that flufl.bounce takes minutes for": lambda: (
        b"From: MAILER-DAEMON@evil.test\nSubject: failure notice\nContent-Type: text/plain\n\n"
        b"It did not reach the following recipient(s):\n" + b"\\<" * 95_000
    ),
}
