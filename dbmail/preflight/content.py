"""Checks of one rendered mail. Each is a pure function from the mail to remarks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from html.parser import HTMLParser
from urllib.parse import SplitResult, urlsplit

from django.utils.text import Truncator
from django.utils.translation import gettext as _


class Severity(StrEnum):
    ERROR = "error"  # the broadcast cannot be sent like this
    WARNING = "warning"  # it can be sent, but readers or filters will take offence
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class Remark:
    """What a check of a draft has to say, for its author."""

    severity: Severity
    #: The field of the page where it can be put right.
    field: str
    #: One sentence.
    message: str
    #: Line of the body that it is about, from 1.
    line: int | None = None
    #: Keys of a few of the people whom it is about.
    people: tuple[str, ...] = ()


#: Gmail cuts a mail off behind so many bytes of HTML.
CLIPPED_AFTER = 102 * 1024
#: A subject of more characters than this is cut off on phones.
LONG_SUBJECT = 70
#: What is left of the link's placeholder if a template filter has changed it, in lower case.
_LINK_SPOILT = "unsubscribe.invalid"
_SCHEMES_WITHOUT_HOST = ("mailto", "tel", "sms")


@dataclass(frozen=True, slots=True)
class Content:
    """A mail as one recipient gets it."""

    subject: str
    #: The body as plain text.
    text: str
    #: The whole HTML body, with the layout; "" for a plain mail.
    html: str = ""
    #: Whether the header has an https link to unsubscribe.
    unsubscribable: bool = True
    #: Whether the body has such a link.
    has_link: bool = True
    #: The part of the layout that stands before the written body in `html`.
    before: str = ""
    #: The part of the layout that stands behind it.
    after: str = ""


def check_content(content: Content) -> list[Remark]:
    return [_placed(remark, content) for check in CHECKS for remark in check(content)]


def _placed(remark: Remark, content: Content) -> Remark:
    """`remark` with its line counted in the body as it was written, without the layout.

    A remark about a line of the layout becomes one about the field `layout`, without a line.
    """
    if remark.line is None or not content.before:
        return remark
    line = remark.line - content.before.count("\n")
    lines = content.html.count("\n") + 1 - content.before.count("\n") - content.after.count("\n")
    return replace(remark, line=line) if 1 <= line <= lines else replace(remark, field="layout", line=None)


def _no_text(content: Content) -> Iterator[Remark]:
    if not content.text.strip():
        message = _("The mail has no text. People who read without pictures, and filters, see nothing.")
        yield Remark(Severity.WARNING, "msgtext", message)


def _subject(content: Content) -> Iterator[Remark]:
    if len(content.subject) > LONG_SUBJECT:
        message = _("The subject has %(length)d characters; phones show the first %(limit)d or less.")
        yield Remark(Severity.NOTE, "subject", message % {"length": len(content.subject), "limit": LONG_SUBJECT})
    if len(content.subject) > 10 and content.subject.isupper():
        yield Remark(Severity.WARNING, "subject", _("The subject is in capitals only, which filters take for spam."))


def _size(content: Content) -> Iterator[Remark]:
    size = len(content.html.encode())
    if size > CLIPPED_AFTER:
        message = _("The HTML has %(size)d KB. Gmail cuts a mail off after 102 KB, with the end and what is in it.")
        yield Remark(Severity.WARNING, "msgtext", message % {"size": size // 1024})


def _links(content: Content) -> Iterator[Remark]:
    for url, line in _parsed(content.html).links:
        parts = _split(url)
        if parts is None or not url.strip() or url.strip() == "#":
            yield _at(line, Severity.WARNING, _("A link leads nowhere: “%(url)s”.") % {"url": _short(url)})
        elif parts.scheme == "http":
            message = _("The link %(url)s is not https: browsers warn of it.")
            yield _at(line, Severity.WARNING, message % {"url": _short(url)})
        elif parts.scheme not in ("https", *_SCHEMES_WITHOUT_HOST) and not url.startswith("#"):
            message = _("The link “%(url)s” is relative or of an unknown kind. In a mail it leads nowhere.")
            yield _at(line, Severity.WARNING, message % {"url": _short(url)})


def _images(content: Content) -> Iterator[Remark]:
    for url, alt, line in _parsed(content.html).images:
        parts = _split(url)
        if parts is None or parts.scheme not in ("https", "data", "cid"):
            message = _("The image “%(url)s” has no https address and will not be shown.")
            yield _at(line, Severity.WARNING, message % {"url": _short(url)})
        if alt is None:
            message = _('The image “%(url)s” has no alt text for those who do not see it; alt="" for decoration.')
            yield _at(line, Severity.WARNING, message % {"url": _short(url)})


def _unsubscribe(content: Content) -> Iterator[Remark]:
    if not content.unsubscribable:
        message = _(
            "Mails carry no one-click unsubscribe link, because the site's https address is not set (SITE_URL)."
        )
        yield Remark(Severity.WARNING, "msgtext", message)
    if _LINK_SPOILT in f"{content.text}{content.html}".lower():
        message = _("{{ unsubscribe_url }} takes no filter.")
        yield Remark(Severity.ERROR, "msgtext", message)
    elif not content.has_link:
        message = _(
            "Readers see no link to unsubscribe, and Gmail and Yahoo want one in bulk mail: {{ unsubscribe_url }}."
        )
        yield Remark(Severity.WARNING, "msgtext", message)


def _scripts(content: Content) -> Iterator[Remark]:
    for tag, line in _parsed(content.html).active:
        message = _("Mail programs drop <%(tag)s>, and some drop the mail with it.") % {"tag": tag}
        yield _at(line, Severity.WARNING, message)


CHECKS: tuple[Callable[[Content], Iterator[Remark]], ...] = (
    _subject,
    _no_text,
    _links,
    _images,
    _scripts,
    _size,
    _unsubscribe,
)


class _Reader(HTMLParser):
    """Links, images and active elements, with their lines."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, int]] = []
        self.images: list[tuple[str, str | None, int]] = []
        self.active: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        line = self.getpos()[0]
        if tag in ("a", "area") and "href" in given:
            self.links.append((given["href"], line))
        elif tag == "img":
            self.images.append((given.get("src", ""), given.get("alt"), line))
        elif tag in ("script", "form", "iframe", "object", "embed", "video"):
            self.active.append((tag, line))


def _parsed(html: str) -> _Reader:
    reader = _Reader()
    try:
        reader.feed(html)
        reader.close()
    except (
        AssertionError,
        ValueError,
    ):  # HTML so broken that the parser gives up: only what was read so far is checked
        pass
    return reader


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url.strip())
    except ValueError:
        return None


def _at(line: int, severity: Severity, message: str) -> Remark:
    return Remark(severity, "msgtext", message, line)


def _short(url: str) -> str:
    return Truncator(url).chars(60)
