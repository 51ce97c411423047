"""A stored query selects what the query selected, and refuses what it could not keep."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db.models import Exists, F, Q, Value
from django.db.models.functions import Lower
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbmail.audience import stored_query
from dbmail.exceptions import UnresolvableQuery, UnstorableQuery
from dbmail.models import PersistentQueryFilter
from testproject.outreach.models import Program, StudentInfo

pytestmark = pytest.mark.django_db

VALUES = [
    None,
    True,
    3,
    1.5,
    'a "quoted" ü',
    datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    date(2026, 1, 2),
    time(3, 4),
    timedelta(days=-2, microseconds=7),
    Decimal("1.10"),
    UUID(int=5),
    [1, date(2026, 1, 2), [Decimal(2)]],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_each_value_type_comes_back_equal(value):
    assert stored_query.load_query(stored_query.dump_query(Q(field=value))) == Q(field=value)


_leaves = st.one_of(
    st.builds(lambda name: Q(first_name=name), st.sampled_from(["Ann", "Bo", "C"])),
    st.builds(lambda names: Q(first_name__in=names), st.lists(st.sampled_from(["Ann", "Bo"]), max_size=2)),
    st.builds(lambda flag: Q(is_staff=flag), st.booleans()),
    st.builds(lambda day: Q(date_joined__gte=day), st.datetimes(timezones=st.just(UTC))),
    st.just(Q()),
    st.just(Q(email__isnull=True)),
)
_queries = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a, b: a ^ b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(q=_queries)
def test_a_restored_query_selects_the_same_users(db, q):
    for number, name in enumerate(["Ann", "Bo", "C", "D"]):
        User.objects.get_or_create(username=name, defaults={"first_name": name, "is_staff": number % 2 == 0})
    stored = PersistentQueryFilter.create_from_Q(User, q)
    restored = PersistentQueryFilter.objects.get(pk=stored.pk)
    assert set(restored.getList(User)) == set(User.objects.filter(q))
    assert stored_query.dump_query(restored.get_Q(restrict_to_active=False)) == stored.q_filter


@pytest.mark.parametrize(
    "q",
    [
        Q(first_name=F("last_name")),
        Q(Exists(User.objects.all())),
        Q(first_name=Lower("last_name")),
        Q(first_name=Value("x")),
        Q(first_name=print),
        Q(id=float("nan")),
        Q(id=User(username="unsaved")),
        Q(date_joined__gt=datetime(2026, 1, 1)),  # noqa: DTZ001, RUF100 a naive one on purpose
        Q(no_such_field=1),
        Q(first_name__no_such_lookup=1),
    ],
    ids=lambda q: re.sub(" at 0x[0-9a-f]+", "", str(q)),  # the same name in each process
)
def test_what_cannot_be_stored_is_refused_when_it_is_created(q):
    with pytest.raises(UnstorableQuery):
        PersistentQueryFilter.create_from_Q(User, q)
    assert not PersistentQueryFilter.objects.exists()


def test_equal_queries_share_a_row_and_the_last_description_stands():
    first = PersistentQueryFilter.create_from_Q(User, Q(is_staff=True), "staff")
    second = PersistentQueryFilter.getFilterFromQ(Q(is_staff=True), User, "all staff")
    assert first.pk == second.pk
    assert PersistentQueryFilter.objects.get().useful_name == "all staff"
    assert PersistentQueryFilter.create_from_Q(User, ~Q(is_staff=True)).pk != first.pk


def test_a_join_repeats_nobody_and_inactive_users_are_left_out():
    program = Program.objects.create(niceName="Splash", startdate=date(2026, 1, 1), director_email="d@example.org")
    ann, bo = User.objects.create(username="ann"), User.objects.create(username="bo", is_active=False)
    for user in (ann, ann, bo):
        StudentInfo.objects.create(user=user, program=program)
    stored = PersistentQueryFilter.create_from_Q(User, Q(studentinfo__program=program))
    assert list(stored.getList(User)) == [ann]


def test_a_query_set_is_kept_as_its_keys():
    ann = User.objects.create(username="ann")
    User.objects.create(username="bo")
    keys = User.objects.filter(username="ann").values_list("pk", flat=True)
    assert list(PersistentQueryFilter.create_from_Q(User, Q(pk__in=keys)).getList(User)) == [ann]
    whole = User.objects.filter(username="ann")
    assert list(PersistentQueryFilter.create_from_Q(User, Q(pk__in=whole)).getList(User)) == [ann]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"connector":"AND","negated":false,"children":[["renamed",1]]}', '{"connector":"; --"}'],
)
def test_a_query_that_no_longer_resolves_says_so(text):
    stored = PersistentQueryFilter.objects.create(item_model="auth.User", q_filter=text, sha1_hash="x")
    with pytest.raises(UnresolvableQuery):
        stored.getList(User)


def test_a_filter_answers_for_its_own_model_only():
    stored = PersistentQueryFilter.create_from_Q(User, Q())
    with pytest.raises(UnresolvableQuery, match=r"auth\.User"):
        stored.getList(Program)
    with pytest.raises(PersistentQueryFilter.DoesNotExist):
        PersistentQueryFilter.getFilterFromID(stored.pk, Program)


def test_set_q_replaces_the_query():
    stored = PersistentQueryFilter.create_from_Q(User, Q(username="a"))
    stored.set_Q(Q(username="b"), "only b")
    stored.save()
    bo = User.objects.create(username="b")
    assert list(PersistentQueryFilter.getFilterFromID(stored.pk, User).getList(User)) == [bo]
