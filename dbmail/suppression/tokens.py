"""Signed tokens that let whoever holds a mail unsubscribe its address, and nothing else; {{ unsubscribe_url }}."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.urls import NoReverseMatch, get_script_prefix, get_urlconf, reverse
from django.utils.translation import gettext as _

from ..addresses import normalise, parse_mailbox
from ..conf import config, site_url
from ..exceptions import InvalidToken, SettingError
from ..signing import is_signed, mac

#: What texts call the link: {{ unsubscribe_url }}.
VARIABLE = "unsubscribe_url"
#: Stands in a rendered text until the address is known. It is a web address, so that nothing escapes or wraps it.
PLACEHOLDER = "https://unsubscribe.invalid/place-of-the-link"
#: Keeps these signatures apart from those of return paths and other things that dbmail signs.
_PURPOSE = "dbmail.unsubscribe"
#: Length of the signature in hex digits: 128 bits.
_MAC_LENGTH = 32


class Subscription(NamedTuple):
    """What a token stands for: an address (normalised) and a scope of mail."""

    address: str
    scope: str


def make(address: str, scope: str = "all") -> str:
    """The token for one address and scope, of letters, digits, `-`, `_` and `.`."""
    value = f"{normalise(address)}\n{scope}"
    encoded = urlsafe_b64encode(value.encode("utf-8", "replace")).decode().rstrip("=")
    return f"{encoded}.{mac(_PURPOSE, value)[:_MAC_LENGTH]}"


def read(token: str) -> Subscription:
    """What `token` was made for. Raises InvalidToken for anything that `make` did not return."""
    encoded, _dot, given = token.partition(".")
    try:
        value = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        address, scope = value.split("\n")
    except ValueError:
        value = address = scope = ""
    # Compared whole: base64 has several spellings of the same bytes.
    if not is_signed(_PURPOSE, value, given, _MAC_LENGTH) or make(address, scope).partition(".")[0] != encoded:
        raise InvalidToken(_("This unsubscribe link is not one of ours, or it was cut short."))
    return Subscription(address, scope)


def link(token: str) -> str:
    """The page for `token` or, where it is not known on what site that is, a mail that has the same effect."""
    site = site_url()
    return site + path(token) if site else mailto(token)


def mailto(token: str) -> str:
    """RFC 2369: a mail to this address unsubscribes."""
    return f"mailto:unsubscribe@{_domain(config().bounces)}?subject={token}"


@lru_cache(maxsize=8)
def _domain(mailbox: str) -> str:
    return parse_mailbox(mailbox).domain


def path(token: str) -> str:
    """The path of the page for `token`. Raises SettingError where the project has not included our URLs."""
    before, after = _around(get_urlconf() or settings.ROOT_URLCONF, get_script_prefix())
    return f"{before}{token}{after}"


@lru_cache(maxsize=8)
def _around(urlconf: str, prefix: str) -> tuple[str, str]:
    """What stands before and after a token in its path; a token holds nothing that has to be quoted there."""
    try:
        before, _token, after = reverse("dbmail:unsubscribe", urlconf=urlconf, args=["TOKEN"]).partition("TOKEN")
    except NoReverseMatch as error:
        raise SettingError(_('Add path("", include("dbmail.urls")) to the project\'s URLs.')) from error
    return before, after


def link_for(address: str, scope: str) -> str:
    """The page where whoever reads mail to `address` stops mail of this scope.

    A mailto: of the same effect where the site's own address is not known.
    """
    return link(make(address, scope))


def example() -> str:
    """A link that looks like the others and unsubscribes nobody, for previews, tests and the public page."""
    return link("example") if site_url() else "#unsubscribe"
