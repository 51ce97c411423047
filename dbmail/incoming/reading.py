"""A stranger's message as text, for a person who decides about it. Nothing in it is followed, run or fetched."""

import re
from email import message_from_bytes, policy
from email.message import Message

from ..rendering.text import text_from_html
from .headers import readable

#: Bytes of a message that are looked at. Python's parser needs the square of what it is given for some headers.
_READ = 100_000
# Their decoders need the square of the length, too; no mail is written in them.
_NO_CHARSETS = ("punycode", "idna")
_UNENDED_TAG = re.compile(r"<(?=[^<>]*(?:<|\Z))")


def legible(raw: bytes) -> str:
    """The words of every part that a reader may be shown, and the names of the others. Never raises.

    HTML stands here with the addresses that its links lead to; where there are several parts, a line on top names
    them all.
    """
    try:
        parts = [part for part in message_from_bytes(raw[:_READ], policy=policy.compat32).walk() if _is_leaf(part)]
        texts = list(filter(None, map(_text, parts)))
        names = [" ".join(f"[{_name(part)}]" for part in parts)] if len(parts) > 1 or not texts else []
        return "\n\n".join(names + texts)
    except Exception:  # Python's parser fails in many ways on what is no valid message; its bytes can be read
        return raw[:_READ].decode("utf-8", "replace")


def _is_leaf(part: Message) -> bool:
    return not part.is_multipart()


def _name(part: Message) -> str:
    kind, name = part.get_content_type(), part.get_filename()
    return f"{kind[:100]}: {readable(name.encode('utf-8', 'replace'))[:200]}" if name else kind[:100]


def _text(part: Message) -> str:
    kind = part.get_content_type()
    content = part.get_payload(decode=True)
    if not kind.startswith("text/") or not isinstance(content, bytes):
        return ""
    charset = part.get_content_charset("utf-8")
    try:
        text = content.decode("utf-8" if charset in _NO_CHARSETS else charset, "replace")
    except (LookupError, ValueError):
        text = content.decode("utf-8", "replace")
    # Tags that never end keep the parser of HTML busy for minutes; a person sees them as they are.
    return text_from_html(_UNENDED_TAG.sub("&lt;", text)) if kind == "text/html" else text
