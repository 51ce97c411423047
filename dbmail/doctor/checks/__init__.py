"""The checks, one file each: a NAME, which its findings carry, and `check`, a pure function from facts to findings.

`examine` makes them all.
"""

from ..facts import SetupFacts
from ..finding import Finding
from . import alignment, bulk_senders, dkim, dmarc, mx, return_path, reverse_dns, sample, spf, tls, unsubscribe


def examine(facts: SetupFacts) -> list[Finding]:
    """The findings: domain by domain, then those about the site and the relay, then the providers' rules."""
    findings: list[Finding] = []
    own = facts.return_domain
    for domain in facts.domains:
        findings += mx.check(domain, is_return_path=domain == own)
        findings += spf.check(domain, facts.setup, counts=own is None or domain == own)
        findings += dkim.check(domain)
        findings += dmarc.check(domain, facts.setup)
        findings += alignment.check(domain, own)
    if own and own not in facts.domains:
        findings += mx.check(own, is_return_path=True)
        findings += spf.check(own, facts.setup)
    findings += return_path.check(facts.mx_replies, facts.setup.return_path)
    findings += reverse_dns.check(facts.reverse)
    findings += tls.check(facts.relay) if facts.relay else []
    findings += unsubscribe.check(facts.page)
    findings += sample.check(facts.sample) if facts.sample else []
    return [*findings, *bulk_senders.check(facts, findings)]
