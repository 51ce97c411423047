"""What the doctor says, in the reader's language: each of its sentences, whoever kept the report."""

import ast
import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.utils import translation

import dbmail
from dbmail.dns import dmarc, spf
from dbmail.dns.errors import BadSpf
from dbmail.dns.sentence import Sentence, parts
from dbmail.doctor.checks import examine
from dbmail.doctor.facts import (
    UNANSWERED,
    Answer,
    Complaints,
    DkimKey,
    DmarcFacts,
    DomainFacts,
    Encryption,
    MxHost,
    MxReply,
    PageFacts,
    Relay,
    RelayFacts,
    ReverseDns,
    SampleMail,
    Setup,
    SetupFacts,
    SpfFacts,
)
from dbmail.doctor.finding import Finding, Level, as_json, as_text
from dbmail.doctor.project import keep
from dbmail.models import DoctorReport

from ..pseudo import english, speak_wide, words
from .zones import KEY, a_key

PAGE = "/admin/dbmail/doctorreport/"
ONE = "192.0.2.25"
RECORD = f"v=spf1 ip4:{ONE} -all"
GOOD = DomainFacts(
    domain="example.org",
    mx=Answer(("10 mx.example.org",)),
    mx_hosts=(MxHost("mx.example.org", Answer((ONE,))),),
    addresses=Answer((ONE,)),
    spf=SpfFacts(Answer((RECORD,)), results={ONE: "pass"}),
    dkim=(DkimKey("s1", Answer((f"v=DKIM1; p={KEY}",))),),
    dmarc=DmarcFacts("example.org", Answer(("v=DMARC1; p=reject; rua=mailto:a@example.org",)), "example.org"),
)
SETUP = Setup(("example.org",), "bounces@example.org", ("s1",), sends_from=(ONE,))
MAIL = {
    **{"from": "1", "date": "1", "message-id": "1", "subject": "1", "to": "1"},
    **{"list-unsubscribe": "<https://1>, <mailto:1>", "list-unsubscribe-post": "List-Unsubscribe=One-Click"},
}
PAGE_FACTS = PageFacts("https://example.org/x", 200, 200, "", False, True)
FINE = SetupFacts(
    SETUP,
    (GOOD,),
    GOOD,
    (ReverseDns(ONE, Answer(("mail.example.org",)), True),),
    RelayFacts(Relay("relay.example.org", 25, Encryption.STARTTLS), False, "", True, "TLSv1.3"),
    PAGE_FACTS,
    (MxReply("bounces@example.org", "mx.example.org", 250),),
    SampleMail(MAIL, "example.org"),
)
NOT = Answer(error=Sentence("%(name)s: %(error)s", name="1", error="2"))


def bad_spf(text, txt=lambda name: []):
    with pytest.raises(BadSpf) as error:
        spf.lookups(text, txt)
    return error.value.sentence


def domains():
    """The good domain with one thing changed each."""
    lookups = SpfFacts(Answer((RECORD,)), results={ONE: "pass"})
    yield from (replace(GOOD, mx=NOT), replace(GOOD, mx=Answer()))
    yield from (replace(GOOD, mx=Answer(), addresses=Answer()), replace(GOOD, mx_hosts=()))
    for host in (MxHost("mx", NOT), MxHost("mx", Answer()), MxHost("mx", Answer((ONE,)), True)):
        yield replace(GOOD, mx_hosts=(host,))
    for records in (NOT, Answer(), Answer((RECORD, RECORD))):
        yield replace(GOOD, spf=SpfFacts(records))
    for end in ("+all", "?all", "", "ptr -all"):
        yield replace(GOOD, spf=SpfFacts(Answer((f"v=spf1 {end}",)), results={ONE: "pass"}))
    for cost in (10, 11):
        yield replace(GOOD, spf=replace(lookups, lookups=(("mx", cost),)))
    for result in ("fail", "temperror"):
        yield replace(GOOD, spf=replace(lookups, results={ONE: result}))
    yield replace(GOOD, spf=SpfFacts(Answer((RECORD,))))
    for wrong in ("v=spf1 1", "v=spf1 redirect=a redirect=b", "v=spf1 include:a"):
        yield replace(GOOD, spf=SpfFacts(Answer((wrong,)), problem=bad_spf(wrong)))
    yield replace(
        GOOD, spf=SpfFacts(Answer((RECORD,)), problem=bad_spf("v=spf1 include:a", lambda name: [RECORD] * 2))
    )
    yield replace(GOOD, dkim=())
    texts = [(), ("1", "2"), ("1",), ("v=DKIM1; p=",), ("p=%",), (f"k=ed25519; p={KEY}",), (f"t=y; p={KEY}",)]
    short = base64.b64encode(bytes([0x30, 0x42, 0x02, 0x40]) + b"\x7f" * 64).decode()
    texts += [(f"p={a_key(1024)}",), (f"p={short}",)]
    for values in texts:
        yield replace(GOOD, dkim=(DkimKey("s1", Answer(values)),))
    yield replace(GOOD, dkim=(DkimKey("s1", NOT),))
    yield replace(GOOD, dkim=(DkimKey("s1", Answer((f"p={KEY}",)), own="other"),))
    for text in ("v=DMARC1; p=none", "v=DMARC1; p=1", "v=DMARC1"):
        yield replace(GOOD, dmarc=DmarcFacts("example.org", Answer((text,)), "example.org"))
    yield replace(GOOD, dmarc=DmarcFacts("example.org", Answer(("v=DMARC1; p=reject", "v=DMARC1; p=reject"))))
    yield replace(GOOD, dmarc=DmarcFacts("", NOT))
    yield replace(GOOD, dmarc=DmarcFacts("", Answer()))
    foreign = Answer(("v=DMARC1; p=reject; rua=mailto:a@b.test",))
    yield replace(GOOD, dmarc=DmarcFacts("example.org", foreign, "example.org", {"b.test": False}))


def all_facts():
    """Facts that between them make each check say each of its sentences."""
    yield FINE
    for domain in domains():
        yield replace(FINE, domains=(domain,), return_domain=domain)
    other = replace(GOOD, domain="other.test")
    for keys in (GOOD.dkim, ()):
        yield replace(FINE, domains=(replace(GOOD, dkim=keys),), return_domain=other)
        yield replace(FINE, domains=(replace(GOOD, dkim=keys, mx=Answer(), addresses=Answer()),), return_domain=None)
    sendgrid = replace(SETUP, sends_from=(), relay=Relay("smtp.sendgrid.net"))
    for lookups in ((), (("include:sendgrid.net", 1),)):
        yield replace(FINE, setup=sendgrid, domains=(replace(GOOD, spf=SpfFacts(Answer((RECORD,)), lookups)),))
    yield replace(FINE, setup=replace(SETUP, from_domains=("gmail.com",)))
    for code in (0, 450, 550):
        yield replace(FINE, mx_replies=(MxReply("bounces@example.org", "mx.example.org", code, "1"),))
    yield replace(FINE, mx_replies=(MxReply("bounces@example.org", "mx.example.org", text=UNANSWERED),))
    yield replace(FINE, mx_replies=(), setup=replace(SETUP, return_path=""))
    for reverse in ((), (ReverseDns(ONE, NOT, False),), (ReverseDns(ONE, Answer(), False),)):
        yield replace(FINE, reverse=reverse)
    yield replace(FINE, reverse=(ReverseDns(ONE, Answer(("mail.example.org",)), False),))
    for name in ("from", "list-unsubscribe", "list-unsubscribe-post"):
        yield replace(FINE, sample=SampleMail({**MAIL, name: ""}, "example.org"))
    yield replace(FINE, sample=SampleMail({**MAIL, "dkim-signature": "h=from"}, "example.org"))
    yield replace(FINE, sample=None)
    relay, plain = FINE.relay, Relay("relay.example.org")
    assert relay
    for each in (
        replace(relay, error=UNANSWERED),
        replace(relay, error="1"),
        replace(relay, tls_version=""),
        replace(relay, tls_version="TLSv1"),
        replace(relay, certificate_problem="1"),
        replace(relay, relay=plain),
        replace(relay, relay=plain, offers_starttls=False),
        replace(relay, relay=plain, is_local=True),
    ):
        yield replace(FINE, relay=each)
    yield replace(FINE, page=None)
    for page in (
        {"error": UNANSWERED},
        {"error": "1"},
        {"url": "http://example.org/x"},
        *({"get_status": status, "post_status": status} for status in (302, 403, 404, 500)),
        {"after_get": True},
        {"after_post": False},
    ):
        yield replace(FINE, page=replace(PAGE_FACTS, **page))
    for complaints in (0, 2, 9):
        yield replace(FINE, complaints=Complaints(1000, complaints))


def texts_of(value):
    """A sentence's own text and those of the sentences in it."""
    if isinstance(value, Sentence):
        yield value.text
        for each in value.values.values():
            yield from texts_of(each)


@pytest.fixture(scope="module")
def findings():
    return [finding for facts in all_facts() for finding in examine(facts)]


def test_the_findings_below_are_all_that_the_checks_can_say(findings):
    said = {
        text
        for finding in findings
        for value in (finding.check, finding.about, finding.title, finding.advice)
        for text in texts_of(value)
    }
    written = set()
    for path in (Path(dbmail.__file__).parent / "doctor" / "checks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                written |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    assert len(written) > 100
    assert written - said == set()


def test_every_word_of_a_finding_is_a_sentence(findings):
    plain = [finding for finding in findings if not isinstance(finding.title, Sentence)]
    assert plain == []
    assert [finding for finding in findings if finding.advice and not isinstance(finding.advice, Sentence)] == []


DATA = (
    r"^\S+ IN (MX|TXT) .*|^\"v=DKIM1.*",
    r"\b[\w.-]+\.(org|test|com|net)\b|[\w.+=-]+@[\w.-]+|https?://\S+",
    r"v=(spf1|DMARC1)[^\"]*|'1'|\b(ip4|include|mx|redirect|term)\b:?\w*",
    r"\b(none|quarantine|reject|fail|softfail)\b|TLSv[\d.]+|^(MX|SPF|DKIM|DMARC)$|\b(spf|dkim|dmarc)\b",
    r"\bs1\b|List-Unsubscribe\S*|list-unsubscribe\S*|\bFrom\b",
    r"Dbmail|Outreach|Student infos|Programs|Profiles|\badmin\b|^(Search|TXT|UTC)$",
)


@pytest.mark.django_db
def test_the_page_says_all_of_it_in_the_readers_language(admin_client, findings, monkeypatch, settings):
    keep(findings)
    settings.LANGUAGE_CODE = "de"
    speak_wide(monkeypatch)
    try:
        found = words(admin_client.get(PAGE).content.decode())
    finally:
        translation.deactivate()
    left = english(found, DATA)
    assert not left, "\n".join(["", *left])


@pytest.mark.django_db
def test_a_report_is_kept_in_english_and_read_in_german(admin_client, settings):
    settings.LANGUAGE_CODE = "de"
    finding = Finding(
        Level.FAILURE,
        "dkim",
        "example.org",
        Sentence("%(selector)s: %(said)s", selector="s1", said=Sentence("the key has %(bits)d bits.", bits=512)),
        Sentence("Publish one."),
    )
    with translation.override("de"):
        keep([finding])
        stored = DoctorReport.objects.get().findings[0]
        page = admin_client.get(PAGE).content.decode()
    assert (stored["title"], stored["advice"]) == ("s1: the key has 512 bits.", "Publish one.")
    assert "s1: Der Schlüssel hat 512 Bit." in page


@pytest.mark.django_db
def test_a_report_of_an_earlier_version_is_shown_as_it_was_kept(admin_client):
    old = {"level": "ok", "check": "mx", "about": "example.org", "title": "It takes mail.", "advice": ""}
    DoctorReport.objects.create(findings=[{**old, "record": "", "source": ""}])
    assert b"It takes mail." in admin_client.get(PAGE).content


def test_json_and_text_hold_english_strings_and_what_they_were_made_of(findings):
    text = as_text(findings)
    for finding, line in zip(findings, json.loads(as_json(findings))["findings"], strict=True):
        assert list(line) == ["level", "check", "about", "title", "advice", "record", "source", "sentences"]
        assert line["title"] == str(finding.title) and line["title"] in text
        assert line["sentences"]["title"] == parts(finding.title)


def test_a_sentence_is_its_english_and_knows_what_it_was_made_of():
    inner = Sentence("the key has %(bits)d bits.", bits=512)
    whole = Sentence("%(selector)s: %(said)s", selector="s1", said=inner)
    assert whole == "s1: the key has 512 bits." and Sentence("0.3 %") == "0.3 %"
    assert parts(whole)["values"] == {"selector": "s1", "said": {"text": inner.text, "values": {"bits": 512}}}
    assert dmarc.what_is_wrong("v=DMARC1; p=maybe") == "its policy p=maybe is none of none, quarantine, reject."
