"""Settings of the project that the tests and the demo run in; every value can come from the environment."""

from datetime import timedelta
from pathlib import Path

import django
import environ

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = env("SECRET_KEY", default="for-development-only")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "testserver"])
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Readers and a writer at the same time; a commit that a power cut can undo, but never half of one.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "dbmail",
    "testproject.outreach",
]
if env.bool("EDITOR", default=False):
    INSTALLED_APPS.append("django_ace")
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "testproject.csp.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "testproject.urls"
LOGIN_URL = "admin:login"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LANGUAGE_CODE = env("LANGUAGE_CODE", default="en-us")
TIME_ZONE = env("TIME_ZONE", default="UTC")

DEFAULT_FROM_EMAIL = "Outreach <info@example.org>"
_SMTP_HOST = env("SMTP_HOST", default="127.0.0.1")
_SMTP_PORT = env.int("SMTP_PORT", default=25)
if django.VERSION >= (6, 1):
    MAILERS = {
        "default": {
            "BACKEND": "dbmail.delivery.backends.CustomSMTPBackend",
            "OPTIONS": {"host": _SMTP_HOST, "port": _SMTP_PORT},
        }
    }
else:
    EMAIL_BACKEND = "dbmail.delivery.backends.CustomSMTPBackend"
    EMAIL_HOST, EMAIL_PORT = _SMTP_HOST, _SMTP_PORT
DBMAIL = {
    "SITE_URL": env("SITE_URL", default="https://example.org"),
    "BOUNCES": "bounces@example.org",
    "CONTACTS": "testproject.outreach.contacts.contacts",
    "ROSTERS": "testproject.outreach.rosters.roster",
    "USER_ALIASES": "testproject.outreach.rosters.has_alias",
    "LAYOUTS": {"newsletter": ("Newsletter", "mail/newsletter.html")},
    "INCOMING": {
        "AUTHSERV_IDS": env.list("AUTHSERV_IDS", default=[]),
        "MAX_SIZE": env.int("INCOMING_MAX_SIZE", default=30_000_000),
        "SEND_SECONDS": env.float("INCOMING_SEND_SECONDS", default=10.0),
    },
    "DNS": {"RESOLVERS": env.list("RESOLVERS", default=[])},
    "CONNECTIONS": env.int("CONNECTIONS", default=1),
    "IN_DOUBT": env("IN_DOUBT", default="resend"),
    "RETRY": {"WAIT": timedelta(seconds=env.float("RETRY_WAIT", default=1200))},
    "LEASE": timedelta(seconds=env.float("LEASE", default=600)),
    "RATES": env.json("RATES", default={}),
}

# Only read where Celery runs. A worker takes no more than it works on: the rest is for others.
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="redis://127.0.0.1:6379/0")
CELERY_TASK_DEFAULT_QUEUE = env("CELERY_QUEUE", default="dbmail")
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BEAT_SCHEDULE = {"dbmail": {"task": "dbmail.dispatch", "schedule": env.float("DISPATCH_SECONDS", default=15)}}
