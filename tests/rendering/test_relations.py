"""A text reads the recipient's own data and what the broadcast was given, nothing else."""

import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test import override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps

from dbmail.exceptions import RenderFailed
from dbmail.rendering.engine import compile_template
from dbmail.rendering.guard import STAND_IN
from dbmail.rendering.relations import refusal_on_path
from dbmail.rendering.variables import ActionHandler
from testproject.outreach.models import ClassSubject, Profile, Program, Section, StudentInfo

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
OPEN = ["auth.User.sections", "outreach.Program.studentinfo_set", "outreach.ClassSubject.sections"]


def show(source, **context):
    return compile_template(source, html=False).render(context)


def given(value, user=None):
    return ActionHandler(value, user)


@pytest.fixture
def program():
    return Program.objects.create(
        niceName="Splash", startdate=datetime.date(2026, 11, 21), director_email="d@example.org"
    )


@pytest.fixture
def ann(program):
    ann = a_user("ann", first_name="Ann")
    Profile.objects.create(user=ann, guardian_name="Gwen")
    StudentInfo.objects.create(user=ann, program=program)
    StudentInfo.objects.create(user=a_user("bob"), program=program)
    section = ClassSubject.objects.create(title="Pottery", program=program).sections.create(number=1)
    section.students.add(ann)
    group = Group.objects.create(name="staff")
    group.permissions.set(Permission.objects.all()[:2])
    ann.groups.add(group)
    return ann


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{{ user.first_name }} {{ user.get_full_name }} {{ user.pk|yesno }}", "Ann Ann yes"),
        ("{{ user.profile.guardian_name }} {{ user.profile.user.first_name }}", "Gwen Ann"),
        ("{{ info.program.niceName }} {{ info.user.profile.guardian_name }}", "Splash Gwen"),
        ("{{ section.emailcode|length|yesno }} {{ section.parent_class.program }}", "yes Splash"),
        ("[{{ bob.profile }}{{ bob.profile.guardian_name }}{{ bob.nothing }}]", "[]"),
        ("{{ state.get_handler_display|default:'x' }}{{ user.is_superuser }}", "xFalse"),
    ],
)
def test_own_data_and_single_rows_are_read(ann, source, wanted):
    context = {"user": given(ann), "info": given(StudentInfo.objects.first()), "section": given(Section.objects.get())}
    assert show(source, bob=given(User.objects.get(username="bob")), **context) == wanted


SHUT = {
    "{{ program.studentinfo_set.all }}": "outreach.Program.studentinfo_set",
    "{{ program.studentinfo_set.count }}": "outreach.Program.studentinfo_set",
    "{% for s in program.studentinfo_set.all %}{{ s.user.email }}{% endfor %}": "outreach.Program.studentinfo_set",
    "{% if program.studentinfo_set.all == 3 %}{% else %}no{% endif %}": "outreach.Program.studentinfo_set",
    "{{ 'x'|default_if_none:program.studentinfo_set }}": "outreach.Program.studentinfo_set",
    "{% with s=program.studentinfo_set %}{% endwith %}": "outreach.Program.studentinfo_set",
    "{{ user.taught_classes.first.title }}": "auth.User.taught_classes",
    "{{ user.sections.all }}": "auth.User.sections",
    "{{ user.profile.user.studentinfo_set.0 }}": "auth.User.studentinfo_set",
}


@pytest.mark.parametrize("source", SHUT)
def test_many_rows_are_an_error_that_says_how_they_are_opened(ann, program, source):
    wanted = rf'DBMAIL\["TEMPLATE_RELATIONS"\] = \["{SHUT[source]}"\]'
    with pytest.raises(RenderFailed, match=f"^Line 2: .*is not open to mail texts.*{wanted}"):
        show("first line\n" + source, user=given(ann), program=given(program))


@pytest.mark.parametrize("source", SHUT)
def test_that_is_said_before_anything_is_sent(ann, program, source):
    draft = a_request(state="draft", msgtext="first line\n" + source, variables={"program": program})
    with pytest.raises(ValidationError, match=SHUT[source]) as caught:
        draft.full_clean()
    assert [error.params["line"] for error in caught.value.error_dict["msgtext"]] == [2]


def test_a_broadcast_with_such_a_text_fails_with_that_reason(ann, program):
    broadcast = a_request(msgtext="{{ program.studentinfo_set.all }}", variables={"program": program})
    with pytest.raises(RenderFailed):
        broadcast.process()
    broadcast.refresh_from_db()
    assert broadcast.state == "failed" and "TEMPLATE_RELATIONS" in broadcast.state_reason


@override_settings(DBMAIL={"TEMPLATE_RELATIONS": OPEN})
@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{% for s in user.sections.all %}{{ s.parent_class.title }}{% endfor %}", "Pottery"),
        ("{{ user.sections.count }} {{ user.sections.all.0.number }} {{ user.sections.first.number }}", "1 1 1"),
        ("{% if user.sections.exists %}yes{% endif %}{% if user.sections.all %}yes{% endif %}", "yesyes"),
        ("{% with s=user.sections.all %}{{ s|length }}{{ s.count }}{{ s|first }}{% endwith %}", "11{0}"),
        ("{% for s in user.sections %}{{ s.number }}{% endfor %}", "1"),
        ("{% for i in program.studentinfo_set.all|slice:':1' %}{{ i.user }}{% endfor %}", "ann"),
        (
            "{{ program.studentinfo_set.all|last }}; {{ program.studentinfo_set.all|join:', ' }}",
            "{1}; ann in Splash, {1}",
        ),
        ("{% for i in program.studentinfo_set.all reversed %}{{ i.user }} {% endfor %}", "bob ann "),
        (
            "{% for i in program.studentinfo_set.all|dictsortreversed:'user.username' %}{{ i.user }} {% endfor %}",
            "bob ann ",
        ),
        ("{% if info in program.studentinfo_set.all %}in{% endif %}", "in"),
        (
            "{{ program.studentinfo_set.all }}",
            "<QuerySet [<StudentInfo: ann in Splash>, <StudentInfo: bob in Splash>]>",
        ),
    ],
)
def test_what_the_project_opened_is_read(ann, program, source, wanted):
    context = {"user": given(ann), "program": given(program), "info": given(StudentInfo.objects.first())}
    wanted = wanted.replace("{0}", str(Section.objects.get())).replace("{1}", "bob in Splash")
    assert show(source, **context) == wanted
    draft = a_request(
        state="draft", msgtext=source, variables={"program": program, "info": StudentInfo.objects.first()}
    )
    draft.full_clean()


@override_settings(DBMAIL={"TEMPLATE_RELATIONS": OPEN})
@pytest.mark.parametrize(
    "source", ["{{ user.sections.first.students.all }}", "{{ user.sections.all.0.parent_class.teachers.count }}"]
)
def test_one_open_relation_opens_no_other(ann, source):
    with pytest.raises(RenderFailed, match="is not open to mail texts"):
        show(source, user=given(ann))
    with pytest.raises(ValidationError, match="is not open to mail texts"):
        a_request(state="draft", msgtext=source).full_clean()


class Host:
    """An object of the project's that gives what it should not."""

    def __init__(self, user):
        self.group = user.groups.get()
        self.groups = user.groups.all()
        self.manager = user.groups
        self.objects = Group.objects
        self.found = [self.group]
        self.named = {"group": self.group}
        self.session = None
        self.key = Session(session_key="stolen", expire_date=datetime.datetime.now(datetime.UTC))
        self.log = LogEntry(user=user, object_repr="secretly")
        self.type = ContentType.objects.get_for_model(User)
        self.names = Group.objects.values_list("name", flat=True)

    def get_groups(self):
        yield self.group


_OF_HOST = """group group.name groups groups.first groups.count manager manager.all.0 objects objects.all found found.0
    found.0.name named.group named.group.name named.items key key.pk key.expire_date log log.object_repr type
    type.model names names.0""".split()  # noqa: SIM905 - read as a list of words
CLOSED = [
    "{{ user.groups.all }}",
    "{{ user.groups.all.0.permissions.all.0.content_type.get_all_objects_for_this_type }}",
    "{{ user.user_permissions.count }}",
    "{{ user.dbmail_requests.all }}",
    "{{ user.dbmail_mails.first.msgtext }}",
    "{{ user.logentry_set.all }}",
    "{% for group in user.groups.all %}{{ group }}{% endfor %}",
    *(
        "{{ host.%s }}" % name  # noqa: UP031 - braces are the template's
        for name in (*_OF_HOST, "type.get_all_objects_for_this_type")
    ),
    "{% for x in host.found %}{{ x }}{% endfor %}",
    "{% for x in host.get_groups %}{{ x }}{% endfor %}",
    "{% firstof host.group %}",
    "{% regroup host.groups by name as x %}{{ x }}",
    "{% if host.group %}{% endif %}",
    "{{ host.found|join:' ' }}",
    "{{ group }}",
    "{{ group.name }}",
    "{{ raw }}{{ raw.name }}",
]


@pytest.mark.parametrize("source", CLOSED)
def test_some_tables_are_read_by_no_text_whatever_leads_there(ann, source):
    host = given(Host(ann), ann)
    opened = override_settings(DBMAIL={"TEMPLATE_RELATIONS": ["auth.User.groups", "auth.User.dbmail_requests"]})
    with opened, pytest.raises(RenderFailed, match=r"Line 1: .*closed to mail texts"):
        show(source, user=given(ann), host=host, group=given(ann.groups.get()), raw=ann.groups.get())


@pytest.mark.parametrize("source", [source for source in CLOSED if source.startswith("{{ user.")])
def test_those_are_said_before_anything_is_sent(ann, source):
    with pytest.raises(ValidationError, match="closed to mail texts"):
        a_request(state="draft", msgtext=source).full_clean()


def test_a_variable_of_such_a_table_is_said_too(ann):
    draft = a_request(state="draft", msgtext="{{ g }}", variables={"g": ann.groups.get()})
    with pytest.raises(ValidationError, match=r"auth\.Group is closed"):
        draft.full_clean()


@pytest.mark.parametrize(
    "source",
    [
        "{{ user.get_next_by_date_joined }}{{ user.get_previous_by_date_joined.email }}",
        "{{ user.get_all_permissions }}{{ user.get_group_permissions }}{{ user.get_user_permissions }}",
        "{{ user.objects.all }}{{ user.refresh_from_db }}",
        "{{ request.creator }}{{ request.creator.email }}{{ request.recipients }}{{ request.textofemail_set.all }}",
        "{{ user.DoesNotExist }}{{ user.MultipleObjectsReturned.args }}",
    ],
)
def test_neighbours_rights_and_the_broadcasts_people_are_as_if_they_were_not_there(ann, source):
    broadcast = a_request(subject="Hello")
    assert show(source, user=given(ann), request=given(broadcast)) == ""


def test_the_broadcast_keeps_its_documented_names(ann):
    broadcast = given(a_request(subject="Hello"))
    pk = broadcast.pk
    source = (
        "{{ request }} {{ request.subject }} {{ request.id }} {{ request.public_url }} {{ request.created_at.year }}"
    )
    assert show(source, request=broadcast).startswith(f"Hello Hello {pk} https://example.org/email/{pk} 20")


_PACKAGES = """authtoken oauth2_provider oauth account socialaccount otp_totp otp_static otp_whatever axes
    social_django knox mfa two_factor sesame""".split()  # noqa: SIM905 - read as a list of words


@pytest.mark.parametrize(
    "label",
    _PACKAGES,
)
def test_tokens_of_well_known_packages_are_closed_by_the_label_of_their_app(label):
    with isolate_apps("testproject.outreach"):

        class Thing(models.Model):  # noqa: DJ008
            user = models.OneToOneField(User, models.CASCADE, related_name="thing")
            value = models.TextField()

            class Meta:
                app_label = label

    with pytest.raises(RenderFailed, match=rf"{label}\.Thing is closed"):
        show("{{ thing.value }}", thing=given(Thing(value="k")))


def test_the_projects_own_apps_are_not_closed_and_the_setting_closes_more(ann):
    info = given(StudentInfo.objects.first())
    assert show("{{ info.program }}", info=info) == "Splash"
    for closed in ("outreach", "outreach.Program", "OUTREACH.program"):
        with override_settings(DBMAIL={"TEMPLATE_CLOSED": [closed]}), pytest.raises(RenderFailed, match="closed"):
            show("{{ info.program }}", info=info)
    with override_settings(DBMAIL={"TEMPLATE_CLOSED": ["outreach.Program"]}):
        assert show("{{ info.user.username }}", info=info) == "ann"


def test_a_custom_user_in_an_app_with_the_name_of_a_package_is_open(settings):
    with isolate_apps("testproject.outreach"):

        class Person(models.Model):  # noqa: DJ008
            name = models.TextField()

            class Meta:
                app_label = "account"

        class Address(models.Model):  # noqa: DJ008
            person = models.ForeignKey(Person, models.CASCADE)
            town = models.TextField()

            class Meta:
                app_label = "account"

    settings.AUTH_USER_MODEL = "account.Person"
    try:
        address = Address(person=Person(name="Ann"), town="Bern")
        assert show("{{ a.person.name }} {{ a.town }}", a=given(address)) == "Ann Bern"
    finally:
        settings.AUTH_USER_MODEL = "auth.User"


@isolate_apps("testproject.outreach", "django.contrib.contenttypes", "django.contrib.auth")
def test_proxies_generic_keys_children_and_other_peoples_descriptors(ann):
    class Crew(Group):
        class Meta:
            proxy = True
            app_label = "outreach"

    class Place(models.Model):  # noqa: DJ008
        name = models.TextField()

        class Meta:
            app_label = "outreach"

    class Cafe(Place):  # noqa: DJ008
        owner = models.ForeignKey(User, models.CASCADE, related_name="cafes")

        class Meta:
            app_label = "outreach"

    class Descriptor:
        def __get__(self, instance, owner=None):
            return User.objects.all()

    class Note(models.Model):  # noqa: DJ008
        content_type = models.ForeignKey(ContentType, models.CASCADE)
        object_id = models.IntegerField()
        about = GenericForeignKey()
        everyone = Descriptor()
        text = models.TextField()

        @property
        def readers(self):
            return User.objects.filter(username="ann")

        class Meta:
            app_label = "outreach"

    cafe = Cafe(name="Central", owner=ann)
    assert show("{{ c.name }} {{ c.owner.username }}", c=given(cafe)) == "Central ann"
    note = Note(text="hi")
    note.about = ann
    assert show("{{ n.text }} {{ n.about.username }} {{ n.readers.0 }}", n=given(note)) == "hi ann ann"
    note.about = ann.groups.get()
    for source, why in [
        ("{{ n.about }}", "closed"),
        ("{{ n.about.name }}", "closed"),
        ("{{ n.content_type }}", "closed"),
        ("{{ n.everyone }}", "Note.everyone"),
        ("{{ n.everyone.count }}", "Note.everyone"),
        ("{{ crew }}", "closed"),
        ("{{ crew.name }}", "closed"),
    ]:
        with pytest.raises(RenderFailed, match=why):
            show(source, n=given(note), crew=given(Crew(name="x")))
    with override_settings(DBMAIL={"TEMPLATE_RELATIONS": ["outreach.Note.everyone"]}):
        assert show("{{ n.everyone.count }}", n=given(note)) == "2"


@override_settings(DBMAIL={"TEMPLATE_RELATIONS": OPEN, "TEXT_LIMITS": {"ROWS": 5}})
@pytest.mark.parametrize(
    "source",
    [
        "{% for s in program.studentinfo_set.all %}{% endfor %}",
        "{% for s in program.studentinfo_set %}{% endfor %}",
        "{{ program.studentinfo_set.all|length }}",
        "{{ program.studentinfo_set.all|join:'' }}",
        "{{ program.studentinfo_set.all|last }}",
        "{% regroup program.studentinfo_set.all by user as x %}",
    ],
)
def test_a_loop_over_a_query_stops_at_a_bound_and_reads_no_more(ann, program, source):
    StudentInfo.objects.bulk_create(StudentInfo(user=ann, program=program) for _ in range(50))
    with (
        CaptureQueriesContext(
            connection,
        ) as asked,
        pytest.raises(RenderFailed, match="more than 5 rows"),
    ):
        show(source, program=given(program))
    assert all("LIMIT 6" in query["sql"] for query in asked.captured_queries) and len(asked) == 1


@override_settings(DBMAIL={"TEMPLATE_RELATIONS": OPEN, "TEXT_LIMITS": {"ROWS": 5}})
def test_what_needs_few_of_many_rows_works(ann, program):
    StudentInfo.objects.bulk_create(StudentInfo(user=ann, program=program) for _ in range(50))
    source = (
        "{% if s %}{{ s.count }} {% endif %}{% for x in s|slice:':3' %}{{ x.user }} {% endfor %}{{ s|first }}; "
        "{{ s.last.user }} {{ s.40.user }}{% if last in s %} in{% endif %}{% if other in s %} wrong{% endif %}"
    )
    source = "{% with s=program.studentinfo_set.all %}" + source + "{% endwith %}"
    last = StudentInfo.objects.last()
    other = StudentInfo.objects.create(user=ann, program=Program.objects.create(niceName="x", startdate="2026-01-01"))
    context = {"program": given(program), "last": given(last), "other": given(other)}
    assert show(source, **context) == "52 ann bob ann ann in Splash; ann ann in"


def test_a_path_is_judged_without_a_row():
    assert refusal_on_path(User, ["profile", "user", "first_name"]) == ""
    assert "auth.User.sections" in refusal_on_path(User, ["profile", "user", "sections"])
    assert "is for programs" in refusal_on_path(Program, ["delete"])
    assert refusal_on_path(Program, ["niceName", "anything"]) == ""


@isolate_apps("testproject.outreach")
def test_what_points_to_a_row_is_shown_in_mails_and_not_to_everybody():
    class Fair(models.Model):  # noqa: DJ008
        name = models.TextField()

        class Meta:
            app_label = "outreach"

    class Venue(models.Model):  # noqa: DJ008
        fair = models.OneToOneField(Fair, models.CASCADE)
        town = models.TextField()

        class Meta:
            app_label = "outreach"

    venue = Venue(fair=Fair(name="Spring"), town="Bern")
    source = "{{ venue.fair.name }} [{{ venue.fair.venue.town }}]"
    assert show(source, venue=given(venue)) == "Spring [Bern]"
    token = STAND_IN.set(User())
    try:
        assert show(source, venue=given(venue)) == "Spring []"
    finally:
        STAND_IN.reset(token)
