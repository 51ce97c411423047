"""Check of From: what receivers find in DNS about its domain."""

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
from .content import Finding, Level

#: Seconds that DNS has for an answer, and that an answer, or that there was none, is kept.
WAIT = 2
KEEP, KEEP_SILENCE = 600, 60


class Dmarc(StrEnum):
    """What receivers make of a domain's policy."""

    ENFORCED = "enforced"
    WATCHED = "watched"  # p=none
    IGNORED = "ignored"  # broken, or one of several
    MISSING = "missing"
    UNKNOWN = "unknown"  # DNS did not answer


def check_sender(domain: str) -> list[Finding]:
    """Asks DNS at most every few minutes, and waits for two seconds at most."""
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
            return [Finding(Level.NOTE, "sender", silent % found)]
        case _:
            return []
    return [Finding(Level.WARNING, "sender", message % found)]


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
