from django.apps import AppConfig


class DbmailConfig(AppConfig):
    name = "dbmail"
    default_auto_field = "django.db.models.BigAutoField"
