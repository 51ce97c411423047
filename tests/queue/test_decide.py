"""What follows from an answer."""

from datetime import timedelta
from itertools import pairwise

import pytest

from dbmail.conf import Config
from dbmail.conf.groups import Retry
from dbmail.delivery.smtp import Reply, Stage
from dbmail.queue.decide import Fate, decide

POLICY = Config()


@pytest.mark.parametrize(
    ("code", "text", "stage", "fate"),
    [
        (250, "2.0.0 OK", Stage.END, Fate.SENT),
        (450, "4.2.1 Greylisted", Stage.RCPT, Fate.RETRY),
        (452, "4.3.1 Disk full", Stage.MAIL, Fate.POSTPONE),
        (452, "4.3.4 Too big for now", Stage.MAIL, Fate.RETRY),
        (451, "4.3.0 Queue file write error", Stage.END, Fate.RETRY),
        (451, "4.7.1 Later", Stage.END, Fate.RETRY),
        (421, "4.3.2 Shutting down", Stage.RCPT, Fate.RETRY),
        (421, "4.3.2 Shutting down", Stage.MAIL, Fate.POSTPONE),
        (0, "The line broke", Stage.MAIL, Fate.POSTPONE),
        (0, "The line broke", Stage.END, Fate.RETRY),
        (550, "5.1.1 No such user", Stage.RCPT, Fate.FAIL),
        (554, "5.7.1 Spam", Stage.END, Fate.FAIL),
        (552, "5.3.4 Too big", Stage.MAIL, Fate.FAIL),
        (550, "5.7.1 Sender refused", Stage.MAIL, Fate.STOP),
        (550, "5.1.8 Bad sender", Stage.RCPT, Fate.STOP),
        (500, "5.5.2 What?", Stage.RCPT, Fate.FAIL),
        (500, "5.5.2 What?", Stage.MAIL, Fate.STOP),
        (421, "Too many connections", Stage.CONNECT, Fate.STOP),
        (535, "5.7.8 Wrong password", Stage.LOGIN, Fate.STOP),
    ],
)
def test_each_answer_has_its_fate(code, text, stage, fate):
    decision = decide(Reply(code, text, stage), 0, POLICY)
    assert decision.fate is fate
    assert text in decision.reason


@pytest.mark.parametrize(
    ("text", "suppress"),
    [("5.1.1 No such user", True), ("5.1.2 No such domain", True), ("5.2.2 Mailbox full", False), ("No", False)],
)
def test_only_an_address_that_does_not_exist_is_suppressed(text, suppress):
    assert decide(Reply(550, text, Stage.RCPT), 0, POLICY).suppress is suppress


def test_waits_double_and_last_about_two_days():
    waits = [decide(Reply(450, "", Stage.RCPT), tries, POLICY).wait for tries in range(7)]
    assert all(later == 2 * earlier for earlier, later in pairwise(waits))
    assert timedelta(days=1.5) < sum(waits, timedelta()) < timedelta(days=2.5)
    assert decide(Reply(450, "", Stage.RCPT), 7, POLICY).fate is Fate.FAIL


def test_jitter_spreads_the_waits():
    for stage in (Stage.RCPT, Stage.MAIL):
        assert decide(Reply(450, "", stage), 0, POLICY, jitter=1.1).wait == POLICY.retry.wait * 1.1


@pytest.mark.parametrize(("retries", "words"), [(1, "1 try has failed."), (8, "8 tries have failed.")])
def test_out_of_tries_it_says_how_many(retries, words):
    decision = decide(Reply(450, "4.2.1 Greylisted", Stage.RCPT), retries - 1, Config(retry=Retry(tries=retries)))
    assert (decision.fate, decision.reason) == (Fate.FAIL, f"450 4.2.1 Greylisted; {words}")


def test_a_refused_sender_is_said_to_be_ours():
    decision = decide(Reply(550, "5.7.1 No", Stage.MAIL), 0, POLICY)
    assert decision.reason == "The relay refuses our envelope sender: 550 5.7.1 No"
    too_big = decide(Reply(554, "5.3.4 Too big", Stage.MAIL), 0, POLICY)  # which is no fault of the sender's
    assert too_big.fate is Fate.FAIL


def test_a_mail_that_may_have_arrived_is_held_if_a_setting_says_so():
    decision = decide(Reply(0, "gone", Stage.END), 0, Config(in_doubt="hold"))
    assert decision.fate is Fate.IN_DOUBT
    assert decision.reason.endswith("gone (at end of data); the relay may have taken it.")


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.END])
@pytest.mark.parametrize("text", ["", "5.3.4 Too big", "5.2.3 Too big for this mailbox", "5.1.8 Too big"])
def test_a_mail_that_is_too_big_fails_alone_whatever_else_the_relay_says_of_it(stage, text):
    """552 is about the mail or the mailbox (RFC 5321, 4.2.2), never about the sender, for whom the pass would end."""
    decision = decide(Reply(552, text, stage), 0, POLICY)
    assert (decision.fate, decision.suppress) == (Fate.FAIL, False)


def test_the_code_next_to_it_is_about_the_sender():
    assert decide(Reply(551, "", Stage.MAIL), 0, POLICY).fate is Fate.STOP
    stop = decide(Reply(553, "", Stage.MAIL), 0, POLICY)
    assert (stop.fate, stop.wait) == (Fate.STOP, POLICY.retry.wait)


@pytest.mark.parametrize(("code", "text"), [(421, "4.3.2 Shutting down"), (451, "4.3.0 Later"), (450, "")])
def test_a_mail_that_was_refused_is_not_in_doubt_if_what_may_have_arrived_is_held(code, text):
    decision = decide(Reply(code, text, Stage.END), 0, Config(in_doubt="hold"))
    assert decision.fate is Fate.RETRY


@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.DATA])
def test_a_line_that_breaks_before_the_end_leaves_no_doubt(stage):
    assert decide(Reply(0, "gone", stage), 0, Config(in_doubt="hold")).fate is Fate.RETRY


def test_a_line_that_breaks_before_the_mail_spends_no_try_however_many_there_were():
    decision = decide(Reply(0, "gone", Stage.MAIL), POLICY.retry.tries, POLICY)
    assert (decision.fate, decision.wait) == (Fate.POSTPONE, timedelta(0))
    behind = decide(Reply(0, "gone", Stage.MAIL), POLICY.retry.tries, POLICY, others_first=True)
    assert (behind.fate, behind.wait) == (Fate.POSTPONE, POLICY.retry.wait)
    refused = decide(Reply(450, "Later", Stage.MAIL), POLICY.retry.tries, POLICY)
    assert (refused.fate, refused.wait) == (Fate.POSTPONE, POLICY.retry.wait)
