"""Each rule by itself: values in, a decision with its reason out."""

from dataclasses import replace

import pytest

from dbmail.addresses import Mailbox
from dbmail.incoming.authentication import Result
from dbmail.incoming.facts import Envelope, Facts
from dbmail.incoming.rules import Limits, Route, Standing, Verdict, judge_message, judge_row, list_id

ENVELOPE = Envelope("directors", "example.org", "ann@home.test")
LIMITS = Limits(max_size=1000, max_recipients=10, own_domains=("example.org", ".example.net"))
VOUCHED = (Result("dmarc", "pass", {"header.from": "home.test"}),)
FACTS = Facts(size=100, author=Mailbox("ann@home.test"), results=VOUCHED)
LIST = Route(is_list=True, who_may_post="anyone", refuse=False, admin_hold=False, recipients=3)
ALIAS = replace(LIST, is_list=False)
NOBODY, STAFF = Standing(), Standing(is_registered=True, is_staff=True)


def row(facts=FACTS, route=LIST, who=NOBODY, envelope=ENVELOPE, approved=False):
    decision = judge_row(envelope, facts, LIMITS, route, who, approved=approved)
    assert decision.reason
    return decision.verdict.value, decision.rule


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"size": 1001}, ("reject", "size", 65)),
        ({"size": 0}, ("reject", "empty", 65)),
        ({"received": 26}, ("drop", "hops", 0)),
        ({"loops": frozenset(["directors@example.org"])}, ("drop", "loop", 0)),
        ({"list_ids": frozenset(["directors.example.org"])}, ("drop", "loop", 0)),
        ({"received": 25, "loops": frozenset(["others@example.org"]), "list_ids": frozenset(["a.b"])}, None),
    ],
)
def test_loops_and_sizes(changes, rule):
    decision = judge_message(ENVELOPE, replace(FACTS, **changes), LIMITS)
    assert (decision and (decision.verdict.value, decision.rule, decision.exit_code)) == rule


def test_a_loop_is_seen_through_a_tag():
    envelope = Envelope("directors+x", "example.org", "ann@home.test")
    facts = replace(FACTS, loops=frozenset(["directors@example.org"]))
    assert judge_message(envelope, facts, LIMITS).rule == "loop"


@pytest.mark.parametrize(
    ("facts", "on_a_list"),
    [
        (replace(FACTS, is_auto_reply=True), ("drop", "auto-reply")),
        (replace(FACTS, auto_submitted="auto-generated"), ("hold", "automatic")),
        (replace(FACTS, precedence="bulk"), ("hold", "automatic")),
        (replace(FACTS, precedence="list"), ("hold", "automatic")),
        (replace(FACTS, list_ids=frozenset(["other.list"])), ("hold", "automatic")),
        (FACTS, ("send", "clear")),
    ],
)
def test_machines_do_not_post_to_lists_but_may_write_to_a_person(facts, on_a_list):
    assert row(facts) == on_a_list
    assert row(facts, ALIAS) == ("send", "clear")


def test_a_null_sender_posts_to_no_list_but_a_person_gets_their_bounces():
    envelope = replace(ENVELOPE, sender="")
    assert row(envelope=envelope) == ("drop", "null-sender")
    assert row(envelope=envelope, approved=True) == ("drop", "null-sender")
    assert row(envelope=envelope, route=ALIAS) == ("send", "clear")


@pytest.mark.parametrize("route", [LIST, ALIAS])
@pytest.mark.parametrize("domain", ["example.org", "example.net", "sub.example.net", "EXAMPLE.org"])
def test_our_own_domain_needs_a_proof_even_where_anyone_may_post(domain, route):
    author = Mailbox(f"boss@{domain}")
    assert row(replace(FACTS, author=author), route, STAFF) == ("hold", "spoofed")
    proof = (Result("dkim", "pass", {"header.d": domain.lower()}),)
    assert row(replace(FACTS, author=author, results=proof), route, STAFF) == ("send", "clear")


def test_without_one_author_a_message_waits():
    assert row(replace(FACTS, author=None)) == ("hold", "author")


@pytest.mark.parametrize(
    ("who_may_post", "allowed"),
    [
        ("registered", [Standing(is_registered=True), STAFF]),
        ("members", [Standing(is_member=True), STAFF]),
        ("staff", [STAFF]),
        ("nobody", []),
    ],
)
def test_who_may_post(who_may_post, allowed):
    everybody = [NOBODY, Standing(is_registered=True), Standing(is_member=True), STAFF]
    route = replace(LIST, who_may_post=who_may_post)
    for who in everybody:
        assert row(route=route, who=who) == (("send", "clear") if who in allowed else ("hold", "posting"))
        assert row(replace(FACTS, results=()), route, who) == ("hold", "posting")
        assert row(route=route, who=who, approved=True)[0] == "send"


def test_a_row_that_refuses_tells_strangers_but_holds_what_may_be_forged():
    route = replace(LIST, who_may_post="staff", refuse=True)
    assert row(route=route) == ("reject", "posting")
    assert row(replace(FACTS, results=()), route, STAFF) == ("hold", "posting")
    assert row(route=replace(route, who_may_post="nobody")) == ("hold", "posting")


def test_a_value_that_nobody_knows_lets_nobody_post():
    assert row(route=replace(LIST, who_may_post="everybody"), who=STAFF) == ("hold", "posting")


def test_a_moderated_row_holds_everything_and_a_crowd_is_held():
    assert row(route=replace(LIST, admin_hold=True), who=STAFF) == ("hold", "moderated")
    assert row(route=replace(LIST, recipients=11)) == ("hold", "recipients")
    assert row(route=replace(LIST, recipients=11, admin_hold=True), approved=True) == ("send", "approved")


def test_a_repeated_message_is_dropped_and_a_changed_one_held():
    assert row(route=replace(LIST, seen_before="same")) == ("drop", "repeated")
    assert row(route=replace(LIST, seen_before="changed")) == ("hold", "repeated")
    assert row(route=replace(ALIAS, seen_before="same")) == ("send", "clear")


def test_a_list_id_is_made_of_letters_that_may_stand_in_one():
    assert list_id(Envelope("A b<ü>", "Example.org")) == "a-b---.example.org"
    assert Verdict.SEND == "send"
