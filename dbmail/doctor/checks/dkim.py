"""DKIM keys in DNS (RFC 6376, 3.6; RFC 8301 and 8463)."""

from dataclasses import replace

from ...dns.dkim import rsa_bits
from ...dns.records import quoted, tags
from ...dns.sentence import Sentence as _
from ..facts import DkimKey, DomainFacts
from ..finding import Finding, Level

NAME = "dkim"


def check(domain: DomainFacts) -> list[Finding]:
    if not domain.dkim:
        title = _("No selector is known, so that DKIM could not be looked at.")
        advice = _(
            'Name the selectors of your relay: DBMAIL["DNS"]["DKIM_SELECTORS"], or --selector. '
            'Or sign here: DBMAIL["DKIM"].'
        )
        return [Finding(Level.WARNING, NAME, domain.domain, title, advice)]
    findings = [_key(domain.domain, key) for key in domain.dkim]
    good = [finding for finding in findings if finding.level is not Level.FAILURE]
    # Selectors stand beside each other while a key is being changed: one that works is enough.
    missing = [f for f, key in zip(findings, domain.dkim, strict=True) if not key.texts.values and not key.own]
    if good and missing:
        return [f if f not in missing else replace(f, level=Level.WARNING) for f in findings]
    return findings


def _key(domain: str, key: DkimKey) -> Finding:
    name = f"{key.selector}._domainkey.{domain}"
    record = f"{name}. IN TXT {quoted(f'v=DKIM1; k=rsa; p={key.own}')}" if key.own else ""

    def finding(level: Level, title: str, advice: str = "") -> Finding:
        said = _("%(selector)s: %(said)s", selector=key.selector, said=title)
        return Finding(level, NAME, domain, said, advice, record if level is Level.FAILURE else "")

    if key.texts.error:
        return finding(Level.WARNING, key.texts.error, _("Run the doctor again."))
    if not key.texts.values:
        return finding(
            Level.FAILURE, _("there is no key at %(name)s.", name=name), _("Publish the key that your relay shows.")
        )
    if len(key.texts.values) > 1:
        return finding(
            Level.FAILURE, _("there are several keys; which one counts is undefined."), _("Leave one of them.")
        )
    given = tags(key.texts.values[0])
    public = "".join(given.get("p", "").split())
    if given.get("v", "DKIM1") != "DKIM1" or "p" not in given:
        return finding(Level.FAILURE, _("the record is no DKIM key."), _("Publish v=DKIM1; k=rsa; p=..."))
    if not public:
        return finding(
            Level.FAILURE, _("the key is revoked (p is empty)."), _("Publish a key, or sign with another selector.")
        )
    if key.own and public != key.own:
        advice = _("Publish the public key of the private one that is signed with.")
        return finding(Level.FAILURE, _("the key in DNS is not the one that we sign with."), advice)
    if given.get("k", "rsa") == "ed25519":
        return finding(Level.OK, _("an Ed25519 key; not every receiver reads those, so have an RSA key beside it."))
    bits = rsa_bits(public)
    if bits is None:
        return finding(
            Level.FAILURE, _("the key cannot be read."), _("Publish it anew; lines or quotes may have crept in.")
        )
    if bits < 1024:
        return finding(
            Level.FAILURE, _("the key has %(bits)d bits: receivers ignore it.", bits=bits), _("Make one of 2048.")
        )
    if bits < 2048:
        return finding(Level.WARNING, _("the key has %(bits)d bits.", bits=bits), _("Make one of 2048 bits."))
    if "y" in given.get("t", "").split(":"):
        return finding(
            Level.WARNING, _("the key is marked as a test (t=y)."), _("Remove t=y: receivers may ignore it.")
        )
    return finding(Level.OK, _("a key of %(bits)d bits.", bits=bits))
