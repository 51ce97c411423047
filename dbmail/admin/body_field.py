"""The field for a body: a plain textarea, or an editor with colours where django-ace is installed."""

from django import forms
from django.apps import apps
from django.utils.safestring import SafeString

_ATTRIBUTES = {"id": "id_msgtext", "dir": "auto", "rows": 16, "spellcheck": "true", "aria-describedby": "msgtext-help"}


def body_field(value: str) -> tuple[SafeString, forms.Media]:
    """The field with `value` in it, and the files that it needs."""
    if not apps.is_installed("django_ace"):
        return forms.Textarea().render("msgtext", value, _ATTRIBUTES), forms.Media()
    from django_ace import AceWidget

    widget = AceWidget(
        mode="django",
        theme="github_light_default",
        wordwrap=True,
        width=None,
        height=None,
        showprintmargin=False,
        toolbar=False,
        behaviours=False,  # it would write quotes, braces and end tags by itself
        useworker=False,  # made of a blob:, which a strict policy forbids
        useStrictCSP=True,
    )
    media = forms.Media(
        css={"screen": ["django_ace/ace/css/theme/github_dark.css"]},
        js=[
            "django_ace/ace/ace.js",
            "django_ace/widget.js",
            "django_ace/ace/theme-github_dark.js",
            "dbmail/editor.js",
        ],
    )
    return widget.render("msgtext", value, _ATTRIBUTES), widget.media + media
