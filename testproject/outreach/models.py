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
