"""The rows of EmailList that a site begins with: sections, classes, redirects, people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DefaultRow:
    seq: int
    regex: str
    handler: str
    description: str


DEFAULT_ROWS = (
    DefaultRow(10, r"^\w(\d+)s(\d+)-(class|teachers|students)$", "SectionList", "Individual sections of a class"),
    DefaultRow(20, r"^\w(\d+)-(class|teachers|students)$", "ClassList", "Email class rosters"),
    DefaultRow(30, r"^(.*)$", "PlainList", "Manual email list redirects"),
    DefaultRow(40, r"^(.*)$", "UserEmail", "Addresses of teachers and staff"),
)
