"""An outreach programme and the students who take part in it."""

from django.conf import settings
from django.db import models


class Program(models.Model):
    niceName = models.CharField("name", max_length=100)
    startdate = models.DateField()
    director_email = models.EmailField()

    def __str__(self) -> str:
        return self.niceName


class StudentInfo(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    program = models.ForeignKey(Program, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"{self.user} in {self.program}"


class Profile(models.Model):
    """Whom to write to besides the student."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    guardian_name = models.CharField(max_length=200, blank=True)
    guardian_email = models.EmailField(blank=True)
    emergency_name = models.CharField(max_length=200, blank=True)
    emergency_email = models.EmailField(blank=True)

    def __str__(self) -> str:
        return f"Profile of {self.user}"


class ClassSubject(models.Model):
    """A class of a programme; its code, S123, is a letter and its key."""

    title = models.CharField(max_length=100)
    program = models.ForeignKey(Program, on_delete=models.CASCADE)
    category = models.CharField(max_length=1, default="S")
    teachers = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="taught_classes", blank=True)

    def __str__(self) -> str:
        return f"{self.emailcode()}: {self.title}"

    def emailcode(self) -> str:
        return f"{self.category}{self.pk}"


class Section(models.Model):
    """One run of a class, with its own students."""

    parent_class = models.ForeignKey(ClassSubject, on_delete=models.CASCADE, related_name="sections")
    number = models.PositiveIntegerField(default=1)
    students = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="sections", blank=True)

    def __str__(self) -> str:
        return self.emailcode()

    def emailcode(self) -> str:
        return f"{self.parent_class.emailcode()}s{self.number}"
