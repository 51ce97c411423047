"""A user model unlike Django's: another key, another name for its address, no first name,
no columns for who is active or of the staff."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class MemberManager(BaseUserManager["Member"]):
    def create_superuser(
        self, handle: str, contact_email: str, password: str | None = None, **fields: Any
    ) -> "Member":
        member = self.model(handle=handle, contact_email=contact_email, is_superuser=True, **fields)
        member.set_password(password)
        member.save()
        return member


class Member(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handle = models.CharField(max_length=50, unique=True)
    contact_email = models.EmailField(blank=True)
    full_name = models.CharField(max_length=200, blank=True)

    objects = MemberManager()
    USERNAME_FIELD = "handle"
    EMAIL_FIELD = "contact_email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["contact_email"]

    def __str__(self) -> str:
        return self.handle

    @property
    def is_staff(self) -> bool:
        return self.is_superuser

    @is_staff.setter
    def is_staff(self, value: bool) -> None:
        self.is_superuser = value

    def get_full_name(self) -> str:
        return self.full_name
