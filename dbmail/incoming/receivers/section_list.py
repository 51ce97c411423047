"""Lists of one section of a class."""

from .class_list import ClassList


class SectionList(ClassList):
    """s123s2-students and so on. Groups of the row: (code, section, kind) or by name."""

    def process(  # type: ignore[override]  # another order of groups
        self, user: str, code: str | None = None, section: str | None = None, kind: str | None = None
    ) -> None:
        if section is not None:
            self.use_roster(code, section, kind or user.rpartition("-")[2])
