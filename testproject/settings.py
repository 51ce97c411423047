"""Settings of the project that the tests run in; every value can come from the environment."""

from pathlib import Path

import environ

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = env("SECRET_KEY", default="for-development-only")
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "dbmail", "testproject.outreach"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DEFAULT_FROM_EMAIL = "Outreach <info@example.org>"
DBMAIL = {"SITE_URL": "https://example.org", "BOUNCES": "bounces@example.org"}
