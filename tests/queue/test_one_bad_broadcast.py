"""One bad broadcast stops only itself: whatever its query, its texts or the project's code do, and whoever deletes
it in the midst of it, the others go out in the same pass, each mail once."""

import io
import sqlite3
import threading
from collections import Counter
from contextlib import contextmanager

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, connections
from django.db.models import IntegerField, Q, Transform

from dbmail.database import persistently
from dbmail.incoming.at_once import send_at_once
from dbmail.models import Forward, IncomingMessage, MessageRequest, PersistentQueryFilter, TextOfEmail
from dbmail.service import passes

from ..builders import a_mail, a_request, a_user, an_admin
from .test_claim import queued, sending

pytestmark = pytest.mark.django_db(transaction=True)
State = MessageRequest.State
VENDOR = connection.vendor


def cron():
    """The exit code of one run, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("dbmail_cron", stdout=out, stderr=err)
    except SystemExit as ended:
        code = ended.code
    return code, out.getvalue() + err.getvalue()


def elsewhere(work):
    """Do `work` over a connection of its own, as another process would."""
    errors = []

    def run():
        try:
            persistently(work)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive() and errors == []


@contextmanager
def statements(act):
    """`act(call, sql, params)` is asked before each statement: it may raise, or do one of its own by `call`."""

    def execute(call, sql, params, many, context):
        act(lambda other: call(other, None, False, context), sql, params)
        return call(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


def state_of(request):
    request.refresh_from_db()
    return request.state


def each_once(relay, *names):
    to_people = [name for name in relay.recipients() if name.split("@")[0] not in ("admin", "bounces")]
    assert Counter(to_people) == {f"{name}@example.org": 1 for name in names}


class Inverse(Transform):
    """A look-up of the project's that divides by zero."""

    lookup_name = "inverse"
    template = "1 / (%(expressions)s - %(expressions)s)"
    output_field = IntegerField()


@pytest.fixture
def inverse():
    kind = type(get_user_model()._meta.pk)
    kind.register_lookup(Inverse)
    yield
    kind._unregister_lookup(Inverse)


def a_thousand_conditions():
    q = Q()
    for number in range(1500):
        q |= Q(username=f"u{number}")
    return q


#: Each with the databases that do not answer it.
QUERIES = [
    ("a regular expression that is none", lambda: Q(username__regex="("), ("sqlite", "postgresql", "mysql")),
    ("1,500 conditions", a_thousand_conditions, ("sqlite",)),
    ("300,000 keys", lambda: Q(pk__in=list(range(1, 300_001))), ("sqlite",)),
    ("a division by zero", lambda: Q(pk__inverse=1), ("postgresql",)),
]


class TestQueries:
    @pytest.mark.parametrize(
        "query", [pytest.param(query, id=name) for name, query, databases in QUERIES if VENDOR in databases]
    )
    def test_one_that_the_database_never_answers_fails_its_own_broadcast(self, relay, inverse, query):
        a_user("ann")
        bad, good = a_request(to=query()), a_request()
        get_user_model().objects.filter(pk=bad.creator_id).update(is_superuser=True)  # who may read what it quotes
        code, said = cron()
        assert (code, state_of(bad), state_of(good)) == (70, State.FAILED, State.DONE), said
        assert bad.state_reason.startswith("The database cannot find this audience: ")
        each_once(relay, "ann")
        (notice,) = [message for message in relay.messages if "admin@example.org" in message.rcpt_tos]
        assert "cannot find this audience" in " ".join(notice.message.get_content().split())
        assert cron()[0] == 0

    @pytest.mark.skipif(VENDOR != "postgresql", reason="PostgreSQL alone ends statements after a time")
    def test_one_that_takes_longer_than_the_database_allows_fails_its_own_broadcast(self, relay):
        a_user("ann")
        bad, good = a_request(to=Q(username="slow")), a_request()

        def be_slow(call, sql, params):
            if "slow" in (params or ()):
                call("SET statement_timeout = 50")
                try:
                    call("SELECT pg_sleep(30)")
                finally:
                    call("SET statement_timeout = 0")

        with statements(be_slow):
            code, said = cron()
        assert (code, state_of(bad), state_of(good)) == (70, State.FAILED, State.DONE), said
        assert "statement timeout" in bad.state_reason
        each_once(relay, "ann")

    def test_one_of_a_draft_that_is_looked_over_keeps_no_other_draft_waiting(self, relay, settings):
        from dbmail.models import Preflight
        from dbmail.preflight import everyone

        a_user("ann")
        bad, good = (a_request(to=query, state=State.DRAFT) for query in (Q(username__regex="("), Q(username="ann")))
        for draft in (bad, good):
            Preflight.objects.create(
                messagerequest=draft,
                fingerprint=everyone.fingerprint(draft),
                asked_at=draft.created_at - 2 * everyone.LEFT_ALONE,
            )
        assert cron()[0] == 0
        assert Preflight.objects.get().messagerequest == good
        assert Preflight.objects.get().finished_at

    def test_a_page_says_what_is_wrong_with_one(self, relay, admin_client):
        bad = a_request(to=Q(username__regex="("))
        assert admin_client.get(f"/admin/dbmail/messagerequest/{bad.pk}/change/").status_code == 200


def refused_for(request):
    def act(call, sql, params):
        if sql.startswith("INSERT") and "dbmail_textofemail" in sql and params and params[0][0] == request.pk:
            raise IntegrityError("a constraint of the project's own")

    return act


def test_rows_that_the_database_never_takes_fail_their_own_broadcast(relay):
    a_user("ann")
    bad, good = a_request(), a_request()
    with statements(refused_for(bad)):
        code, said = cron()
    assert (code, state_of(bad), state_of(good)) == (70, State.FAILED, State.DONE), said
    assert bad.state_reason == "IntegrityError: a constraint of the project's own"
    each_once(relay, "ann")


class Unheard(BaseException):
    """What no `except Exception` catches."""


RAISED = [RuntimeError, RecursionError, MemoryError, StopIteration, SystemExit, KeyboardInterrupt, Unheard]


@pytest.mark.parametrize("error", RAISED)
class TestProjectCode:
    """Under dbmail_cron, which has the signals to itself: there SystemExit and KeyboardInterrupt are bugs like any."""

    def test_that_raises_while_mails_are_made_stops_its_own_broadcast(self, relay, monkeypatch, error):
        def full_name(user):
            if user.username == "bad":
                raise error("of the project's own")
            return ""

        monkeypatch.setattr(get_user_model(), "get_full_name", full_name)
        a_user("ann")
        a_user("bad")
        bad, good = a_request(), a_request(to=Q(username="ann"))
        code, said = cron()
        assert (code, state_of(bad), state_of(good)) == (70, State.FAILED, State.DONE), said
        assert error.__name__ in bad.state_reason or error is StopIteration
        each_once(relay, "ann")

    def test_that_raises_while_mails_leave_puts_off_its_own_mails(self, relay, monkeypatch, error):
        creator = a_user("bad")

        def full_name(user):
            if user.username == "bad":
                raise error("of the project's own")
            return ""

        monkeypatch.setattr(get_user_model(), "get_full_name", full_name)
        bad, good = sending(sender=""), sending()
        MessageRequest.objects.filter(pk=bad.pk).update(creator=creator)
        queued(bad, 3)
        queued(good, 3)
        code, said = cron()
        assert (code, state_of(bad), state_of(good)) == (0, State.SENDING, State.DONE), said
        put_off = TextOfEmail.objects.filter(messagerequest=bad)
        assert set(put_off.values_list("state", "tries")) == {("queued", 1)}
        assert error.__name__ in put_off[0].last_reply
        assert len(relay.messages) == 3

    def test_that_is_a_mail_backend_puts_off_its_mails(self, use_mailer, error):
        use_mailer(f"{__name__}.Backend")
        Backend.error = error
        mails = [a_mail("ann@example.org"), a_mail("bob@example.org")]
        assert cron()[0] == 0
        for mail in mails:
            mail.refresh_from_db()
            assert (mail.state, mail.tries) == ("queued", 1)
            assert error.__name__ in mail.last_reply


class Backend:
    error: type[BaseException] = RuntimeError

    def __init__(self, **options):
        pass

    def open(self):
        pass

    def close(self):
        pass

    def send_messages(self, messages):
        raise self.error("of the project's own")


def test_ctrl_c_ends_a_pass_that_has_no_hold_of_the_signals(relay, monkeypatch):
    def full_name(user):
        raise KeyboardInterrupt

    a_user("ann")
    request = a_request()
    monkeypatch.setattr(get_user_model(), "get_full_name", full_name)
    with pytest.raises(KeyboardInterrupt):
        passes.run_pass()
    assert state_of(request) == State.PROCESSING


on_contacts: list = []


def contacts(users):
    while on_contacts:
        on_contacts.pop()()
    return {}


@pytest.fixture
def while_made(settings):
    """`while_made(work)`: once, while the first chunk of a broadcast to guardians is being made."""
    settings.DBMAIL = {**settings.DBMAIL, "CONTACTS": f"{__name__}.contacts"}
    on_contacts.clear()
    return on_contacts.append


class TestDeletion:
    def test_of_a_broadcast_while_it_is_processed_stops_nothing_else(self, relay, while_made):
        a_user("ann")
        bad = a_request(sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN)
        good = a_request()
        while_made(lambda: elsewhere(lambda: MessageRequest.objects.filter(pk=bad.pk).delete()))
        code, said = cron()
        assert (code, state_of(good)) == (0, State.DONE), said
        assert not MessageRequest.objects.filter(pk=bad.pk).exists()
        each_once(relay, "ann")

    def test_of_a_broadcast_whose_processing_fails_is_no_failure(self, relay, while_made):
        a_user("ann")
        bad = a_request(sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN, msgtext="  ")

        def delete():
            elsewhere(lambda: MessageRequest.objects.filter(pk=bad.pk).delete())
            raise SystemExit

        while_made(delete)
        assert cron()[0] == 0
        assert relay.messages == []

    def test_of_its_creator_and_its_audience_too(self, relay, while_made):
        a_user("ann")
        bad = a_request(to=Q(username="ann"), sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN)
        good = a_request()
        creator = a_user("creator")
        MessageRequest.objects.filter(pk=bad.pk).update(creator=creator)

        def delete():
            MessageRequest.objects.filter(pk=bad.pk).delete()
            PersistentQueryFilter.objects.filter(pk=bad.recipients_id).delete()
            creator.delete()

        while_made(lambda: elsewhere(delete))
        code, said = cron()
        assert (code, state_of(good)) == (0, State.DONE), said
        each_once(relay, "ann")

    def test_of_a_person_while_their_mail_is_made_costs_no_other_their_mail(self, relay, while_made):
        a_user("ann")
        bob = a_user("bob")
        request = a_request(sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN)
        while_made(lambda: elsewhere(lambda: get_user_model().objects.filter(pk=bob.pk).delete()))
        code, said = cron()
        assert (code, state_of(request)) == (0, State.DONE), said
        each_once(relay, "ann")
        assert request.progress == {"recipients": 1, "mails": 1, "merged": 0}

    def test_of_a_broadcast_that_is_half_processed_repeats_no_mail_of_another(self, relay, monkeypatch, chunks_of):
        """The look for what is due, in the midst of sending, finds the row gone."""
        monkeypatch.setattr(passes, "LOOK_UP", 0)
        chunks_of(1)
        for number in range(5):
            a_user(f"u{number}")
        good = sending(priority_level=9)
        queued(good, 20)
        bad = a_request(sender="info@example.org")

        def delete(argument):
            elsewhere(lambda: MessageRequest.objects.filter(pk=bad.pk).delete())

        relay.on("RCPT", delete, nth=8)
        code, said = cron()
        assert (code, state_of(good)) == (0, State.DONE), said
        to_good = [name for name in relay.recipients() if name.startswith(f"r{good.pk}n")]
        assert Counter(to_good) == {f"r{good.pk}n{number}@example.org": 1 for number in range(20)}
        assert max(Counter(relay.recipients()).values()) == 1

    @pytest.mark.parametrize("what", ["broadcast", "mails", "creator", "copies", "everything"])
    def test_of_what_is_in_flight_repeats_nothing_and_stops_nothing(self, relay, batches_of, what):
        batches_of(20)
        good, bad = sending(), sending()
        creator = a_user("creator")
        MessageRequest.objects.filter(pk=bad.pk).update(creator=creator)
        queued(good, 10)
        queued(bad, 10)
        incoming = IncomingMessage.objects.create(raw=b"Subject: Hello\r\n\r\nA body\r\n")
        forward = Forward.objects.create(incoming=incoming, headers=b"Subject: Hello\r\n", sender="a@example.org")
        for number in range(5):
            a_mail(f"copy{number}@example.org", forward=forward)

        def delete():
            if what in ("broadcast", "creator", "everything"):
                MessageRequest.objects.filter(pk=bad.pk).delete()
            if what in ("creator", "everything"):
                creator.delete()
            if what in ("mails", "everything"):
                TextOfEmail.objects.filter(messagerequest=bad.pk).delete()
            if what in ("copies", "everything"):
                IncomingMessage.objects.all().delete()

        relay.on("RCPT", lambda argument: elsewhere(delete), nth=4)
        code, said = cron()
        assert (code, state_of(good)) == (0, State.DONE), said
        assert cron()[0] == 0
        seen = Counter(relay.recipients())
        assert max(seen.values()) == 1
        assert {f"r{good.pk}n{number}@example.org" for number in range(10)} <= set(seen)
        assert not TextOfEmail.objects.exclude(state="sent").exists()

    def test_of_a_mail_that_is_sent_by_itself_is_no_error(self, relay):
        mail = a_mail()
        relay.on("RCPT", lambda argument: elsewhere(TextOfEmail.objects.all().delete))
        assert mail.send() is None
        each_once(relay, "ann")
        assert "does not wait" in str(mail.send())

    def test_of_a_message_whose_copies_are_refused_is_no_error(self, relay):
        incoming = IncomingMessage.objects.create(raw=b"Subject: Hello\r\n\r\nA body\r\n")
        forward = Forward.objects.create(incoming=incoming, headers=b"Subject: Hello\r\n", sender="a@example.org")
        a_mail("copy@example.org", forward=forward)

        def delete_and_refuse(argument):
            elsewhere(IncomingMessage.objects.all().delete)
            return "554 5.7.1 No"

        relay.on("RCPT", delete_and_refuse)
        assert send_at_once(forward.pk, 5).failed_count == 1


def locked():
    """The error of a database where others have held a lock for too long."""
    if VENDOR == "sqlite":
        cause: Exception = sqlite3.OperationalError("database is locked")
        cause.sqlite_errorcode = sqlite3.SQLITE_BUSY  # type: ignore[attr-defined]
        error = OperationalError(*cause.args)
    elif VENDOR == "postgresql":
        from psycopg.errors import LockNotAvailable

        cause = LockNotAvailable("canceling statement due to lock timeout")
        error = OperationalError(*cause.args)
    else:
        cause = error = OperationalError(1205, "Lock wait timeout exceeded; try restarting transaction")
    if cause is not error:
        error.__cause__ = cause
    return error


def test_others_who_are_in_the_way_fail_no_broadcast_however_often(relay):
    a_user("ann")
    bad, good = a_request(to=Q(username="ann")), a_request()

    def lock(call, sql, params):
        if sql.startswith("INSERT") and "dbmail_textofemail" in sql and params and params[0][0] == bad.pk:
            raise locked()

    with statements(lock):
        for _ in range(5):
            code, said = cron()
            assert (code, state_of(bad)) == (75, State.PROCESSING)
            assert f"Broadcast {bad.pk} waits for the next pass" in said
    assert state_of(good) == State.DONE
    assert cron()[0] == 0
    assert state_of(bad) == State.DONE
    assert Counter(relay.recipients()) == {"ann@example.org": 2}


class Outage:
    """From its first statement about `name` on, the database answers nothing until `over`."""

    def __init__(self, name):
        self.name, self.began = name, False

    def __call__(self, call, sql, params):
        self.began = self.began or self.name in (params or ())
        if self.began:
            raise OperationalError("the connection broke off")

    def over(self):
        self.began = False


def test_a_database_that_goes_away_fails_no_broadcast(relay):
    a_user("ann")
    request, outage = a_request(to=Q(username="ann")), Outage("ann")
    with statements(outage):
        assert cron()[0] == 75
    assert state_of(request) == State.PROCESSING
    assert cron()[0] == 0
    assert state_of(request) == State.DONE
    each_once(relay, "ann")


def test_a_database_that_goes_away_while_a_text_is_rendered_fails_no_broadcast(relay, while_made):
    """What a text shows may ask the database, and what that raises is an error of the text."""
    a_user("ann")
    request = a_request(
        msgtext="Dear {{ user.profile.guardian_name }}", sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN
    )
    outage = Outage(None)
    while_made(lambda: setattr(outage, "began", True))
    with statements(outage):
        assert cron()[0] == 75
    assert state_of(request) == State.PROCESSING
    assert cron()[0] == 0


def test_nobody_goes_without_mail_since_the_database_was_away_when_contacts_were_asked(relay, settings):
    a_user("ann")
    request = a_request(sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN)

    def lock(call, sql, params):
        if "outreach_profile" in sql:
            raise locked()

    with statements(lock):
        assert cron()[0] == 75
    assert cron()[0] == 0
    assert state_of(request) == State.DONE
    assert "unresolved" not in request.progress
    each_once(relay, "ann")


class TestSettingAside:
    def test_a_broadcast_that_ends_its_worker_three_times_is_set_aside(self, relay, while_made):
        def end():
            raise Unheard

        a_user("ann")
        bad = a_request(sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN)
        good = a_request()
        for _ in range(3):
            while_made(end)
            with pytest.raises(Unheard):  # as by kill -9: nothing of this process catches it
                bad.process()
            assert state_of(bad) == State.PROCESSING
        code, said = cron()
        assert (code, state_of(bad), state_of(good)) == (70, State.FAILED, State.DONE), said
        assert bad.state_reason.startswith("It was set aside: 3 times")
        each_once(relay, "ann")
        assert bad.resume() and cron()[0] == 0
        assert state_of(bad) == State.DONE

    def test_a_broadcast_that_takes_the_database_down_three_times_is_set_aside(self, relay):
        a_user("ann")
        bad, good, outage = a_request(to=Q(username="ann")), a_request(), Outage("ann")
        with statements(outage):
            for _ in range(3):
                assert cron()[0] == 75
                outage.over()
            code, said = cron()
        assert (code, state_of(bad), state_of(good)) == (70, State.FAILED, State.DONE), said

    def test_whoever_gets_further_is_not(self, relay, chunks_of, while_made):
        chunks_of(1)

        def end():
            raise Unheard

        for number in range(5):
            a_user(f"u{number}")
        request = a_request(sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN)
        for _ in range(4):
            chunks = passes.process_in_chunks(request)
            next(chunks)
            while_made(end)
            with pytest.raises(Unheard):
                next(chunks)
        assert cron()[0] == 0
        assert state_of(request) == State.DONE
        each_once(relay, *(f"u{number}" for number in range(5)))


def missing(table, verb=""):
    """As if `table` were not there; the database answers everything else."""

    def act(call, sql, params):
        if f" {connection.ops.quote_name(table)}" in sql and sql.startswith(verb):
            call("SELECT * FROM no_such_table")

    return act


PARTS = [
    ("dbmail_heartbeat", "", "The sign of life"),
    ("dbmail_preflight", "", "The look over drafts"),
    ("dbmail_textofemail", "SELECT DISTINCT", "Taking over from dead workers"),
]


class TestParts:
    @pytest.mark.parametrize(("table", "verb", "name"), PARTS)
    def test_one_that_always_fails_keeps_no_mail_back(self, relay, table, verb, name):
        a_user("ann")
        request = a_request()
        with statements(missing(table, verb)):
            code, said = cron()
        assert (code, state_of(request)) == (75, State.DONE), said
        assert f"Not all went well. {name}: " in said
        each_once(relay, "ann")

    def test_expiry_that_always_fails_keeps_no_mail_back(self, relay, monkeypatch):
        def fail():
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")

        for name in ("expire_requests", "expire_mails", "drop_cancelled", "finish_requests", "report_failures"):
            monkeypatch.setattr(passes, name, fail if name != "report_failures" else lambda report: fail())
        a_user("ann")
        a_request()
        code, said = cron()
        assert code == 75 and said.count("Not all went well.") == 5
        each_once(relay, "ann")

    def test_limits_that_cannot_be_counted_hold_mail_back_and_nothing_else(self, relay, settings, monkeypatch):
        monkeypatch.setattr("dbmail.database.PATIENCE", 0)
        settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "1000/h"}}
        a_user("ann")
        request = a_request()
        with statements(missing("dbmail_ratecount")):
            code, said = cron()
        assert (code, state_of(request)) == (75, State.SENDING), said
        assert "Mail waits: " in said and relay.messages == []
        assert cron()[0] == 0
        each_once(relay, "ann")

    def test_a_log_of_tries_that_is_missing_repeats_no_mail(self, relay, monkeypatch):
        monkeypatch.setattr("dbmail.database.PATIENCE", 0)
        a_user("ann")
        a_request()
        with statements(missing("dbmail_attempt")):
            cron()
        cron()
        each_once(relay, "ann")

    def test_notices_that_fail_end_nothing(self, relay, monkeypatch):
        creator = an_admin()
        monkeypatch.setattr(type(creator), "get_email_field_name", classmethod(lambda cls: 1 / 0), raising=False)
        request = sending()
        queued(request, 2)
        relay.reply("RCPT", "", "554 5.7.1 No")
        assert cron()[0] == 0
        assert state_of(request) == State.DONE


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error", [RuntimeError("\udcff"), RuntimeError("a\0b"), RuntimeError("\x1b[2J"), Mute()], ids=ascii
)
class TestWhatProjectCodeSays:
    """What cannot be stored, or not even be said, stops nothing else; and no terminal obeys it."""

    def test_while_mails_are_made(self, relay, monkeypatch, error):
        self._fail(monkeypatch, get_user_model(), "get_short_name", error)
        ann = a_user("ann")
        bad, good = a_request(msgtext="{{ user.get_short_name }}"), a_request()
        code, _ = cron()
        assert (code, state_of(bad), state_of(good)) == (70, State.FAILED, State.DONE)
        assert bad.state_reason.replace("\n", "").isprintable()
        each_once(relay, ann.username)

    def test_about_the_creator(self, relay, monkeypatch, error):
        self._fail(monkeypatch, get_user_model(), "get_full_name", error)
        a_user("ann")
        bad = a_request(sender="")
        code, said = cron()
        assert (code, state_of(bad)) == (70, State.FAILED)
        assert (bad.state_reason + said).replace("\n", "").isprintable()

    def test_while_a_mail_leaves(self, relay, monkeypatch, error):
        self._fail(monkeypatch, get_user_model(), "get_full_name", error)
        row, _ = a_mail(messagerequest=a_request(sender="", state=State.SENDING)), a_mail("bob@example.org")
        cron()
        row.refresh_from_db()
        assert (row.state, row.tries) == ("queued", 1) and row.last_reply.isprintable()
        each_once(relay, "bob")

    def test_in_a_part_of_a_pass(self, relay, monkeypatch, error):
        self._fail(monkeypatch, passes, "recover", error)
        a_mail()
        code, said = cron()
        assert code == 75 and "Taking over" in said and said.replace("\n", "").isprintable()
        each_once(relay, "ann")

    @staticmethod
    def _fail(monkeypatch, owner, name, error):
        def fail(*args):
            raise error

        monkeypatch.setattr(owner, name, fail)
