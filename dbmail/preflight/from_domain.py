"""Check of the domain in From: what receivers find in DNS about it."""

import hashlib
import time
from enum import StrEnum

from django.core.cache import cache
from django.utils.translation import gettext as _

from ..conf import config
from ..dns.client import Dns
from ..dns.errors import DomainsError
from ..doctor.checks.dmarc import policy
from ..doctor.gather import dmarc_of
from .content import Remark, Severity

#: The most seconds to wait for DNS.
WAIT = 2
#: Seconds for which an answer is cached.
KEEP = 600
#: Seconds for which it is cached that DNS did not answer.
KEEP_SILENCE = 60


class Dmarc(StrEnum):
    """What receivers make of a domain's DMARC policy (RFC 7489)."""

    ENFORCED = "enforced"  # p=quarantine or p=reject
    WATCHED = "watched"  # p=none
    IGNORED = "ignored"  # broken, or one of several
    MISSING = "missing"
    UNKNOWN = "unknown"  # DNS did not answer


def check_from_domain(domain: str) -> list[Remark]:
    """Remarks about the DMARC policy of `domain`.

    Answers are cached, and DNS is waited for at most WAIT seconds.
    """
    if "." not in domain:
        return []  # a machine's own name: nobody outside gets mail from it
    found = {"domain": domain}
    match _dmarc(domain):
        case Dmarc.MISSING:
            message = _("%(domain)s has no DMARC policy: Gmail, Yahoo and others refuse bulk mail from such a domain.")
        case Dmarc.IGNORED:
            message = _("Receivers ignore the DMARC policy of %(domain)s, since it is wrong or not the only one.")
        case Dmarc.WATCHED:
            message = _("The DMARC policy of %(domain)s is p=none: mail that others forge in its name gets through.")
        case Dmarc.UNKNOWN:
            silent = _("DNS does not answer, so the DMARC policy of %(domain)s is not known. It is asked again later.")
            return [Remark(Severity.NOTE, "sender", silent % found)]
        case _:
            return []
    return [Remark(Severity.WARNING, "sender", message % found)]


def _dmarc(domain: str) -> Dmarc:
    key = f"dbmail.dmarc.{hashlib.sha256(domain.encode()).hexdigest()}"
    known = cache.get(key)
    if known is None:
        known = str(_ask(domain))
        cache.set(key, known, KEEP_SILENCE if known == Dmarc.UNKNOWN else KEEP)
    return Dmarc(known)


def _ask(domain: str) -> Dmarc:
    try:
        found = dmarc_of(domain, Dns(config().dns.resolvers, until=time.monotonic() + WAIT))
    except DomainsError:  # no resolver is configured
        return Dmarc.UNKNOWN
    if found.texts.error:
        return Dmarc.UNKNOWN
    if not found.texts.values:
        return Dmarc.MISSING
    asked_for = policy(domain, found)
    return Dmarc.WATCHED if asked_for == "none" else Dmarc.ENFORCED if asked_for else Dmarc.IGNORED
