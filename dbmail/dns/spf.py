"""SPF records (RFC 7208): recognised, checked, merged into one, their DNS look-ups counted."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .errors import BadSpf
from .sentence import Sentence as _

#: RFC 7208 4.6.4: a receiver that would need more gives up with permerror.
MAX_LOOKUPS = 10
_COSTLY = ("include", "a", "mx", "ptr", "exists")
_MODIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*=")
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z0-9]+)(?:([:/])(.*))?")
#: From the softest answer for strangers to the hardest.
_QUALIFIERS = ("+", "?", "~", "-")


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a record: a mechanism (qualifier, name, value) or a modifier ("=", name, value)."""

    qualifier: str
    name: str
    value: str
    text: str

    @property
    def means(self) -> tuple[str, str, str]:
        """What makes two terms the same."""
        return self.qualifier, self.name, self.value.lower()


def is_spf(text: str) -> bool:
    """Whether a TXT record is SPF (RFC 7208 4.5): the version alone or followed by a space."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def parse(text: str) -> list[Term]:
    """The terms of a record in order. Raises BadSpf for what a receiver would answer with permerror."""
    terms = []
    for word in text.split()[1:]:
        if _MODIFIER.match(word):
            name, _equals, value = word.partition("=")
            terms.append(Term("=", name.lower(), value, word))
            continue
        match = _MECHANISM.fullmatch(word)
        if not match or not _is_mechanism(match[2].lower(), match[3] or "", match[4] or ""):
            said = _(
                '%(word)r in "%(record)s" is not SPF (RFC 7208 5). Correct the record first.', word=word, record=text
            )
            raise BadSpf(said)
        value = (match[4] or "") if match[3] != "/" else f"/{match[4]}"
        terms.append(Term(match[1] or "+", match[2].lower(), value, word))
    for name in ("redirect", "exp"):
        if sum(term.qualifier == "=" and term.name == name for term in terms) > 1:
            said = _(
                '"%(record)s" has %(name)s= twice (RFC 7208 6). Correct the record first.', record=text, name=name
            )
            raise BadSpf(said)
    return terms


def _is_mechanism(name: str, mark: str, value: str) -> bool:
    if name == "all":
        return not mark
    if name in ("include", "exists"):
        return mark == ":" and bool(value)
    if name in ("a", "mx", "ptr"):
        return not mark or bool(value)
    if name in ("ip4", "ip6"):
        try:
            return mark == ":" and ipaddress.ip_network(value, strict=False).version == int(name[-1])
        except ValueError:
            return False
    return False


def merge(old: Iterable[str], wanted: str) -> str:
    """One record that lets through what the `old` records (0, 1 or more) and `wanted` let through.

    What is new stands before `all` or `redirect=`, which keep the last word. Where the old records end
    differently, the softest end wins: no mail that one of them let through gets refused. An old record that
    holds all of `wanted` is given back as it is. Raises BadSpf.
    """
    old = list(old)
    if not old:
        return wanted
    pieces = [parse(text) for text in old]
    needed = [term for term in parse(wanted) if term.name != "all"]
    live = [term for piece in pieces for term in _before_all(piece)]
    for term in needed:
        against = [t for t in live if (t.name, t.value.lower()) == (term.name, term.value.lower())]
        if against and term.means not in {t.means for t in against}:
            raise BadSpf(f'"{against[0].text}" contradicts "{term.text}", which SendGrid needs. Remove it first.')
    missing = [term for term in needed if term.means not in {t.means for t in live}]
    if len(old) == 1 and not missing:
        return old[0]
    mechanisms: dict[tuple[str, str, str], str] = {}
    for term in [t for t in live if t.qualifier != "="] + missing:
        mechanisms.setdefault(term.means, term.text)
    modifiers = {t.means: t.text for piece in pieces for t in piece if t.qualifier == "="}
    ends = [t for piece in pieces for t in piece if t.name == "all" and t.qualifier != "="]
    softest = [min(ends, key=lambda t: _QUALIFIERS.index(t.qualifier)).text] if ends else []
    text = " ".join(["v=spf1", *mechanisms.values(), *softest, *modifiers.values()])
    if any(t.name == "redirect" for t in parse(text)) and len(old) > 1:
        raise BadSpf(f"{len(old)} SPF records, one with redirect=, cannot be made one. Leave a single record first.")
    return text


def _before_all(terms: list[Term]) -> list[Term]:
    """What a receiver evaluates: nothing after `all` counts, bar modifiers (RFC 7208 5.1)."""
    for place, term in enumerate(terms):
        if term.name == "all" and term.qualifier != "=":
            return terms[:place] + [t for t in terms[place:] if t.qualifier == "="]
    return terms


def lookups(text: str, txt: Callable[[str], list[str]], *, most: int = 30) -> list[tuple[str, int]]:
    """The terms of a record that make a receiver ask DNS, each with all look-ups below it (RFC 7208 4.6.4).

    `txt` answers with the TXT records of a name, [] where there are none. Counting ends near `most`, so
    that records which include each other do not go on for ever. Raises BadSpf where a receiver would get
    permerror: an included record that is missing, doubled or not valid.
    """
    found: list[tuple[str, int]] = []
    total = 0
    terms = parse(text)
    ended = any(term.name == "all" and term.qualifier != "=" for term in terms)
    for term in _before_all(terms):
        redirect = term.qualifier == "=" and term.name == "redirect" and not ended
        if not redirect and (term.qualifier == "=" or term.name not in _COSTLY):
            continue
        cost = 1
        if (redirect or term.name == "include") and "%" not in term.value and total < most:
            cost += sum(n for _, n in lookups(_record_at(term, txt), txt, most=most - total - 1))
        total += cost
        found.append((term.text, cost))
    return found


def _record_at(term: Term, txt: Callable[[str], list[str]]) -> str:
    records = [text for text in txt(term.value.rstrip(".").lower()) if is_spf(text)]
    if len(records) != 1:
        values = {"term": term.text, "name": term.value, "count": len(records)}
        if records:
            raise BadSpf(_("%(term)s: %(name)s has %(count)d SPF records, so every check fails (RFC 7208).", **values))
        raise BadSpf(_("%(term)s: %(name)s has no SPF records, so every check fails (RFC 7208).", **values))
    return records[0]
