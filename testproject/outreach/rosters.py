"""Who is on the lists of a class (DBMAIL["ROSTERS"]), and who has an address at the programme's domain."""

from typing import Any

from django.contrib.auth import get_user_model

from .models import ClassSubject


def roster(code: str, section: int | None, kind: str) -> dict[str, Any] | None:
    """Directors, and the teachers or students (or both: "class") of class `code`, 123 or S123.

    None if there is no such class, or it has no such section.
    """
    digits = code if code.isdecimal() else code[1:]
    if not digits.isdecimal() or len(digits) > 9:
        return None
    subject = ClassSubject.objects.select_related("program").filter(pk=int(digits)).first()
    if subject is None or (not code.isdecimal() and code[0].upper() != subject.category):
        return None
    sections = subject.sections.all() if section is None else subject.sections.filter(number=section)
    if section is not None and not sections:
        return None
    recipients = [(subject.program.director_email, f"{subject.program.niceName} Directors")]
    if kind in ("teachers", "class"):
        recipients += _mailboxes(subject.teachers.all())
    if kind in ("students", "class"):
        students = get_user_model().objects.filter(sections__in=sections, is_active=True).distinct()
        recipients += _mailboxes(students)
    emailcode = subject.emailcode() if section is None else f"{subject.emailcode()}s{section}"
    return {"emailcode": emailcode, "recipients": recipients}


def has_alias(user: Any) -> bool:
    """Staff and teachers: username@ is forwarded to them."""
    return user.is_staff or user.taught_classes.exists()


def _mailboxes(users: Any) -> list[tuple[str, str]]:
    return [(user.email, user.get_full_name()) for user in users.order_by("pk") if user.email]
