"""TXT values as zone files and registrars write them (RFC 1035 5.1), and as the text that they hold.

Bytes and characters stand for each other one to one (Latin-1), so nothing is lost either way.
"""

import re

_STRING = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))', re.DOTALL)
_ESCAPE = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_LONGEST_STRING = 255  # bytes of one character-string, RFC 1035 3.3


def quoted(text: str) -> str:
    """`v=spf1 -all` as `"v=spf1 -all"`; a long text as several strings, which readers join (RFC 7208 3.3)."""
    pieces = [text[i : i + _LONGEST_STRING] for i in range(0, len(text), _LONGEST_STRING)] or [""]
    return " ".join(f'"{"".join(_escaped(c) for c in piece)}"' for piece in pieces)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if " " <= character <= "~" else f"\\{ord(character):03}"


def unquoted(value: str, *, base: int = 10) -> str:
    """The text in `"v=spf1 " "-all"`, or in an unquoted value. `base` is that of \\123: 8 at Route 53."""
    if not value.lstrip().startswith('"'):
        return value.strip()
    strings = (match[1] if match[1] is not None else match[2] for match in _STRING.finditer(value))
    return "".join(_ESCAPE.sub(lambda m: _character(m[1], base), string) for string in strings)


def _character(escape: str, base: int) -> str:
    try:
        return chr(int(escape, base) & 0xFF) if len(escape) == 3 else escape
    except ValueError:  # \189 where octal is due
        return escape
