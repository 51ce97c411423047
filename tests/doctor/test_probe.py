"""What the MX, the relay and the page say when they are asked, over real SMTP and HTTP."""

import pytest

from dbmail.dns.client import Dns
from dbmail.doctor import probe
from dbmail.doctor.checks import examine, tls
from dbmail.doctor.facts import Encryption, Relay, RelayFacts, Setup
from dbmail.doctor.finding import Level
from dbmail.doctor.gather import gather

from ..smtp import ScriptedSMTPServer
from .zones import GOOD, of


def test_the_mx_is_asked_whether_bounces_arrive(serve):
    server = serve({"example.org": [*GOOD["mx"], *GOOD["spf"]]})
    with ScriptedSMTPServer() as mx:
        mx.reply("RCPT", "unsubscribe@", "550 5.1.1 no such user")
        setup = Setup(
            ("example.org",),
            "bounces@example.org",
            incoming=("bounces+1-a@example.org", "unsubscribe@example.org"),
            mx_port=mx.port,
        )
        findings = of(examine(gather(setup, Dns([server.address]))), "incoming")
        assert [f.level for f in findings] == [Level.OK, Level.FAILURE]
        assert mx.messages == [] and mx.count("DATA") == 0
    setup = Setup(("example.org",), "bounces@example.org", mx_port=1)
    assert {f.level for f in of(examine(gather(setup, Dns([server.address]))), "incoming")} == {Level.WARNING}


@pytest.mark.parametrize(
    ("server", "wanted", "level", "says"),
    [
        ({}, Encryption.NONE, Level.OK, "on this machine"),
        ({}, Encryption.STARTTLS, Level.FAILURE, "no STARTTLS"),
        ({"tls": True}, Encryption.STARTTLS, Level.OK, "TLSv1.3"),
        ({"implicit_tls": True}, Encryption.TLS, Level.OK, "TLSv1.3"),
    ],
)
def test_the_way_to_the_relay_is_tried(serve, server, wanted, level, says):
    with ScriptedSMTPServer(**server) as relay:
        finding = tls.check(probe.ask_relay(Relay(relay.host, relay.port, wanted)))[0]
    assert (finding.level, says in finding.title) == (level, True)


def test_a_relay_elsewhere_needs_tls_and_a_certificate_to_trust():
    with ScriptedSMTPServer(tls=True) as relay:
        found = probe.ask_relay(Relay(relay.host, relay.port, Encryption.STARTTLS))
    assert "self-signed" in found.certificate_problem
    elsewhere = RelayFacts(found.relay, False, "", True, found.tls_version, found.certificate_problem)
    assert tls.check(elsewhere)[0].level == Level.FAILURE
    plain = RelayFacts(Relay("relay.test"), False, offers_starttls=True)
    assert tls.check(plain)[0].level == Level.FAILURE
    gone = probe.ask_relay(Relay("127.0.0.1", 1))
    assert tls.check(gone)[0].level == Level.FAILURE and gone.error
