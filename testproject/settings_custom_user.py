"""The same project with a user model of its own."""

from .settings import *  # noqa: F403 - all of them, then what differs
from .settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "testproject.accounts"]
AUTH_USER_MODEL = "accounts.Member"
if not DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": "test_custom_user"}  # the other tests' database may be in use
