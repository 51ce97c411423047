"""The German translation: complete, compiled, and what the screens say."""

import gettext
import re
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import translation

import dbmail

from ..builders import a_request

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
