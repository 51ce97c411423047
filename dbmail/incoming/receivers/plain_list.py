"""Fixed addresses behind a local part: the rows of PlainRedirect."""

from django.db.models import Q

from ...addresses import domain_of, normalise, parse_mailbox
from ...conf import config
from .base import BaseHandler

#: Every domain has these (RFC 5321, 4.5.1; RFC 2142): without a redirect they go to DBMAIL["SUPPORT"].
_ALWAYS = ("postmaster", "abuse")


class PlainList(BaseHandler):
    """directors@ goes to the addresses of the redirect called "directors"."""

    def process(self, user: str, *_groups: str | None, **_named: str | None) -> None:
        self.recipients = list(_destinations(user, self.domain)) if user else []
        self.send = bool(self.recipients)


def _destinations(user: str, domain: str) -> list[str]:
    """Where `user` leads, each address once. A redirect to a redirect of this domain is followed here:
    its copy would come back as mail of our own domain that no signature vouches for."""
    seen = {normalise(f"{user}@{domain}")}
    found: list[str] = []
    waiting = _of_redirect(user, domain) or _of_necessity(user, domain)
    while waiting:
        address = waiting.pop(0)
        normal = normalise(address)
        if normal in seen:
            continue
        seen.add(normal)
        local_part, _, address_domain = normal.rpartition("@")
        further = _of_redirect(local_part, domain) if address_domain == domain.lower() else []
        waiting += further
        if not further:
            found.append(address)
    return found


def _of_redirect(user: str, domain: str) -> list[str]:
    from ...models import PlainRedirect

    named = PlainRedirect.objects.filter(Q(original__iexact=user) | Q(original__iexact=f"{user}@{domain}"))
    return [address for redirect in named for address in redirect.destinations()]


def _of_necessity(user: str, domain: str) -> list[str]:
    """Where postmaster@ and abuse@ go that nobody has redirected; nowhere if that would lead back here."""
    if user.lower() not in _ALWAYS:
        return []
    support = parse_mailbox(config().support).address
    comes_back = domain_of(support) == domain.lower() and not _of_redirect(support.rpartition("@")[0], domain)
    return [] if comes_back else [support]
