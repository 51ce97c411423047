"""Reports of other servers become plain values, and those events and suppressions."""

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dbmail.conf import config
from dbmail.feedback.events import record
from dbmail.feedback.reports import Kind, Outcome, Report, parse
from dbmail.models import IncomingMessage, MailEvent, Suppression
from tests.builders import a_mail

HEAD = (
    b"From: MAILER-DAEMON@relay.test\nContent-Type: multipart/report; report-type=%s; boundary=b\n\n"
    b"--b\n\nSorry\n--b\n"
)
RETURNED = b"\n--b\nContent-Type: message/rfc822\n\nReturn-Path: <b+1-x@example.org>\nMessage-ID: <1@example.org>\n\nx"
ARF = HEAD % b"feedback-report" + b"Content-Type: message/feedback-report\n\n"


def dsn(*recipients, kind=b"message/delivery-status", returned=True):
    blocks = b"".join(b"\n" + recipient + b"\n" for recipient in recipients)
    text = HEAD % b"delivery-status" + b"Content-Type: " + kind + b"\n\nReporting-MTA: dns; relay.test\n" + blocks
    if returned:
        text += RETURNED
    return text + b"\n--b--\n"


def failed(code=b"5.1.1", address=b"ann@home.test", words=b"smtp; 550 No such user"):
    return (
        b"Final-Recipient: rfc822; " + address + b"\nAction: failed\nStatus: " + code + b"\nDiagnostic-Code: " + words
    )


def only(raw):
    report = parse(raw)
    assert report is not None
    assert len(report.outcomes) == 1
    return report.outcomes[0]


def test_a_bounce_names_its_address_its_code_and_the_returned_message():
    report = parse(dsn(failed()))
    outcome = Outcome("ann@home.test", Kind.BOUNCED, True, "5.1.1", "550 No such user")
    assert report == Report("dsn", (outcome,), "1@example.org", "b+1-x@example.org")


@pytest.mark.parametrize("code", [b"5.1.1", b"5.1.2", b"5.1.3", b"5.1.6", b"5.1.10", b"5.2.1"])
def test_codes_of_addresses_that_will_never_work_are_hard(code):
    assert only(dsn(failed(code))).is_hard


@pytest.mark.parametrize("code", [b"5.2.2", b"5.7.1", b"4.4.7", b"5.3.4", b"5.0.0", b"5.1.8", b"", b"x", b"15.1.1"])
def test_full_mailboxes_policies_and_timeouts_are_not(code):
    assert not only(dsn(failed(code, words=b"smtp; no"))).is_hard


def test_the_particular_code_in_the_words_counts_where_the_field_is_general():
    assert only(dsn(failed(b"5.0.0", words=b"smtp; 550 5.1.1 No such user"))).status == "5.1.1"
    assert not only(dsn(failed(b"5.2.2", words=b"smtp; 550 5.1.1 No such user"))).is_hard


def test_a_delayed_mail_and_a_delivered_one_are_told_apart():
    delayed = b"Final-Recipient: rfc822;ann@home.test\nAction: Delayed (see below)\nStatus: 4.4.1"
    assert only(dsn(delayed)).kind is Kind.DEFERRED
    assert only(dsn(delayed.replace(b"Delayed (see below)", b"relayed"))).kind is Kind.DELIVERED


def test_the_address_that_we_wrote_comes_before_the_one_it_was_forwarded_to():
    block = b"Original-Recipient: rfc822;Ann@Home.test\n" + failed(address=b"other@far.test")
    assert only(dsn(block)).address == "ann@home.test"


def test_an_internationalised_report_is_read():
    block = failed(address=b"x").replace(b"rfc822; x", rb"utf-8; j\x{FC}rgen@home.test")
    assert only(dsn(block, kind=b"message/global-delivery-status")).address == "jürgen@home.test"


def test_exims_own_order_of_fields_is_read():
    block = b"Action: failed\nFinal-Recipient: rfc822;nobody@home.test\nStatus: 5.0.0\n"
    assert only(dsn(block)) == Outcome("nobody@home.test", Kind.BOUNCED, False, "5.0.0")


def test_several_recipients_are_several_outcomes():
    report = parse(dsn(failed(), failed(b"4.4.7", b"bob@home.test")))
    assert [outcome.address for outcome in report.outcomes] == ["ann@home.test", "bob@home.test"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (b"Feedback-Type: abuse\nOriginal-Rcpt-To: <ann@home.test>", Kind.COMPLAINED),
        (b"Feedback-Type: opt-out\nOriginal-Rcpt-To: ann@home.test", Kind.UNSUBSCRIBED),
        (b"Feedback-Type: not-spam\nOriginal-Rcpt-To: ann@home.test", Kind.UNKNOWN),
    ],
)
def test_a_complaint_is_read(fields, kind):
    raw = (
        HEAD % b"feedback-report" + b"Content-Type: message/feedback-report\n\n" + fields + b"\nVersion: 1\n\n--b--\n"
    )
    assert (only(raw).kind, only(raw).address, parse(raw).source) == (kind, "ann@home.test", "arf")


def test_a_complaint_without_an_address_is_one_all_the_same():
    raw = ARF + b"Feedback-Type: abuse\n\n--b\n"
    raw += b"Content-Type: text/rfc822-headers\n\nMessage-ID: <7@example.org>\n\n--b--\n"
    assert parse(raw).message_id == "7@example.org"
    assert only(raw).address == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"From: a@b.test\n\nUndelivered mail: ann@home.test",
        dsn(),
        dsn(b"Action: failed"),
        dsn(b"Final-Recipient: rfc822;nobody\nAction: failed"),
        dsn(failed()).replace(b"Action: failed\n", b""),
        b"Content-Type: message/rfc822\n\n" + dsn(failed()),  # a report that somebody forwards is not one to us
        b"Content-Type: multipart/mixed; boundary=b\n\n" * 1000,
    ],
)
def test_what_is_no_report_is_none(raw):
    assert parse(raw) is None


def test_a_report_inside_a_returned_message_says_nothing_about_ours():
    inner = dsn(failed(address=b"victim@home.test")).replace(b"=b\n", b"=c\n").replace(b"--b", b"--c")
    raw = dsn(failed(), returned=False).replace(
        b"--b--\n", b"--b\nContent-Type: message/rfc822\n\n" + inner + b"--b--\n"
    )
    assert [outcome.address for outcome in parse(raw).outcomes] == ["ann@home.test"]


@given(st.lists(st.sampled_from(dsn(failed()).split(b"\n")) | st.binary(max_size=30), max_size=30))
def test_pieces_of_reports_in_any_order_are_read_or_not_but_never_raise(lines):
    parse(b"\n".join(lines))


@given(st.binary(max_size=50), st.integers(0, 400))
def test_a_damaged_report_never_raises(junk, place):
    raw = dsn(failed())
    parse(raw[:place] + junk + raw[place + len(junk) :])


def a_report(row=None, **fields):
    return IncomingMessage.objects.create(
        raw=b"x", local_part="bounces", domain="example.org", recipient="bounces@example.org", content_hash=row or "1"
    )


@pytest.mark.django_db
def test_a_hard_bounce_suppresses_the_address_of_the_mail_and_the_same_report_again_does_nothing():
    mail, row = a_mail("Ann@home.test"), a_report()
    assert len(record(parse(dsn(failed())), mail, row)) == 1
    assert record(parse(dsn(failed())), mail, row) == []
    event = MailEvent.objects.get()
    assert (event.event_type, event.reject_reason, event.status) == ("bounced", "invalid", "5.1.1")
    suppression = Suppression.objects.get()
    assert (suppression.address, suppression.reason) == ("ann@home.test", "bounced")
    assert suppression.expires_at > timezone.now() + timedelta(days=300)


@pytest.mark.django_db
def test_a_bounce_of_where_the_address_forwards_to_is_soft():
    record(parse(dsn(failed(address=b"victim@far.test"))), a_mail("ann@home.test"), a_report())
    assert MailEvent.objects.get().address == "ann@home.test"
    assert not MailEvent.objects.get().is_hard
    assert not Suppression.objects.exists()


@pytest.mark.django_db
def test_soft_bounces_suppress_for_a_while_when_there_are_many_in_a_short_time():
    mail = a_mail("ann@home.test")
    for number in range(config().bounce_rest.soft_bounces):
        assert not Suppression.objects.exists()
        record(parse(dsn(failed(b"5.2.2"))), mail, a_report(str(number)))
    assert Suppression.objects.get().expires_at > timezone.now()
    Suppression.objects.update(expires_at=timezone.now() - timedelta(days=1))
    record(parse(dsn(failed(b"5.2.2"))), mail, a_report("again"))
    assert Suppression.objects.get().expires_at > timezone.now()


@pytest.mark.django_db
def test_old_soft_bounces_are_forgotten_and_a_delay_changes_nothing():
    mail = a_mail("ann@home.test")
    for number in range(config().bounce_rest.soft_bounces):
        record(parse(dsn(failed(b"5.2.2"))), mail, a_report(str(number)))
        MailEvent.objects.update(at=timezone.now() - timedelta(days=15))
    record(parse(dsn(b"Final-Recipient: rfc822;ann@home.test\nAction: delayed")), mail, a_report("d"))
    assert not Suppression.objects.exists()
