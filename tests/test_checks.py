"""manage.py check and check --deploy: every setting has a check with an id and a hint."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from dbmail.checks import check_deployment, check_settings
from dbmail.conf import config

from .delivery.test_dkim import PEM

pytestmark = pytest.mark.django_db
SMTP = "dbmail.delivery.backends.CustomSMTPBackend"
A_DICT = {"not": "callable"}


def fails():
    """What is a function where a class is needed."""


@pytest.fixture(autouse=True)
def sound(settings, use_mailer):
    """A project in order."""
    settings.DEFAULT_FROM_EMAIL = "Office <office@school.org>"
    settings.DBMAIL = {"SITE_URL": "https://school.org", "BOUNCES": "bounces@school.org"}
    use_mailer(SMTP, host="localhost", port=25)


def ids(messages):
    assert all(message.hint for message in messages)
    return [message.id.removeprefix("dbmail.") for message in messages]


def test_a_project_in_order_is_told_nothing():
    assert check_settings() == [] and check_deployment() == []


def test_django_runs_them(settings):
    settings.DBMAIL = {"CONNECTIONS": 0}
    with pytest.raises(SystemCheckError, match=r"dbmail\.E001"):
        call_command("check")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"CONNECTIONS": 0, "IN_DOUBT": "perhaps", "NO_SUCH": 1}, ["E001", "E001", "E001"]),
        ([], ["E001"]),
        ({"DNS": {"SENDS_FROM": ["here"]}}, ["E001"]),
        ({"CATEGORIES": {"All mail": "x"}}, ["E001"]),
        ({"DKIM": {"SELECTOR": "x"}}, ["E001"]),
        ({"DKIM": {"SELECTOR": "x", "KEY": 3}}, ["E001"]),
        ({"CONTACTS": "no.such.module"}, ["E002"]),
        ({"ROSTERS": "tests.test_checks.A_DICT", "UNSUBSCRIBE_HOOK": "no.dots"}, ["E002", "E002"]),
        ({"HANDLERS": ["no.such.Handler", "tests.test_checks.fails"]}, ["E002", "E002"]),
        ({"TEMPLATE_LIBRARIES": ["no.such", "django.templatetags"]}, ["E002", "E002"]),
        ({"AUDIENCE_FIELDS": ["no_such", "date_joined", "password"]}, ["E006", "E006"]),
        ({"LEASE": 5, "CONTACTS": "no.such", "AUDIENCE_FIELDS": ["no_such"]}, ["E001", "E002", "E006"]),
        ({"LEASE": 5, "DKIM": {"SELECTOR": "x", "KEY": "/no"}, "SENDGRID_WEBHOOK_KEY": "x"}, ["E001", "E003", "E004"]),
        ({"DKIM": {"SELECTOR": "x", "KEY": "/no/such/key.pem"}}, ["E003"]),
        ({"SENDGRID_WEBHOOK_KEY": "abc"}, ["E004"]),
        ({"LAYOUTS": {"news": ("News",)}}, ["E001"]),
        ({"TEMPLATE_RELATIONS": "outreach.Program.studentinfo_set"}, ["E001"]),
        (
            {"TEMPLATE_RELATIONS": ["outreach.Program.studentinfos", "outreach.Programme.studentinfo_set"]},
            ["E007"] * 2,
        ),
        (
            {"TEMPLATE_RELATIONS": ["outreach.Program.niceName", "studentinfo_set", "outreach.Section.emailcode"]},
            ["E007"] * 3,
        ),
        ({"TEMPLATE_RELATIONS": ["auth.User.groups", "auth.User.dbmail_mails", "auth.User.tokens"]}, ["E007"] * 3),
        ({"TEMPLATE_CLOSED": ["payrol", "outreach.Programme"]}, ["E007"] * 2),
        (
            {"TEMPLATE_RELATIONS": ["outreach.Program.studentinfo_set"], "TEMPLATE_CLOSED": ["outreach.StudentInfo"]},
            ["E007"],
        ),
        ({"TEMPLATE_RELATIONS": ["outreach.program.studentinfo_set", "auth.User.sections"]}, []),
        ({"TEMPLATE_CLOSED": ["outreach", "outreach.Program"]}, []),
        ({"LAYOUTS": {"a": "no/such.html", "b": "dbmail/message.txt", "news": "mail/newsletter.html"}}, ["E005"] * 2),
    ],
    ids=str,
)
def test_what_cannot_work_is_an_error_and_each_mistake_is_told(settings, given, found):
    settings.DBMAIL = given
    assert ids(check_settings()) == found
    check_deployment()


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"LEASE": 600}, "Write timedelta(seconds=600)"),
        ({"CONTACTS": "testproject.outreach.contacts.contact"}, 'Write "testproject.outreach.contacts.contacts"'),
        ({"ROSTERS": "testproject.outreach.roster.roster"}, 'Write "testproject.outreach.rosters.roster"'),
        ({"USER_ALIASES": "testprojekt.outreach.rosters.has_alias"}, 'Write "testproject.outreach.rosters.has_alias"'),
        ({"UNSUBSCRIBE_HOOK": "tests.test_checks.A_DICT"}, "Give the dotted path: the module, a dot, and the name in"),
        ({"HANDLERS": ["dbmail.incoming.receivers.PlainLst"]}, 'Write "dbmail.incoming.receivers.PlainList"'),
        ({"HANDLERS": ["tests.test_checks.fails"]}, "Give the dotted path of a class that extends BaseHandler."),
        ({"TEMPLATE_LIBRARIES": ["django.templatetags.i18"]}, 'Write "django.templatetags.i18n"'),
        ({"TEMPLATE_LIBRARIES": ["i18n"]}, "Give the dotted path of the module that has `register` in it."),
        ({"AUDIENCE_FIELDS": ["date_joind"]}, 'Write "date_joined"'),
        ({"AUDIENCE_FIELDS": ["studentinfo__programm"]}, 'Write "studentinfo__program"'),
        ({"AUDIENCE_FIELDS": ["password"]}, "Name a field of the user, or of a table that it leads to: group__name."),
        ({"CANARY": 100}, 'Write "BREAKER": {"CANARY": 100}'),
    ],
    ids=str,
)
def test_the_hint_says_what_to_write(settings, given, hint):
    settings.DBMAIL = given
    (message,) = check_settings()
    assert message.hint.startswith(hint)


def test_a_module_that_fails_while_it_is_imported_is_told_and_breaks_off_no_check(settings, tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    settings.DBMAIL = {
        "CONTACTS": "broken_module.contacts",
        "HANDLERS": ["broken_module.Handler"],
        "TEMPLATE_LIBRARIES": ["broken_module"],
    }
    found = check_settings()
    assert ids(found) == ["E002"] * 3
    assert all("division by zero" in message.msg for message in found)


def test_nothing_is_imported_before_somebody_needs_it(settings):
    settings.DBMAIL = {"CONTACTS": "no.such.contacts", "TEMPLATE_LIBRARIES": ["no.such"], "AUDIENCE_FIELDS": ["none"]}
    assert config().contacts == "no.such.contacts"


def test_a_wrong_default_from_email_is_told_once(settings):
    settings.DEFAULT_FROM_EMAIL = "nobody"
    settings.DBMAIL = {"CONNECTIONS": 2, "LEASE": timedelta(hours=1)}
    assert ids(check_settings()) == ["E001"]
    assert check_deployment() == []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"SITE_URL": ""}, ["W001"]),
        ({"SITE_URL": "http://school.org"}, ["W002"]),
        ({"BOUNCES": ""}, ["W004"]),
        ({"BOUNCES": "bounces@school.test"}, ["W004"]),
        ({"FROM_DOMAINS": ["news.school.org"]}, ["W005"]),
        ({"FROM_DOMAINS": ["school.org", ".school.example"]}, ["W005"]),
        ({"LEASE": timedelta(minutes=3)}, ["W007"]),
        ({"RETRY": {"TRIES": 12}}, ["W011"]),
    ],
    ids=str,
)
def test_what_should_not_be_deployed_is_a_warning(settings, given, found):
    settings.DBMAIL = {**settings.DBMAIL, **given}
    assert check_settings() == []
    assert ids(check_deployment()) == found


def test_the_default_of_django_is_no_sender(settings):
    settings.DEFAULT_FROM_EMAIL = "webmaster@localhost"
    settings.DBMAIL = {}
    assert ids(check_deployment()) == ["W001", "W004", "W005"]


def test_urls_that_are_not_included_are_told(settings):
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert ids(check_deployment()) == ["W003"]


@pytest.mark.parametrize("name", ["console", "locmem", "dummy"])
def test_a_backend_that_sends_nothing_is_told(use_mailer, name):
    use_mailer(f"django.core.mail.backends.{name}.EmailBackend")
    assert ids(check_deployment()) == ["W006"]


def test_a_relay_elsewhere_needs_tls(use_mailer):
    use_mailer(SMTP, host="smtp.school.org", port=25)
    assert ids(check_deployment()) == ["W008"]
    use_mailer(SMTP, host="smtp.school.org", port=587, use_tls=True)
    assert check_deployment() == []


def test_a_dkim_key_that_others_read_or_that_signs_nothing_is_told(settings, use_mailer, tmp_path):
    key = tmp_path / "key.pem"
    key.write_bytes(PEM)
    key.chmod(0o644)
    settings.DBMAIL = {**settings.DBMAIL, "DKIM": {"SELECTOR": "x", "KEY": str(key)}}
    assert check_settings() == [] and ids(check_deployment()) == ["W010"]
    key.chmod(0o640)
    assert check_deployment() == []
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 4}
    use_mailer("anymail.backends.test.EmailBackend")
    assert ids(check_deployment()) == ["W009", "W012"]


def test_a_relation_that_is_misspelt_is_told_with_those_there_are(settings):
    settings.DBMAIL = {"TEMPLATE_RELATIONS": ["outreach.Program.students"]}
    assert "outreach.Program has: classsubject_set, studentinfo_set." in check_settings()[0].msg
    settings.DBMAIL = {"TEMPLATE_RELATIONS": ["auth.User.groups"]}
    assert "“groups” leads to the table auth.Group, which is closed" in check_settings()[0].msg
