"""Kills, races, broken connections and tired services, through the script."""

import os
import signal

import pytest

from .conftest import Run
from .services import GandiService, SendGridService


def test_killed_between_sendgrid_and_dns_it_goes_on_where_it_stopped(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    gandi.before_write = lambda: os.kill(process.pid, signal.SIGKILL)
    process = run.start("--yes", "example.org")
    assert process.wait(60) == -signal.SIGKILL
    gandi.before_write = lambda: None
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert [len(entries) for entries in sendgrid.entries.values()] == [1, 1]


def test_killed_inside_sendgrids_create_it_finds_what_was_made(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    sendgrid.before_create = lambda kind, given: os.kill(process.pid, signal.SIGKILL)
    process = run.start("--yes", "example.org")
    assert process.wait(60) == -signal.SIGKILL
    sendgrid.before_create = lambda kind, given: None
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert [len(entries) for entries in sendgrid.entries.values()] == [1, 1]


def test_two_runs_at_once_agree_on_one_entry(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    processes = [run.start("--yes", "example.org", "news.example.org") for _ in range(3)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert [len(entries) for entries in sendgrid.entries.values()] == [2, 2]
    spf = [value for value in gandi.zones["example.org"]["@", "TXT"][1] if "v=spf1" in value]
    assert spf == ['"v=spf1 include:sendgrid.net ~all"']


def test_another_run_creates_the_same_just_before(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    """Both have looked and found nothing; ours is made second and taken back."""

    def other_run(kind: str, given: dict) -> None:
        sendgrid.make(kind, {"domains": 1, "links": 2}[kind], "example.org")

    sendgrid.before_create = other_run
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert [[e["id"] for e in entries] for entries in sendgrid.entries.values()] == [[1], [2]]
    assert ("em1", "CNAME") in gandi.zones["example.org"]
    assert not [name for name, _ in gandi.zones["example.org"] if name.startswith("em1") and name != "em1"]


def test_the_same_subdomain_made_just_before_is_used(run: Run, sendgrid: SendGridService) -> None:
    def other_run(kind: str, given: dict) -> None:
        sendgrid.make(kind, 1, "example.org", given.get("subdomain"))

    sendgrid.before_create = other_run
    code, output = run("--yes", "--no-links", "--subdomain", "em", "example.org")
    assert code == 0, output
    assert [e["id"] for e in sendgrid.entries["domains"]] == [1]


def test_a_record_that_somebody_else_makes_meanwhile_is_not_overwritten(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    sendgrid.make("domains", 5, "example.org")

    def somebody() -> None:
        gandi.zones["example.org"].setdefault(("em5", "CNAME"), (300, ["shop.example.net."]))

    gandi.before_write = somebody
    code, output = run("--yes", "example.org")
    assert code == 3, output
    assert gandi.zones["example.org"]["em5", "CNAME"] == (300, ["shop.example.net."])
    assert "em5.example.org CNAME shop.example.net is in the way" in output


def test_spf_that_somebody_else_makes_meanwhile_is_merged(run: Run, gandi: GandiService) -> None:
    def somebody() -> None:
        gandi.zones["example.org"].setdefault(("@", "TXT"), (300, ['"v=spf1 mx -all"']))

    gandi.before_write = somebody
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert gandi.zones["example.org"]["@", "TXT"][1] == ['"v=spf1 mx include:sendgrid.net -all"']


@pytest.mark.parametrize("status", [0, 500, 503])
def test_a_create_that_breaks_off_is_not_repeated_blindly(run: Run, sendgrid: SendGridService, status: int) -> None:
    """0: it was carried out, then the line broke. 500: it was not."""
    sendgrid.faults.append(("POST", status, {}))
    code, output = run("--yes", "--no-links", "example.org")
    assert code == 0, output
    assert len(sendgrid.entries["domains"]) == 1


def test_too_many_requests_are_waited_out(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    later = {"Retry-After": "0"}
    sendgrid.faults += [("*", 429, later), ("POST", 429, later), ("GET", 502, later)]
    gandi.faults += [("*", 429, later), ("GET", 503, later), ("POST", 500, later), ("POST", 0, {})]
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert [len(entries) for entries in sendgrid.entries.values()] == [1, 1]


def test_a_service_that_stays_down_fails_the_domain_and_says_so(run: Run, gandi: GandiService) -> None:
    gandi.faults += [("*", 503, {"Retry-After": "0"})] * 5
    code, output = run("--yes", "example.org")
    assert code == 3, output
    assert "Gandi: GET /domains/example.org failed 5 times (503: out of order). Run again later." in output


def test_a_failure_halfway_is_made_good_by_the_next_run(run: Run, gandi: GandiService) -> None:
    writes = []

    def third_fails() -> None:
        writes.append(1)
        if len(writes) == 3:
            gandi.faults += [("*", 403, {})]

    gandi.before_write = third_fails
    code, output = run("--yes", "example.org", "news.example.org")
    assert code == 3, output
    assert "news.example.org: done" in output
    code, output = run("--yes", "example.org", "news.example.org")
    assert code == 0, output


def test_ctrl_c_ends_it_with_a_word(run: Run, gandi: GandiService) -> None:
    gandi.publish = lambda zone: None
    # Where a shell started the tests in its background, they ignore Ctrl-C, and a child would too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = run.start("--yes", "--wait", "60", "example.org")
    signal.signal(signal.SIGINT, before)
    output = ""
    for line in process.stdout:
        output += line
        if "waiting for DNS" in line:
            process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130, output
    assert "Interrupted. Run it again: it goes on where it stopped." in output
