"""Whose fault an error is, asked of the real database in every state that it can be left in."""

import threading

import pytest
from django.db import DatabaseError, Error, InterfaceError, OperationalError, connection, connections, transaction

from dbmail.blame import Blame, blame, database_error, is_a_bug
from dbmail.database import after_deadlock
from dbmail.models import PlainRedirect
from dbmail.stop import Stop

pytestmark = pytest.mark.django_db(transaction=True)


def run(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def error_of(work):
    with pytest.raises(Error) as raised:
        work()
    return raised.value


def a_wrong_statement():
    return error_of(lambda: run("SELECT * FROM no_such_table"))


def test_an_error_of_a_statement_is_its_own():
    assert blame(a_wrong_statement()) is Blame.OWN


def test_an_error_that_has_nothing_to_do_with_the_database_asks_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert blame(ValueError("no")) is Blame.OWN


def test_an_error_of_the_database_is_found_behind_others():
    wrong = a_wrong_statement()
    try:
        try:
            raise wrong
        except DatabaseError as error:
            raise ValueError("the text fails") from error
    except ValueError as error:
        assert database_error(error) is wrong


def test_a_transaction_that_code_began_behind_django_s_back_and_broke_is_ended():
    run("BEGIN")
    assert blame(a_wrong_statement()) is Blame.OWN
    with transaction.atomic():
        PlainRedirect.objects.create(original="all", destination="ann@example.org")
    assert PlainRedirect.objects.get().original == "all"


def test_in_a_transaction_of_the_caller_s_nothing_of_it_is_undone():
    with transaction.atomic():
        PlainRedirect.objects.create(original="all", destination="ann@example.org")
        try:
            with transaction.atomic():
                run("SELECT * FROM no_such_table")
        except DatabaseError as error:
            assert blame(error) is Blame.OWN
    assert PlainRedirect.objects.exists()


def test_a_transaction_of_the_caller_s_that_is_broken_takes_no_work():
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        transaction.set_rollback(True)
        error = error_of(lambda: run("SELECT 1"))
        assert blame(error) is Blame.DATABASE
        raise error


def test_a_connection_that_was_closed_before_is_opened_again():
    wrong = a_wrong_statement()
    connection.close()
    assert blame(wrong) is Blame.OWN
    run("SELECT 1")


of_a_server = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server")
of_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL alone speaks of conflicts")


@of_a_server
def test_a_connection_that_broke_off_is_the_database_s_fault_also_where_it_answers_again():
    vendor = connection.vendor
    run("SELECT 1")
    (number,) = _ask("SELECT pg_backend_pid()" if vendor == "postgresql" else "SELECT CONNECTION_ID()")
    kill = "SELECT pg_terminate_backend(%s)" if vendor == "postgresql" else "KILL %s"

    def elsewhere():
        run(kill % number)
        connections.close_all()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert blame(error_of(lambda: run("SELECT 1"))) is Blame.DATABASE
    connection.close()
    run("SELECT 1")


@of_a_server
def test_a_lock_that_is_waited_for_too_long_is_nobody_s_fault():
    PlainRedirect.objects.create(original="all", destination="ann@example.org")
    holds, done = threading.Event(), threading.Event()

    def other():
        with transaction.atomic():
            PlainRedirect.objects.update(destination="bob@example.org")
            holds.set()
            done.wait(30)
        connections.close_all()

    thread = threading.Thread(target=other)
    thread.start()
    assert holds.wait(10)
    limit = "lock_timeout = 100" if connection.vendor == "postgresql" else "innodb_lock_wait_timeout = 1"
    run(f"SET {limit}")
    try:
        error = error_of(lambda: PlainRedirect.objects.update(destination="eve@example.org"))
    finally:
        done.set()
        thread.join()
        connection.close()
    assert blame(error) is Blame.CONTENTION


@of_postgresql
def test_transactions_that_are_stricter_than_by_default_are_done_again():
    row = PlainRedirect.objects.create(original="all", destination="ann@example.org")
    tries = []

    def change():
        PlainRedirect.objects.filter(pk=row.pk).update(destination="bob@example.org")
        connections.close_all()

    @after_deadlock
    def work():
        with transaction.atomic():
            run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            list(PlainRedirect.objects.all())
            if not tries:
                thread = threading.Thread(target=change)
                thread.start()
                thread.join()
            tries.append(1)
            PlainRedirect.objects.filter(pk=row.pk).update(destination="eve@example.org")

    work()
    assert len(tries) == 2
    assert PlainRedirect.objects.get().destination == "eve@example.org"


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("gone")])
def test_a_database_that_does_not_answer_is_to_blame(monkeypatch, error):
    def answer_nothing(execute, sql, params, many, context):
        raise error

    with connection.execute_wrapper(answer_nothing):
        assert blame(error_of(lambda: run("SELECT 1"))) is Blame.DATABASE
    run("SELECT 1")


def test_system_exit_is_a_bug_only_while_no_signal_can_raise_it():
    assert not is_a_bug(SystemExit()) and not is_a_bug(KeyboardInterrupt())
    with Stop():
        assert is_a_bug(SystemExit()) and is_a_bug(KeyboardInterrupt())
        assert not is_a_bug(GeneratorExit())
    assert not is_a_bug(SystemExit()) and is_a_bug(RuntimeError())


def _ask(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()
