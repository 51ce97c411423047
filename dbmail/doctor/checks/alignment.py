"""Alignment: whether DMARC takes SPF and DKIM of our mail for those of the author's domain (RFC 7489, 3.1)."""

from ...dns.records import tags
from ...dns.sentence import Sentence as _
from ..facts import DomainFacts
from ..finding import Finding, Level

NAME = _("alignment")


def check(domain: DomainFacts, return_domain: DomainFacts | None) -> list[Finding]:
    about = domain.domain
    policy = tags(domain.dmarc.texts.values[0]) if domain.dmarc.texts.values else {}
    by_spf = return_domain is not None and aligned(domain, return_domain.domain, strict=policy.get("aspf") == "s")
    by_dkim = any(key.texts.values for key in domain.dkim)  # keys are looked up below the author's own domain
    bounce = return_domain.domain if return_domain else _("not known")
    if by_spf and by_dkim:
        return [
            Finding(
                Level.OK, NAME, about, _("Return path (%(bounce)s) and DKIM are aligned with From.", bounce=bounce)
            )
        ]
    if by_dkim:
        title = _(
            "DKIM is aligned with From; the return path (%(bounce)s) is not, so one fault breaks DMARC.", bounce=bounce
        )
        advice = _("Take bounces at a domain at or below %(domain)s, where the relay lets you.", domain=about)
        return [Finding(Level.WARNING, NAME, about, title, advice)]
    if by_spf:
        title = _(
            "The return path (%(bounce)s) is aligned with From; no DKIM key of this domain is known.", bounce=bounce
        )
        advice = _("Sign with DKIM too: forwarding breaks SPF, and Gmail and Yahoo ask bulk senders for both.")
        return [Finding(Level.WARNING, NAME, about, title, advice)]
    title = _("Neither the return path (%(bounce)s) nor a DKIM key is aligned with From: DMARC fails.", bounce=bounce)
    advice = _("Sign with a key of %(domain)s, and take bounces at a domain at or below it.", domain=about)
    return [Finding(Level.FAILURE, NAME, about, title, advice)]


def aligned(domain: DomainFacts, other: str, *, strict: bool) -> bool:
    """Whether `other` counts as the author's `domain`: it is the same, or (relaxed) of the same organisation.

    The organisation is the highest domain with a DMARC policy, or the author's own domain if there is none. That
    needs no list of public suffixes, and never takes a stranger for a relative.
    """
    if strict or other == domain.domain:
        return other == domain.domain
    organisation = domain.dmarc.organisation or domain.domain
    return other == organisation or other.endswith(f".{organisation}")
