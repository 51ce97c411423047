"""No template shows a password, whatever path it takes to it."""

import dataclasses
import io
import os
import pathlib
from collections import deque, namedtuple
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import override_settings

from dbmail.exceptions import RenderFailed, TemplateRejected
from dbmail.rendering.engine import compile_template
from dbmail.rendering.guard import Missing, Shown, guard, look_up
from dbmail.rendering.variables import ActionHandler
from testproject.outreach.models import ClassSubject, Program

SECRET = "pbkdf2-hunter2"
pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    ann = User.objects.create(username="ann", first_name="Ann", password=SECRET)
    group = Group.objects.create(name="staff")
    ann.groups.add(group)
    return ann


def show(source, html=False, **context):
    return compile_template(source, html=html).render(context)


@dataclasses.dataclass
class Account:
    name: str
    password: str


Row = namedtuple("Row", "name password")


class Host:
    """An object of the host project with one of everything that can leak."""

    def __init__(self, user):
        self.owner = user
        self.account = Account("Ann", SECRET)
        self.row = Row("Ann", SECRET)
        self.rows = [self.row]
        self.accounts = [self.account]
        self.data = {"name": "Ann", "password": SECRET, "deep": [{"api_key": SECRET}]}
        self.settings = settings
        self.module = os
        self.cls = User
        self.method = user.save
        self.path = pathlib.Path(__file__)
        self.file = io.StringIO(SECRET)
        self.config = {"settings": settings, "module": os}

    def values(self):
        return User.objects.values()

    def values_list(self):
        return User.objects.values_list()

    def only_hashes(self):
        return User.objects.values_list("password", flat=True)

    def named(self):
        return User.objects.values_list("username", "password", named=True)

    def names(self):
        return User.objects.values_list("username", flat=True)

    def users(self):
        return User.objects.all()

    def manager(self):
        return User.objects

    def each(self):
        yield from User.objects.values()

    def get_msg_vars(self, user, key):
        return SECRET if "password" in key else None

    def function(self):
        return lambda: self.data

    def __str__(self):
        return "host"


REJECTED = [
    "{{ user.password }}",
    "{{ user.groups.all.0.user_set.all.0.password }}",
    "{{ user.check_password }}",
    "{{ user.has_usable_password }}",
    "{{ user.set_unusable_password }}",
    "{{ user.get_session_auth_hash }}",
    "{{ user._password }}",
    "{{ user._meta }}",
    "{{ user._meta.fields }}",
    "{{ user._state.db }}",
    "{{ user.__class__ }}",
    "{{ user.__dict__ }}",
    "{{ user.groups.all.0.__init__.__globals__ }}",
    "{{ host.owner.password|upper }}",
    "{{ host.data.password }}",
    "{{ 'x'|default:user.password }}",
    "{{ 'x'|add:user.password }}",
    "{% if user.password > 'p' %}yes{% endif %}",
    "{% if 'p' in user.password %}yes{% endif %}",
    "{% with p=user.password %}{{ p }}{% endwith %}",
    "{% with user.password as p %}{{ p }}{% endwith %}",
    "{% for c in user.password %}{{ c }}{% endfor %}",
    "{% for u in host.users %}{{ u.password }}{% endfor %}",
    "{% regroup host.users by password as g %}{{ g }}",
    "{% regroup host.users by owner.password as g %}{{ g }}",
    "{% firstof user.password 'x' %}",
    "{% cycle user.password 'x' %}",
    "{% filter default:user.password %}{% endfilter %}",
    "{% widthratio user.password 1 1 %}",
    "{% ifchanged user.password %}x{% endifchanged %}",
    "{% url user.password %}",
    "{{ host.users|dictsort:'password' }}",
    '{{ host.users|dictsortreversed:"owner.password" }}',
    '{{ host.users|dictsort:"_state" }}',
    "{{ password }}",
    "{{ user.secret }}{{ user.api_key }}",
    "{{ user.authToken }}",
    "{{ host|pprint }}",
    "{% debug %}",
    "{% load i18n %}",
    "{% include 'x.html' %}",
    "{% extends 'x.html' %}",
    "{% csrf_token %}",
    "{% lorem 99999999 w %}",
    "{% partialdef x %}{% endpartialdef %}",
]


@pytest.mark.parametrize("source", REJECTED)
def test_a_template_that_names_a_secret_or_reaches_outside_is_rejected(source):
    with pytest.raises(TemplateRejected) as caught:
        compile_template("first line\n" + source, html=True)
    assert caught.value.line == 2
    assert caught.value.token


HARMLESS = [
    "{{ host }}",
    "{{ host.account }}",
    "{{ host.accounts }}",
    "{{ host.row }}",
    "{{ host.row.1 }}",
    "{{ host.rows }}",
    "{% for r in host.rows %}{{ r.1 }}{{ r }}{% for c in r %}{{ c }}{% endfor %}{% endfor %}",
    "{% for a, b in host.rows %}{{ a }}{{ b }}{% endfor %}",
    "{{ host.data }}",
    "{{ host.data.values }}",
    "{{ host.data.items }}",
    "{{ host.data.popitem }}",
    "{{ host.data.copy }}",
    "{{ host.data.deep.0 }}",
    "{% for k, v in host.data.items %}{{ k }}={{ v }}{% endfor %}",
    "{% for v in host.data.values %}{{ v }}{% endfor %}",
    "{{ host.data|stringformat:'r' }}",
    "{{ host.data|stringformat:'(password)s' }}",
    "{{ host.account|stringformat:'r' }}",
    "{{ host.accounts|join:' ' }}",
    "{{ host.rows|join:' ' }}",
    "{{ host.data|json_script:'x' }}",
    "{{ host.data.values|unordered_list }}",
    "{{ host.rows|unordered_list }}",
    "{{ host.accounts|first }}",
    "{{ host.accounts|random }}",
    "{{ host.rows|last|last }}",
    "{{ host.rows|slice:':1' }}",
    "{{ host.rows.0|slice:'1:' }}",
    "{{ host.rows|make_list|join:'' }}",
    "{{ host.values }}",
    "{{ host.values.0 }}",
    "{{ host.values.first }}",
    "{{ host.values_list }}",
    "{{ host.values_list.first }}",
    "{{ host.values_list.0.1 }}",
    "{{ host.only_hashes }}",
    "{{ host.only_hashes.first }}",
    "{{ host.only_hashes|join:' ' }}",
    "{{ host.named }}",
    "{{ host.named.first }}",
    "{% for x in host.named %}{{ x }}{{ x.1 }}{% endfor %}",
    "{{ host.each }}",
    "{% for x in host.each %}{{ x }}{% endfor %}",
    "{{ host.users.values }}",
    "{{ host.users.values_list }}",
    "{{ host.users.query }}",
    "{{ host.users.iterator }}",
    "{{ host.users.model }}",
    "{{ host.users.explain }}",
    "{{ host.users.raw }}",
    "{{ host.users.db }}",
    "{{ host.manager }}",
    "{{ host.manager.values }}",
    "{{ host.manager.get_queryset }}",
    "{{ host.manager.all.values }}",
    "{{ user.objects.all }}",
    "{{ user.groups.model }}",
    "{{ user.groups.through }}",
    "{{ user.groups.through.objects.all }}",
    "{{ user.groups.instance }}",
    "{{ user.refresh_from_db }}",
    "{{ host.settings }}",
    "{{ host.settings.INSTALLED_APPS }}",
    "{{ host.settings.DATABASES }}",
    "{{ host.config }}",
    "{{ host.config.settings.DATABASES }}",
    "{{ host.module }}",
    "{{ host.module.environ }}",
    "{{ host.module.getcwd }}",
    "{{ host.cls }}",
    "{{ host.cls.objects.all }}",
    "{{ host.method }}",
    "{{ host.function }}",
    "{{ host.path.read_text }}",
    "{{ host.path.read_bytes }}",
    "{{ host.path.open }}",
    "{{ host.file }}",
    "{{ host.file.read }}",
    "{% for line in host.file %}{{ line }}{% endfor %}",
    "{{ host.users|dictsort:by }}",
    "{{ host.rows|dictsort:by }}",
    "{{ host.config|pluralize }}",
    "{% for x in host.users %}{{ forloop }}{{ forloop.parentloop }}{% endfor %}",
    "{% for x in host.rows %}{% ifchanged %}{{ x }}{% endifchanged %}{{ forloop }}{% endfor %}",
    "{% regroup host.rows by name as g %}{{ g }}{% for x in g %}{{ x.grouper }}{{ x.list }}{% endfor %}",
    "{% with x=host.data %}{{ x }}{% endwith %}",
    "{% firstof host.data %}",
    "{% firstof host.settings host.account %}",
    "{% cycle host.data host.account %}",
    "{% filter upper %}{{ host.data }}{% endfilter %}",
]


@pytest.mark.parametrize("behind_handler", [True, False])
@pytest.mark.parametrize("source", HARMLESS)
def test_no_other_path_shows_one(user, source, behind_handler):
    host = Host(user)
    context = {"host": ActionHandler(host, user) if behind_handler else host, "user": user, "by": "password"}
    try:
        text = show(source, **context)
    except RenderFailed as error:
        text = str(error)
    for leaked in (
        SECRET,
        SECRET.upper(),
        "SELECT",
        settings.SECRET_KEY,
        "sqlite",
        "def test_",
        "<function",
        "<module",
    ):
        assert leaked not in text, text


@pytest.mark.parametrize("tag", ["delete", "update", "create", "get_or_create", "add", "clear", "remove", "set"])
def test_nothing_is_written(user, tag):
    program = Program.objects.create(niceName="Splash", startdate="2026-11-21", director_email="d@example.org")
    user.sections.create(parent_class=ClassSubject.objects.create(title="Pottery", program=program))
    with override_settings(DBMAIL={"TEMPLATE_RELATIONS": ["auth.User.sections"]}):
        for source in ("user.%s", "user.sections.%s", "user.sections.all.%s", "host.manager.%s", "host.users.%s"):
            assert show("{{ " + source % tag + " }}", user=user, host=ActionHandler(Host(user), user)) == ""
    assert User.objects.get().sections.count() == 1


def test_what_the_setting_adds_is_secret_too():
    with override_settings(DBMAIL={"SECRET_NAMES": ["Medical_Notes"]}):
        with pytest.raises(TemplateRejected, match="medical_notes"):
            compile_template("{{ user.medical_notes }}", html=False)
        assert show("{{ data }}", data={"medical_notes": SECRET, "name": "Ann"}) == "{'name': 'Ann'}"


def test_a_name_becomes_secret_for_a_template_that_is_compiled_already():
    compiled = compile_template("{{ data.notes }}", html=False)
    with override_settings(DBMAIL={"SECRET_NAMES": ["notes"]}):
        assert compiled.render({"data": {"notes": SECRET}}) == ""


def test_a_library_that_reads_the_context_itself_gets_no_secret():
    with override_settings(DBMAIL={"TEMPLATE_LIBRARIES": ["django.templatetags.i18n"]}):
        source = "{% blocktranslate %}{{ data }}{% endblocktranslate %}"
        assert show(source, data={"password": SECRET, "name": "Ann"}) == "{'name': 'Ann'}"


def test_words_that_only_resemble_secrets_are_shown():
    data = {"secretary": "Jo", "sessions": 3, "tokenised": 1, "passage": "x"}
    assert show("{{ d.secretary }} {{ d.sessions }} {{ d.tokenised }} {{ d.passage }}", d=data) == "Jo 3 1 x"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{{ user.first_name }} {{ user.get_full_name }}", "Ann Ann"),
        ("{{ host.names|join:', ' }}{{ host.names.0 }}", "annann"),
        ("{{ host.named.0.username }}", "ann"),
        ("{{ host.data.name }}{{ host.row.name }}{{ host.account.name }}", "AnnAnnAnn"),
        ("{{ host }} {{ host.missing }}|{{ host.data.missing }}|{{ missing.x }}", "host ||"),
        ("{% if user == host.owner %}same{% endif %}{% if host.owner == user %}same{% endif %}", "samesame"),
        ("{% if host.owner in host.users %}in{% endif %}{% if user in host.users %}in{% endif %}", "inin"),
        ("{% regroup host.rows by name as g %}{% for x in g %}{{ x.grouper }}{{ x.list|length }}{% endfor %}", "Ann1"),
        ("{% for r in host.data.deep|dictsort:'n' %}{{ r }}{% endfor %}", ""),
        ("{{ host.data|length }}{{ host.users|length }}", "21"),
    ],
)
def test_what_mail_needs_is_shown(user, source, wanted):
    context = {"user": ActionHandler(user, user), "host": ActionHandler(Host(user), user)}
    assert show(source, **context) == wanted


def paths(value, path, depth):
    """Every look-up that finds something, as deep as `depth`, and what a template would show for it."""
    inner = value._object if isinstance(value, Shown) else value
    for name in [*(map(str, inner) if isinstance(inner, dict) else ()), *dir(inner), "0", "1", "2"]:
        try:
            found = look_up(value, name)
            shown = guard(found)
            yield (*path, name), f"{shown} {shown!r}"
        except Exception as error:
            if not isinstance(error, Missing):
                yield (*path, name), str(error)
            continue
        if depth and not isinstance(found, str | int | float | None):
            yield from paths(found, (*path, name), depth - 1)


def test_no_chain_of_three_look_ups_from_anything_shows_one(user):
    roots = [
        user,
        ActionHandler(user, user),
        ContentType.objects.get_for_model(User),
        User.objects.all(),
        User.objects.values(),
        User.objects.values_list("username", "password"),
        user.groups,
        Host(user).account,
        Host(user).data,
    ]
    seen = [found for root in roots for found in paths(root, (type(root).__name__,), 2)]
    assert len(seen) > 1000
    for path, text in seen:
        assert SECRET not in text and settings.SECRET_KEY not in text and "SELECT" not in text, path
    assert (User.objects.count(), user.groups.count()) == (1, 1)


class Tools:
    """What templates must not call, and what would come of it."""

    made = 0
    wiped = False

    class Maker:
        answer = "made"

        def __init__(self):
            Tools.made += 1

    def wipe(self):
        Tools.wiped = True
        return "wiped"

    wipe.alters_data = True


@pytest.mark.parametrize("behind_handler", [True, False])
def test_a_class_is_not_called_and_neither_is_what_alters_data(behind_handler):
    tools = ActionHandler(Tools(), None) if behind_handler else Tools()
    source = (
        "[{{ t.Maker }}{{ t.Maker.answer }}{{ t.wipe }}{% for x in t.Maker %}{% endfor %}{{ d.make }}{{ d.wipe }}]"
    )
    assert show(source, t=tools, d={"make": Tools.Maker, "wipe": Tools().wipe}) == "[]"
    assert (Tools.made, Tools.wiped) == (0, False)


@pytest.mark.parametrize("name", [name for name in dir(User) if name in dir(Model) and name != "pk"])
def test_methods_that_every_model_has_are_not_called(user, name):
    user.first_name = "Not saved"
    if not name.startswith("_"):
        assert show("{{ user.%s }}" % name, user=ActionHandler(user, user)) == ""  # noqa: UP031 - braces are the template's
    assert user.first_name == "Not saved"


@pytest.mark.parametrize(
    "source", ["{{ h.q.popleft }}", "{{ h.q.pop }}", "{{ h.q.clear }}", "{{ h.s.pop }}", "{{ g.gi_frame.f_locals }}"]
)
def test_what_python_wrote_does_not_change_a_list_of_the_project(source):
    queue, numbers = deque([1, 2]), {3}
    text = show(source, h=SimpleNamespace(q=queue, s=numbers), g=(SECRET for _ in range(1)))
    assert (list(queue), numbers) == ([1, 2], {3}) and SECRET not in text
