"""`{{ unsubscribe_url }}`: a text is rendered once for a person, and each address it goes to has a link of its own.

Gmail and Yahoo want a link in the text of bulk mail that a reader can see, besides the header of RFC 8058.
"""

from ..conf import site_url
from ..unsubscribe import tokens

NAME = "unsubscribe_url"
#: Stands for the link until the address is known: an address of the web, so that nothing escapes or wraps it.
PLACE = "https://unsubscribe.invalid/place-of-the-link"


def link_for(address: str, scope: str) -> str:
    """The page where whoever reads mail to `address` stops mail of this scope.

    A mailto: of the same effect where the site's own address is not known.
    """
    return tokens.link(tokens.make(address, scope))


def example() -> str:
    """A link that looks like the others and unsubscribes nobody, for previews, tests and the public page."""
    return tokens.link("example") if site_url() else "#unsubscribe"
