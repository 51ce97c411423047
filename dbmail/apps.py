from django.apps import AppConfig, apps


class DbmailConfig(AppConfig):
    name = "dbmail"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401 - it registers them

        if apps.is_installed("anymail"):
            from .feedback.anymail import connect

            connect()
