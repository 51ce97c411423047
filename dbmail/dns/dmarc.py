"""DMARC records (RFC 7489, 6.3): made, recognised, checked."""

import re

from .records import tags
from .sentence import Sentence as _

#: What a domain may ask receivers to do with mail that fails, from the mildest to the strictest.
POLICIES = ("none", "quarantine", "reject")


def record(policy: str, reports_to: str = "") -> str:
    """The text of a DMARC record. `reports_to`: the address that gets aggregate reports, or ""."""
    return f"v=DMARC1; p={policy}" + (f"; rua=mailto:{reports_to}" if reports_to else "")


def is_dmarc(text: str) -> bool:
    """Whether a TXT record is meant as DMARC: its first tag is v=DMARC1 (RFC 7489, 6.3)."""
    return re.match(r"v\s*=\s*DMARC1\s*(;|$)", text) is not None


def what_is_wrong(text: str) -> str:
    """Why receivers would ignore this record, as a sentence; "" if they would obey it (RFC 7489, 6.6.3)."""
    given = tags(text)
    policy = given.get("p", "").lower()
    if policy in POLICIES or (given.get("rua") and "p" not in given):
        return ""
    if not policy:
        return _("it has no policy, which must be one of %(policies)s.", policies=", ".join(POLICIES))
    return _("its policy p=%(policy)s is none of %(policies)s.", policy=policy, policies=", ".join(POLICIES))


def foreign_report_domains(text: str, domain: str) -> list[str]:
    """The domains of report addresses that are neither `domain` nor above or below it.

    They must publish that they agree to get the reports (RFC 7489, 7.1).
    """
    found = []
    for uri in tags(text).get("rua", "").split(","):
        host = uri.strip().partition("!")[0].rpartition("@")[2].lower()
        related = host == domain or domain.endswith("." + host) or host.endswith("." + domain)
        if host and not related:
            found.append(host)
    return found
