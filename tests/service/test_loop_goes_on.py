"""Nothing ends the loop but a signal: whatever goes wrong in a turn, the next one comes."""

import signal
from collections import Counter

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection
from django.db.models import Q

from dbmail.models import MessageRequest
from dbmail.service import loop as loop_module
from dbmail.service.loop import Listener, Loop
from dbmail.stop import Stop

from ..builders import a_mail, a_request, a_user

pytestmark = pytest.mark.django_db(transaction=True)

#: Turns after which a test has failed: each takes a hundredth of a second.
ENOUGH = 300


class Turns:
    """Runs a loop until `done`, which is asked in each pass; then a real signal ends it."""

    def __init__(self, done):
        self.done, self.passes = done, 0

    def run(self, tell=lambda report: None):
        with Stop() as stop:
            self.stop = stop
            Loop(stop, 0.01, tell, self.look).run()
            assert stop()
        assert self.passes < ENOUGH, "what was waited for did not happen"

    def look(self, report):
        self.passes += 1
        if self.stop():
            return  # a second signal would end the tests
        if self.done() or self.passes >= ENOUGH:
            signal.raise_signal(signal.SIGTERM)


class Fails:
    """The first statements about a table raise an error."""

    def __init__(self, table, error, times=2):
        self.table, self.error, self.times, self.raised = table, error, times, 0

    def __call__(self, execute, sql, params, many, context):
        if f"{connection.ops.quote_name(self.table)}" in sql and self.raised < self.times:
            self.raised += 1
            if self.error is None:
                return execute("SELECT * FROM no_such_table", None, False, context)
            raise self.error
        return execute(sql, params, many, context)


TABLES = [
    "dbmail_heartbeat",
    "dbmail_messagerequest",
    "dbmail_textofemail",
    "dbmail_emailrequest",
    "dbmail_attempt",
    "dbmail_ratecount",
    "dbmail_relaytrouble",
    "dbmail_suppression",
    "dbmail_preflight",
    "dbmail_persistentqueryfilter",
    "auth_user",
]


@pytest.mark.parametrize(
    ("table", "error"),
    [
        *((table, error) for table in TABLES for error in (None, SystemExit("no"))),
        *((table, IntegrityError("no")) for table in ("dbmail_textofemail", "dbmail_emailrequest")),
    ],
    ids=repr,
)
def test_an_error_of_any_table_ends_no_loop_and_repeats_no_mail(relay, settings, monkeypatch, table, error):
    monkeypatch.setattr("dbmail.database.PATIENCE", 0)
    settings.DBMAIL = {**settings.DBMAIL, "RATES": {"all": "1000/h"}}
    mail = a_mail("bob@example.org")
    a_user("ann")
    request = a_request(to=Q(username="ann"))
    fails = Fails(table, error)

    def done():
        if not fails.raised:
            return False
        request.refresh_from_db()
        mail.refresh_from_db()
        return mail.state == "sent" and request.state in ("done", "failed")

    with connection.execute_wrapper(fails):
        Turns(done).run()
    to_people = Counter(relay.recipients())
    del to_people["admin@example.org"], to_people["bounces@example.org"]
    assert to_people["bob@example.org"] == 1
    assert max(to_people.values()) == 1
    request.refresh_from_db()
    assert to_people["ann@example.org"] == (request.state == "done")


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt, StopIteration])
def test_project_code_that_raises_ends_no_loop_and_a_signal_does(relay, monkeypatch, error):
    def full_name(user):
        if user.username == "bad":
            raise error("of the project's own")
        return ""

    monkeypatch.setattr(get_user_model(), "get_full_name", full_name)
    a_user("ann")
    a_user("bad")
    bad, good = a_request(), a_request(to=Q(username="ann"))

    def done():
        return dict(MessageRequest.objects.values_list("pk", "state")) == {bad.pk: "failed", good.pk: "done"}

    Turns(done).run()
    assert relay.recipients().count("ann@example.org") == 1


@pytest.mark.parametrize("error", [BrokenPipeError, SystemExit])
@pytest.mark.parametrize("where", ["tell", "due", "listen"])
def test_an_error_around_the_pass_ends_no_loop(relay, monkeypatch, where, error):
    raised = []

    def fail(*args, **kwargs):
        raised.append(error)
        raise error("nobody reads it")

    if where == "due":
        monkeypatch.setattr(loop_module, "next_due", fail)
    if where == "listen":
        monkeypatch.setattr(Listener, "listen", lambda self: None if raised else fail())
    mail = a_mail()

    def done():
        mail.refresh_from_db()
        return mail.state == "sent" and raised

    Turns(done).run(fail if where == "tell" else lambda report: None)
    assert relay.recipients() == ["ann@example.org"]
