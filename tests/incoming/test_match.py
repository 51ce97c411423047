"""Rows match addresses as the contract says, and no expression can hang the gate."""

import contextlib
import signal
import sys
import threading
import time

import pytest

from dbmail.incoming import match as matching
from dbmail.incoming.match import BadPattern, Match, SlowPattern, match

from ..waiting import until

CATASTROPHIC = [r"^(a+)+$", r"^(a|aa)+$", r"^([a-z]+)*@x$", r"^(\w+\s?)*$", r"(x+x+)+y", r"^((a+)+)+\.$"]
HARD = ("a" * 60 + "!", "x" * 64)


@pytest.fixture(params=["re2", "signal", "child"])
def way(request, monkeypatch):
    """Each of the three ways to match, by the name of what makes it safe."""
    monkeypatch.setattr(matching, "LIMIT", 0.1)
    if request.param == "re2":
        pytest.importorskip("re2")
        yield lambda *arguments: match(*arguments)
        return
    monkeypatch.setattr(matching, "re2", None)
    matching._linear.cache_clear()
    if request.param == "signal":
        yield lambda *arguments: match(*arguments)
    else:
        yield lambda *arguments: in_thread(match, *arguments)
    matching._linear.cache_clear()


def in_thread(function, *arguments):
    answer = []

    def run():
        try:
            answer.append(function(*arguments))
        except Exception as error:
            answer.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(answer[0], Exception):
        raise answer[0]
    return answer[0]


@pytest.mark.parametrize(
    ("regex", "local_part", "wanted"),
    [
        (r"^\w(\d+)-(class|teachers|students)$", "s123-students", Match(("123", "students"))),
        (r"^\w(\d+)-(class|teachers|students)$", "S123-Students", Match(("123", "Students"))),
        (r"^(.+)-students@", "s123-students", Match(("s123",))),
        (r"^(.+)-students@", "s123-teachers", None),
        (r"^(.+)@example\.org$", "ann", Match(("ann",))),
        (r"^(.+)@example\.com$", "ann", None),
        (r"^(?P<code>\w+)-(?P<kind>students)$", "a1-students", Match((), {"code": "a1", "kind": "students"})),
        (r"^(a)(b)?$", "a", Match(("a", None))),
        (r"^(.*)$", "", Match(("",))),
        (r"irect", "directors", Match()),
    ],
)
def test_a_row_is_matched_against_the_local_part_or_with_an_at_sign_against_the_address(
    way, regex, local_part, wanted
):
    assert way(regex, local_part, "example.org") == wanted


@pytest.mark.parametrize("regex", CATASTROPHIC)
def test_no_expression_takes_longer_than_its_limit(way, regex):
    for local_part in HARD:
        begin = time.monotonic()
        with contextlib.suppress(SlowPattern):
            assert way(regex, local_part, "example.org") in (None, Match(), Match(("x" * 64,)))
        assert time.monotonic() - begin < 3


def test_a_look_around_that_re2_does_not_know_is_matched_all_the_same(way):
    assert way(r"^(?!spam)(\w+)$", "ham", "example.org") == Match(("ham",))
    assert way(r"^(?!spam)(\w+)$", "spam", "example.org") is None
    with pytest.raises(SlowPattern):
        way(r"^(?!spam)(a+)+$", "a" * 60 + "!", "example.org")


@pytest.mark.parametrize("regex", ["(", "[a", "*", "(?P<x>a)(?P<x>b)", "a{99999999999}"])
def test_an_expression_that_does_not_compile_is_named(way, regex):
    with pytest.raises(BadPattern, match="not a regular expression"):
        way(regex, "a", "example.org")


@pytest.mark.parametrize("local_part", ["a", "b", "a" * 60 + "!"])
def test_nothing_rings_after_a_match_whether_it_was_found_or_not_or_took_too_long(monkeypatch, local_part):
    """An alarm that is left behind ends the gate a second later, or whatever process it is that asked."""
    monkeypatch.setattr(matching, "LIMIT", 0.1)
    before = signal.getsignal(signal.SIGALRM)
    of_the_tests = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        with contextlib.suppress(SlowPattern):
            match(r"^(?!spam)(a+)+$", local_part, "example.org")
        left = signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *of_the_tests)
    assert left == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before


def test_an_alarm_that_was_set_before_still_rings():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        match(r"^(?!b)a$", "a", "example.org")
        until(lambda: rung, 5)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def in_child(monkeypatch):
    """Matches in a process of its own, as a thread does without re2."""
    monkeypatch.setattr(matching, "re2", None)
    matching._linear.cache_clear()
    yield lambda *arguments: in_thread(match, *arguments)
    matching._linear.cache_clear()


def test_where_a_web_server_runs_python_inside_itself_the_python_beside_it_matches(in_child, monkeypatch):
    for server in ("/usr/sbin/apache2", "", None):
        monkeypatch.setattr(sys, "executable", server)
        assert in_child("^(a)$", "a", "example.org") == Match(("a",))


def test_the_python_that_runs_is_the_one_that_matches(in_child, monkeypatch):
    monkeypatch.setattr(sys, "exec_prefix", "/nowhere")
    assert in_child("^(a)$", "a", "example.org") == Match(("a",))


def test_a_process_that_fails_or_cannot_be_started_is_no_answer(in_child, monkeypatch, tmp_path):
    broken = tmp_path / "python-broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    for python in (broken, tmp_path / "python-missing"):
        monkeypatch.setattr(sys, "executable", str(python))
        with pytest.raises(SlowPattern, match="No process"):
            in_child("^(a)$", "a", "example.org")
