"""The rows of EmailList: those that a site begins with, and what is wrong with one, for whoever is typing it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from ..addresses import domain_matches, parse_mailbox
from ..conf import config
from ..exceptions import AddressError, SettingError
from .match import LIMIT, BadPattern, SlowPattern, match
from .receivers import handler_class

if TYPE_CHECKING:
    from ..models import EmailList


@dataclass(frozen=True, slots=True)
class DefaultRow:
    """A row of EmailList as a new installation gets it; its fields are the model's."""

    seq: int
    regex: str
    handler: str
    description: str


#: The rows of a new installation: the lists and addresses that a school has.
DEFAULT_ROWS = (
    DefaultRow(10, r"^\w(\d+)s(\d+)-(class|teachers|students)$", "SectionList", "Individual sections of a class"),
    DefaultRow(20, r"^\w(\d+)-(class|teachers|students)$", "ClassList", "Email class rosters"),
    DefaultRow(30, r"^(.*)$", "PlainList", "Manual email list redirects"),
    DefaultRow(40, r"^(.*)$", "UserEmail", "Addresses of teachers and staff"),
)
#: Local parts on which an expression that backtracks too much takes very long.
_HARD = (*(character * 63 + "!" for character in "a1-._"), "a1" * 31 + "!", "aA1-" * 15 + "!")


def errors_of(row: "EmailList") -> dict[str, str]:
    """Why `row` may not be stored: a message by field name; empty if it may.

    Tries the expression on hard inputs, so it may take as long as one match may (match.LIMIT, in seconds).
    """
    errors: dict[str, str] = {}
    regex = _regex_error(row.regex)
    if regex:
        errors["regex"] = regex
    try:
        handler_class(row.handler)
    except SettingError as error:
        errors["handler"] = str(error)
    sender = _from_error(row.from_email)
    if sender:
        errors["from_email"] = sender
    if not row.subject_prefix.isprintable():
        errors["subject_prefix"] = _("A prefix is one line without control characters.")
    return errors


def _regex_error(regex: str) -> str:
    try:
        for local_part in _HARD:
            match(regex, local_part, "example.org")
    except BadPattern as error:
        return str(error)
    except SlowPattern:
        said = _(
            "This regular expression takes more than %(limit)g s for a short address; "
            "a repetition inside a repetition, as in (a+)+, does that."
        )
        return said % {"limit": LIMIT}
    return ""


def _from_error(text: str) -> str:
    if not text:
        return ""
    try:
        domain = parse_mailbox(text).domain
    except AddressError as error:
        return str(error)
    if not any(domain_matches(domain, allowed) for allowed in config().from_domains):
        return _("%(domain)s is none of DBMAIL[FROM_DOMAINS]; other domains' servers will refuse such mail.") % {
            "domain": domain
        }
    return ""


def unreachable(rows: Iterable["EmailList"]) -> dict[int, str]:
    """Why a row can never take a message, by primary key. `rows` come in the order in which they are asked."""
    seen: dict[tuple[str, str], EmailList] = {}
    found: dict[int, str] = {}
    for row in rows:
        key = (row.regex, row.handler)
        if key in seen:
            found[row.pk] = _("Row %(seq)s before it has the same expression and handler.") % {"seq": seen[key].seq}
        elif "@" not in row.regex and row.regex.strip() != row.regex:
            found[row.pk] = _("No address begins or ends with white space.")
        else:
            seen[key] = row
    return found
