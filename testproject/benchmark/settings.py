"""The test project with the peers beside dbmail, and with Django's own SMTP backend for them."""

from ..settings import *  # noqa: F403 - all of them, then what differs
from ..settings import INSTALLED_APPS, TEMPLATES, env

CONTESTANT = env("CONTESTANT", default="dbmail")
_PEERS = {"post_office": "post_office.EmailBackend", "mailer": "mailer.backend.DbBackend"}
if CONTESTANT in _PEERS:
    INSTALLED_APPS = [*INSTALLED_APPS, CONTESTANT]
    EMAIL_BACKEND = _PEERS[CONTESTANT]
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", env.int("SMTP_PORT", default=25)
_SMTP = "django.core.mail.backends.smtp.EmailBackend"
POST_OFFICE = {"BACKENDS": {"default": _SMTP}, "BATCH_SIZE": 1000, "THREADS_PER_PROCESS": 2, "MAX_RETRIES": 2}
MAILER_EMAIL_BACKEND = _SMTP
MAILER_EMPTY_QUEUE_SLEEP = 0
if CONTESTANT == "post_office":
    TEMPLATES = [
        *TEMPLATES,
        {
            "BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates",
            "APP_DIRS": True,
            "DIRS": [],
            "OPTIONS": {"context_processors": []},
        },
    ]
LOGGING = {"version": 1, "disable_existing_loggers": True}
