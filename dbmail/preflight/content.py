"""Checks of one rendered mail. Each is a pure function from the mail to findings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from html.parser import HTMLParser
from urllib.parse import SplitResult, urlsplit

from django.utils.text import Truncator
from django.utils.translation import gettext as _


class Level(StrEnum):
    ERROR = "error"  # it cannot be sent like this
    WARNING = "warning"  # it can, and readers will see it
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and the field of the page where it can be put right; the keys of a few people whom it is about."""

    level: Level
    field: str
    message: str
    line: int | None = None
    people: tuple[str, ...] = ()


#: Gmail shows no more than this of a mail, in bytes.
CLIPPED_AFTER = 102 * 1024
#: Phones show about this many characters of a subject.
LONG_SUBJECT = 70
#: What is left of the place of the link where a filter has changed it, in small letters.
_LINK_SPOILT = "unsubscribe.invalid"
_SCHEMES_WITHOUT_HOST = ("mailto", "tel", "sms")


@dataclass(frozen=True, slots=True)
class Content:
    """A mail as one recipient gets it. `html` is "" for a plain one; `unsubscribable`: its header carries a https
    link; `has_link`: the reader sees one; `before`, `after`: what of `html` is the layout's."""

    subject: str
    text: str
    html: str = ""
    unsubscribable: bool = True
    has_link: bool = True
    before: str = ""
    after: str = ""


def check_content(content: Content) -> list[Finding]:
    return [_placed(finding, content) for check in CHECKS for finding in check(content)]


def _placed(finding: Finding, content: Content) -> Finding:
    """With the line in the body as it is written; what stands in the layout has none, and is the layout's."""
    if finding.line is None or not content.before:
        return finding
    line = finding.line - content.before.count("\n")
    lines = content.html.count("\n") + 1 - content.before.count("\n") - content.after.count("\n")
    return replace(finding, line=line) if 1 <= line <= lines else replace(finding, field="layout", line=None)


def _no_text(content: Content) -> Iterator[Finding]:
    if not content.text.strip():
        message = _("The mail has no text. People who read without pictures, and filters, see nothing.")
        yield Finding(Level.WARNING, "msgtext", message)


def _subject(content: Content) -> Iterator[Finding]:
    if len(content.subject) > LONG_SUBJECT:
        message = _("The subject has %(length)d characters; phones show the first %(limit)d or less.")
        yield Finding(Level.NOTE, "subject", message % {"length": len(content.subject), "limit": LONG_SUBJECT})
    if len(content.subject) > 10 and content.subject.isupper():
        yield Finding(Level.WARNING, "subject", _("The subject is in capitals only, which filters take for spam."))


def _size(content: Content) -> Iterator[Finding]:
    size = len(content.html.encode())
    if size > CLIPPED_AFTER:
        message = _("The HTML has %(size)d KB. Gmail cuts a mail off after 102 KB, with the end and what is in it.")
        yield Finding(Level.WARNING, "msgtext", message % {"size": size // 1024})


def _links(content: Content) -> Iterator[Finding]:
    for url, line in _parsed(content.html).links:
        parts = _split(url)
        if parts is None or not url.strip() or url.strip() == "#":
            yield _at(line, Level.WARNING, _("A link leads nowhere: “%(url)s”.") % {"url": _short(url)})
        elif parts.scheme == "http":
            message = _("The link %(url)s is not https: browsers warn of it.")
            yield _at(line, Level.WARNING, message % {"url": _short(url)})
        elif parts.scheme not in ("https", *_SCHEMES_WITHOUT_HOST) and not url.startswith("#"):
            message = _("The link “%(url)s” is relative or of an unknown kind. In a mail it leads nowhere.")
            yield _at(line, Level.WARNING, message % {"url": _short(url)})


def _images(content: Content) -> Iterator[Finding]:
    for url, alt, line in _parsed(content.html).images:
        parts = _split(url)
        if parts is None or parts.scheme not in ("https", "data", "cid"):
            message = _("The image “%(url)s” has no https address and will not be shown.")
            yield _at(line, Level.WARNING, message % {"url": _short(url)})
        if alt is None:
            message = _('The image “%(url)s” has no alt text for those who do not see it; alt="" for decoration.')
            yield _at(line, Level.WARNING, message % {"url": _short(url)})


def _unsubscribe(content: Content) -> Iterator[Finding]:
    if not content.unsubscribable:
        message = _(
            "Mails carry no one-click unsubscribe link, because the site's https address is not set (SITE_URL)."
        )
        yield Finding(Level.WARNING, "msgtext", message)
    if _LINK_SPOILT in f"{content.text}{content.html}".lower():
        message = _("{{ unsubscribe_url }} takes no filter.")
        yield Finding(Level.ERROR, "msgtext", message)
    elif not content.has_link:
        message = _(
            "Readers see no link to unsubscribe, and Gmail and Yahoo want one in bulk mail: {{ unsubscribe_url }}."
        )
        yield Finding(Level.WARNING, "msgtext", message)


def _scripts(content: Content) -> Iterator[Finding]:
    for tag, line in _parsed(content.html).active:
        message = _("Mail programs drop <%(tag)s>, and some drop the mail with it.") % {"tag": tag}
        yield _at(line, Level.WARNING, message)


CHECKS: tuple[Callable[[Content], Iterator[Finding]], ...] = (
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
    except (AssertionError, ValueError):  # what is so broken that Python's parser gives up has no checks
        pass
    return reader


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url.strip())
    except ValueError:
        return None


def _at(line: int, level: Level, message: str) -> Finding:
    return Finding(level, "msgtext", message, line)


def _short(url: str) -> str:
    return Truncator(url).chars(60)
