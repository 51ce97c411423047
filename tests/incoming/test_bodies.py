"""Bodies leave byte for byte: signatures hold, and no message, however strange, breaks the gate."""

import re
import shutil
import subprocess
from email import message_from_bytes
from email.parser import BytesHeaderParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbmail.delivery.header_block import message_bytes, wire_bytes
from dbmail.incoming.facts import Envelope
from dbmail.incoming.gate import receive
from dbmail.models import Forward, IncomingMessage, PlainRedirect, TextOfEmail
from tests.incoming.builders import post

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def directors():
    PlainRedirect.objects.create(original="directors", destination="dan@home.test, dora@home.test")


def nested(depth):
    head = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth))
    return head + b"\r\ncore\r\n" + b"".join(b"--b%d--\r\n" % n for n in reversed(range(depth)))


HEAD = b"From: Ann <ann@home.test>\r\nMessage-ID: <1@home.test>\r\nDate: Tue, 24 Nov 2026 21:00:00 +0000\r\n"
BODIES = {
    "nothing": b"",
    "bare CR": b"a\rb\r\n",
    "mixed line ends": b"a\nb\r\nc\r",
    "NUL": b"\0\0\n",
    "no newline at its end": b"abc",
    "dots": b".\r\n..\r\n.a\r\n",
    "an mbox line": b"From the start\r\n>From\r\n",
    "something like a header": b"Bcc: eve@evil.test\r\n\r\nSubject: x\r\n",
    "8 bit": bytes(range(256)),
    "a long line": b"x" * 100_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_is_not_touched(body):
    assert post("directors@example.org", HEAD + b"\r\n" + body).verdict == "send"
    header, _, rest = message_bytes(Forward.objects.get()).partition(b"\r\n\r\n")
    assert rest == body
    assert b"Message-ID: <1@home.test>" in header


def test_on_the_wire_only_lone_line_feeds_are_changed():
    post("directors@example.org", HEAD.replace(b"\r\n", b"\n") + b"\na\nb\r\nc\rd\n\n\xff\0")
    assert wire_bytes(Forward.objects.get()).endswith(b"\r\n\r\na\r\nb\r\nc\rd\r\n\r\n\xff\0")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_no_server_can_take_a_line_of_the_body_for_the_end_of_the_message(end):
    """Some take a bare CR for a line end: what follows `CR . CR` would be commands, mail in our name."""
    smuggled = b"a\r." + end + b"MAIL FROM:<eve@evil.test>" + end + b"\r\r.\r.\rQUIT\r\n"
    assert post("directors@example.org", HEAD + b"\r\n" + smuggled).verdict == "send"
    sent = wire_bytes(Forward.objects.get())
    on_the_wire = re.sub(rb"(?m)^\.", b"..", sent)  # as RFC 5321, 4.5.2 has it
    assert not re.search(rb"[\r\n]\.[\r\n]", on_the_wire)


@pytest.mark.parametrize("encoding", ["binary", "8bit", "x-unknown", "base64"])
def test_fifty_nested_parts_of_any_encoding_pass(encoding):
    raw = HEAD + b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n" + nested(50)
    assert post("directors@example.org", raw).verdict == "send"
    assert message_bytes(Forward.objects.get()).endswith(nested(50).partition(b"\r\n\r\n")[2])


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_an_s_mime_signature_holds_after_forwarding(tmp_path):
    def openssl(*arguments, **options):
        command = [shutil.which("openssl"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, **options)  # noqa: S603

    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert", "-days", "2", "-subj",
        "/CN=Ann/emailAddress=ann@home.test",
    )  # fmt: skip
    text = b"Content-Type: text/plain;\r\n  charset=utf-8 \r\nX-Odd:   folded\r\n\tline\r\n\r\nGood  morning \r\n\r\n"
    signed = openssl("smime", "-sign", "-signer", "cert", "-inkey", "key", input=text).stdout
    assert post("directors@example.org", HEAD + b"Subject: Hello\r\n" + signed).verdict == "send"
    copy = message_bytes(Forward.objects.get())
    checked = openssl("smime", "-verify", "-noverify", input=copy.replace(b"\r\n", b"\n"))
    assert b"Good  morning" in checked.stdout
    assert message_from_bytes(copy)["Subject"] == "Hello"


lines = st.one_of(
    st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")),
    st.sampled_from(
        [
            b"From: ann@home.test",
            b"From: Ann <ann@home.test>",
            b"From: =?utf-8?q?a=0D=0ABcc:_eve=40evil.test?= <ann@home.test>",
            b"From: boss@example.org",
            b"To: other@example.org",
            b"Bcc: eve@evil.test",
            b"Resent-To: eve@evil.test",
            b"Subject: =?utf-8?b?" + b"/" * 30 + b"?=",
            b"Subject: =?iso-2022-jp?b?GyRCRnxLXBsoQg==?=",
            b"Subject: a\rBcc: eve@evil.test",
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=b",
            b"Content-Type: multipart/mixed; boundary=b",
            b"Auto-Submitted: auto-replied",
            b"X-Loop: directors@example.org",
            b"Reply-To: a@b.test, <c@d.test",
            b"List-Id: <directors.example.org>",
            b" folded",
            b"\tfolded",
            b"",
            b"--b",
            b"--b--",
        ]
    ),
)
letters = st.lists(lines, max_size=15).flatmap(lambda ls: st.sampled_from([b"\n", b"\r\n"]).map(lambda e: e.join(ls)))
local_parts = st.sampled_from(["directors", "Directors+x", "bounces+1-0123456789abcdef", "s1-students", "unsubscribe"])
senders = st.sampled_from(["", "ann@home.test", "x" * 400])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(letters, local_parts | st.text(max_size=70), senders)
def test_whatever_comes_is_decided_on_and_reaches_nobody_else(raw, local_part, sender):
    IncomingMessage.objects.all().delete()
    decision = receive(Envelope(local_part, "example.org", sender, "q"), raw)
    assert decision.exit_code in (0, 65, 67)
    assert decision.reason
    addresses = set(TextOfEmail.objects.values_list("address", flat=True))
    assert addresses in (set(), {"dan@home.test", "dora@home.test"})
    for forward in Forward.objects.all():
        copy = message_bytes(forward)
        assert raw.endswith(copy.partition(b"\r\n\r\n")[2])
        # The header alone: a body that lacks the parts which its Content-Type promises is its author's affair.
        parsed = BytesHeaderParser().parsebytes(copy)
        assert [parsed[name] for name in ("Bcc", "Resent-To", "Cc")] == [None, None, None]
        assert parsed.get_all("From") is not None
        assert len(parsed.get_all("From")) == 1
        assert not parsed.defects
