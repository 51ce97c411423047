"""Lists of a class: its students, its teachers, or both, as the host project's roster function tells."""

import logging

from ...conf import config, load
from .base import BaseHandler

logger = logging.getLogger(__name__)

KINDS = ("students", "teachers", "class")


class ClassList(BaseHandler):
    """s123-students, s123-teachers, s123-class. Groups of the row: (code, kind) or by name."""

    def process(  # type: ignore[override]  # the groups that it knows, so that others are found out before
        self, user: str, code: str | None = None, kind: str | None = None, *, section: str | None = None
    ) -> None:
        # With one group only, ^(.+)-students@, the kind is the local part's suffix.
        self.use_roster(code, section, kind or user.rpartition("-")[2])

    def use_roster(self, code: str | None, section: str | None, kind: str) -> None:
        """Take the roster of this class or section, if there is one and it has anybody."""
        kind = kind.strip().lower()
        if not code or kind not in KINDS or not config().rosters:
            return
        number = None
        if section is not None:
            if not section.isdecimal():
                return
            number = int(section)
        roster = load("ROSTERS", config().rosters)
        found = roster(code, number, kind)
        if not found or not found.get("recipients"):
            return
        self.recipients = list(found["recipients"])
        self.emailcode = found.get("emailcode") or ""
        if kind != "teachers":
            self.who_may_post = "staff"
            self.hide_recipients = True
        teachers = found if kind == "teachers" else roster(code, number, "teachers")
        self.owners = [address for address, _name in (teachers or {}).get("recipients", ())]
        self.send = True
