"""No text, of a mail or of a page, can make dbmail do anything: every method of every table is tried."""

from inspect import iscoroutinefunction

import pytest
from django.apps import apps
from django.core import mail, serializers
from django.db import connection, models, transaction
from django.template import Context, Engine

from dbmail.exceptions import RenderFailed, TemplateRejected
from dbmail.models import EmailRequest, MessageRequest, TextOfEmail
from dbmail.rendering.engine import compile_template
from dbmail.rendering.variables import ActionHandler

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
TABLES = list(apps.get_app_config("dbmail").get_models())
#: What Django itself wrote, and marks where it must not be called.
DJANGOS = {*dir(models.Model), *dir(models.QuerySet), *dir(models.Manager)}


@pytest.fixture
def rows(use_mailer):
    """A row of every table, in a state in which its verbs would do something."""
    use_mailer("django.core.mail.backends.locmem.EmailBackend")
    ann = a_user("ann")
    broadcast = a_request(variables={"n": 1})
    broadcast.process()
    TextOfEmail.objects.update(created_at="2020-01-01T00:00Z", msgtext="")
    MessageRequest.objects.update(created_at="2020-01-01T00:00Z", state="processing", processed=False)
    EmailRequest.objects.all().delete()
    found = {}
    for table in TABLES:
        found[table] = table.objects.first() or table(**{f.attname: sample(f, ann) for f in table._meta.fields})
        if found[table]._state.adding:
            found[table].save()
    return found


def sample(field, ann):
    if field.is_relation:
        if field.related_model is type(ann):
            return ann.pk
        first = field.related_model.objects.first()
        return first and first.pk
    if field.has_default() or field.null or field.primary_key:
        return field.get_default()
    by_kind = {models.JSONField: {}, models.BinaryField: b"", models.DateTimeField: "2026-01-01T00:00Z"}
    return next((value for kind, value in by_kind.items() if isinstance(field, kind)), "1")


def everything():
    """All rows of all tables, and the mails that went out."""
    tables = [model for model in apps.get_models() if model._meta.managed]
    return [serializers.serialize("json", model._base_manager.order_by("pk")) for model in tables], len(mail.outbox)


def methods(thing):
    names = [name for name in dir(thing) if not name.startswith("_")]
    return [name for name in names if not iscoroutinefunction(getattr(type(thing), name, None))]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_mail_reads_no_table_of_dbmail_and_calls_nothing_of_it(rows, table):
    before = everything()
    row = rows[table]
    for thing in (row, ActionHandler(row, None), table.objects, table.objects.all(), [row], {"row": row}):
        path = {list: "x.0", dict: "x.row"}.get(type(thing), "x")
        for name in methods(table if isinstance(thing, ActionHandler) else row if path != "x" else thing):
            source = f"{{% autoescape off %}}{{{{ {path}.{name} }}}}{{% endautoescape %}}"
            if hasattr(row, "get_msg_vars") and isinstance(thing, ActionHandler):
                show(source, thing)
            else:
                assert show(source, thing) == "", (path, name)
    assert everything() == before


def show(source, thing):
    try:
        return compile_template(source, html=False).render({"x": thing})
    except RenderFailed as error:
        assert "closed to mail texts" in str(error)
    except TemplateRejected as error:
        assert "is a secret name" in str(error)
    return ""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_page_of_the_project_calls_nothing_of_dbmail_either(rows, table):
    before = everything()
    for thing in (rows[table], table.objects, table.objects.all()):
        for name in set(methods(thing)) - DJANGOS:
            template = Engine().from_string("{{ x.%s }}" % name)  # noqa: UP031 - braces are the template's
            try:
                with transaction.atomic():
                    template.render(Context({"x": thing}))
            except Exception:  # noqa: S112 - what it says does not matter here, only what it does
                continue
    assert everything() == before


def test_the_verbs_would_do_something_if_they_were_called(rows):
    """Lest the tests above pass because nothing could happen."""
    before = everything()
    did = set()
    for row, verb in [
        *((rows[MessageRequest], verb) for verb in ("process", "pause", "resume", "cancel")),
        *((rows[TextOfEmail], verb) for verb in ("fill_msgtext", "expireUnsentEmails", "send")),
    ]:
        if verb in ("expireUnsentEmails", "send"):
            TextOfEmail.objects.update(state="queued", sent=None)
            row.refresh_from_db()
        was = everything()
        getattr(row, verb)()
        if everything() != was:
            did.add(verb)
    assert did == {"process", "pause", "resume", "cancel", "fill_msgtext", "expireUnsentEmails", "send"}
    assert everything() != before and connection.in_atomic_block


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in user.dbmail_requests.all.0.textofemail_set.all %}{{ m.send }}{% endfor %}",
        "{{ user.dbmail_requests.all.0.resume }}",
        "{{ user.dbmail_requests.first.cancel }}",
        "{{ user.dbmail_mails.count }}",
        "{% if user.dbmail_mails.all == 1 %}{% endif %}",
        "{% for x in user.dbmail_suppressions.all %}{% endfor %}",
    ],
)
def test_no_relation_leads_from_a_recipient_to_broadcasts_and_mails(rows, source):
    admin = rows[MessageRequest].creator
    rows[MessageRequest].pause()
    before = everything()
    with pytest.raises(RenderFailed, match=r"Line 1: “dbmail_\w+” leads to the table dbmail.\w+, which is closed"):
        compile_template(source, html=False).render({"user": ActionHandler(admin, admin)})
    assert everything() == before
