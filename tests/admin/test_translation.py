"""The German translation: complete, compiled, and what the screens say."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import translation

import dbmail

from ..builders import a_request

_TRANSLATES = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
FOLDER = Path(dbmail.__file__).parent / "locale" / "de" / "LC_MESSAGES"


def test_every_sentence_is_translated_and_compiled():
    compiled = gettext.GNUTranslations((FOLDER / "django.mo").open("rb"))
    source = (FOLDER / "django.po").read_text()
    assert 'msgstr ""\n\n' not in source and "fuzzy" not in source
    single = re.findall(r'^msgid "(.+)"$\nmsgstr', source, re.M)
    assert len(single) > 300
    for text in single:
        text = text.replace('\\"', '"')
        assert text in compiled._catalog, text  # type: ignore[attr-defined]


def test_every_sentence_of_the_code_is_translated():
    known = gettext.GNUTranslations((FOLDER / "django.mo").open("rb"))._catalog  # type: ignore[attr-defined]
    missing = []
    for path in Path(dbmail.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TRANSLATES:
                text = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
                if text and text not in known and (text, 0) not in known:
                    missing.append(f"{path.name}: {text}")
    assert missing == []


@pytest.mark.django_db
def test_mistakes_and_fields_are_told_in_german(admin_client, settings):
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        draft = a_request(state="draft", msgtext="{{ user.frist_name }}\n{{ nothing }}", subject="{% include 'x' %}")
        seen = admin_client.post(reverse("admin:dbmail_messagerequest_preview", args=[draft.pk])).json()
        form = admin_client.get(reverse("admin:dbmail_emaillist_add")).content.decode()
    said = [finding["message"] for finding in seen["findings"]]
    assert "Zeile 1: Ein Empfänger hat kein „frist_name“." in said
    assert any(text.startswith("Zeile 2: Die Variable „nothing“ gibt es nicht.") for text in said)
    assert "Zeile 1: {% include %} ist nicht erlaubt: Mailvorlagen binden keine Dateien ein." in said
    assert "Regulärer Ausdruck" in form and "Kleinere kommen früher" in form


@pytest.mark.django_db
def test_the_screens_speak_german(admin_client, settings):
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        draft = a_request(state="draft")
        page = admin_client.get(reverse("admin:dbmail_messagerequest_change", args=[draft.pk])).content.decode()
        seen = admin_client.post(reverse("admin:dbmail_messagerequest_preview", args=[draft.pk])).json()
        public = admin_client.get(reverse("dbmail:unsubscribe", args=["x"])).content.decode()
    assert "Wer" in page and "Prüfen und senden" in page and "%s Personen" in page
    assert seen["headers"]
    assert "Dieser Link funktioniert nicht" in public
