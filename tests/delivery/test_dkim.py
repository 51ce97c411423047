"""Mail signed by us, verified by dkimpy over a real DNS server and by a real opendkim."""

import base64
import shutil
import subprocess

import dkim
import dns.resolver
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from dbmail.addresses import Mailbox
from dbmail.delivery.dkim import public_key
from dbmail.delivery.message import Mail
from dbmail.exceptions import CannotSign
from dbmail.models import send_mail
from dbmail.service.passes import run_pass

from ..builders import a_mail as a_row
from ..builders import a_user

PRIVATE = rsa.generate_private_key(65537, 2048)
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
PUBLIC = base64.b64encode(
    PRIVATE.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
RECORD = f"v=DKIM1; k=rsa; p={PUBLIC}"


@pytest.fixture
def key(tmp_path, settings):
    path = tmp_path / "key.pem"
    path.write_bytes(PEM)
    settings.DBMAIL = {**settings.DBMAIL, "DKIM": {"SELECTOR": "db1", "KEY": str(path)}}
    return path


@pytest.fixture
def verify(serve):
    """Whether a message's signature holds, by the key that DNS shows."""
    server = serve({"example.org": [f'db1._domainkey TXT "{RECORD[:200]}" "{RECORD[200:]}"']})
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.port

    def txt(name, timeout=5):
        answer = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
        return b"".join(answer[0].strings)

    return lambda data: dkim.verify(data, dnsfunc=txt)


def a_mail(**fields):
    fields = {
        "subject": "Grüße an alle, die diese sehr lange Betreffzeile lesen, und noch einige mehr",
        "body": "<html><body><p>Hällo</p><p>.</p></body></html>",
        "sender": Mailbox("info@example.org", "Büro"),
        "to": (Mailbox("ann@example.net", "Ann, A."),),
        "return_path": "bounces@example.org",
        "headers": {
            "List-Unsubscribe": "<https://example.org/u>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        **fields,
    }
    return Mail(**fields)


def test_what_is_signed_verifies_and_covers_what_providers_want(key, verify):
    data = a_mail().for_smtp().data
    assert verify(data)
    field = data.partition(b"\r\nTo:")[0].replace(b"\r\n", b"").replace(b" ", b"").lower()
    assert field.startswith(b"dkim-signature:") and b"d=example.org;" in field and b"s=db1;" in field
    covered = field.partition(b";h=")[2].partition(b";")[0].split(b":")
    wanted = "from subject date message-id list-unsubscribe list-unsubscribe-post to mime-version content-type"
    assert {name.encode() for name in wanted.split()} <= set(covered)


@pytest.mark.parametrize("body", ["Plain\n", "", "x" * 3000, ".\n..\n", "trailing  \n\n\n", "From me\r\n", "☃" * 500])
def test_any_body_verifies(key, verify, body):
    assert verify(a_mail(body=body, headers={}).for_smtp().data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"List-Unsubscribe: <https://example.org", b"List-Unsubscribe: <https://evil.test"),
        lambda data: data.replace(b"Subject: =?", b"Subject: x=?"),
        lambda data: data.replace(b"info@example.org", b"boss@example.org"),
        lambda data: data.replace(b"\r\nTo:", b"\r\nFrom: boss@example.org\r\nTo:", 1),
        lambda data: data.replace(b"</p>", b"!</p>"),
    ],
)
def test_what_is_changed_on_the_way_does_not_verify(key, verify, spoil):
    data = a_mail().for_smtp().data
    assert spoil(data) != data
    assert not verify(spoil(data))


@pytest.mark.django_db
def test_mail_arrives_at_the_relay_with_a_signature_that_holds(key, verify, relay):
    send_mail("Hello", ".\nA body with a dot", "info@example.org", "ann@example.net", user=a_user("ann"))
    assert verify(relay.messages[0].data)
    assert relay.messages[0].message["List-Unsubscribe-Post"]


def test_a_real_opendkim_verifies_it(key, tmp_path):
    program = shutil.which("opendkim", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin")
    assert program, "This test needs opendkim: run scripts/test, which installs it."
    (tmp_path / "keys").write_text(f"db1._domainkey.example.org {RECORD}\n")
    (tmp_path / "opendkim.conf").write_text(
        f"Mode v\nTestPublicKeys {tmp_path}/keys\nSocket local:{tmp_path}/socket\n"
    )
    good, bad = tmp_path / "good.eml", tmp_path / "bad.eml"
    data = a_mail().for_smtp().data
    good.write_bytes(data)
    bad.write_bytes(data.replace(b"</p>", b"!</p>"))

    def verdict(file):
        command = [program, "-x", str(tmp_path / "opendkim.conf"), "-t", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
        return done.stdout + done.stderr

    assert "verification (s=db1, d=example.org, 2048-bit key" in verdict(good) and "succeeded" in verdict(good)
    assert "succeeded" not in verdict(bad)


def test_a_domain_that_is_set_signs_for_itself_and_below_and_for_nobody_else(key, settings, verify):
    settings.DBMAIL = {**settings.DBMAIL, "DKIM": {**settings.DBMAIL["DKIM"], "DOMAIN": "example.org"}}
    assert verify(a_mail(sender=Mailbox("info@news.example.org")).for_smtp().data)
    assert b"DKIM" not in a_mail(sender=Mailbox("info@badexample.org")).for_smtp().data


@pytest.mark.django_db
def test_with_a_key_that_cannot_be_read_the_pass_ends_and_nothing_leaves_unsigned(key, relay):
    row = a_row()
    key.unlink()
    report = run_pass()
    assert "cannot be read" in report.trouble
    row.refresh_from_db()
    assert (row.state, row.tries, relay.messages) == ("queued", 0, [])
    key.write_bytes(PEM)
    assert run_pass().sending.sent == 1


def test_nothing_is_signed_where_nothing_is_set():
    assert b"DKIM" not in a_mail().for_smtp().data


def test_the_public_key_is_the_one_that_belongs_in_dns():
    assert public_key(PEM) == PUBLIC
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - only to be read
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = small.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    spki = small.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public_key(pem) == base64.b64encode(spki).decode()


EC = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize("content", [b"", b"no key", EC, PEM[:300]], ids=["empty", "text", "EC", "cut"])
def test_a_key_that_cannot_be_used_says_so(key, content):
    key.write_bytes(content)
    with pytest.raises(CannotSign, match="KEY"):
        a_mail().for_smtp()


def test_a_key_that_is_gone_says_so_and_a_new_one_counts_at_once(key, verify):
    key.unlink()
    with pytest.raises(CannotSign, match="cannot be read"):
        a_mail().for_smtp()
    key.write_bytes(PEM)
    assert verify(a_mail().for_smtp().data)
