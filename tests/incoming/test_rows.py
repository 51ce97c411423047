"""What a person who types a row is told."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import override_settings

from dbmail.incoming.receivers import BaseHandler, ClassList, handler_class
from dbmail.incoming.rows import DEFAULT_ROWS, unreachable
from dbmail.models import EmailList

pytestmark = pytest.mark.django_db


class Parents(BaseHandler):
    pass


def row(**fields):
    return EmailList(**{"regex": "^a$", "handler": "PlainList", "seq": 1, **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"regex": "("}, "not a regular expression"),
        ({"regex": r"^(?!b)(a+)+$"}, "more than 1 s"),
        ({"handler": "Nobody"}, "There is no handler 'Nobody'. Known: ClassList"),
        ({"handler": "no.such.Handler"}, "cannot be imported"),
        ({"handler": "os.path.join"}, "not a subclass"),
        ({"from_email": "nobody"}, "not a valid e-mail address"),
        ({"from_email": "ann@gmail.com"}, "FROM_DOMAINS"),
        ({"subject_prefix": "a\nBcc: b@example.org"}, "one line"),
    ],
)
def test_a_row_that_cannot_work_is_refused_with_the_reason(fields, words):
    with pytest.raises(ValidationError, match=words.replace("(", r"\(").replace(".", r"\.")):
        row(**fields).full_clean()


def test_handlers_are_found_by_name_by_dotted_path_and_by_the_projects_setting():
    assert handler_class("class_mailman") is ClassList
    assert handler_class(f"{__name__}.Parents") is Parents
    with override_settings(DBMAIL={"HANDLERS": [f"{__name__}.Parents"]}):
        assert handler_class("Parents") is Parents
        row(handler="Parents").full_clean()


def test_rows_that_can_never_have_an_effect_are_told():
    EmailList.objects.all().delete()
    first = EmailList.objects.create(regex="^a$", handler="PlainList")
    second = EmailList.objects.create(regex="^a$", handler="PlainList")
    other = EmailList.objects.create(regex="^a$", handler="UserEmail")
    found = unreachable([first, second, other])
    assert list(found) == [second.pk]
    assert "Row 0" in found[second.pk]


def test_a_new_site_has_the_default_rows():
    have = [(row.seq, row.regex, row.handler, row.description) for row in EmailList.objects.all()]
    assert have == [(row.seq, row.regex, row.handler, row.description) for row in DEFAULT_ROWS]


def test_populating_leaves_rows_alone_unless_it_is_forced(capsys):
    EmailList.objects.exclude(handler="UserEmail").delete()
    call_command("populate_emaillists")
    assert EmailList.objects.count() == 1
    call_command("populate_emaillists", "--force")
    assert EmailList.objects.count() == len(DEFAULT_ROWS)
    EmailList.objects.all().delete()
    call_command("populate_emaillists")
    assert [row.handler for row in EmailList.objects.all()] == ["SectionList", "ClassList", "PlainList", "UserEmail"]
