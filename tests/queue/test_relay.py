"""A relay that is sick: the pass ends and no mail pays for it; the next one tries it with one mail."""

import pytest
from django.utils import timezone

from dbmail.delivery.smtp import Reply, Stage
from dbmail.exceptions import RelayUnavailable
from dbmail.models import RelayTrouble, TextOfEmail
from dbmail.queue.watch import IN_A_ROW, Run
from dbmail.service.passes import run_pass, send_email_requests

from ..builders import a_mail
from ..smtp import DROP, HANG
from .test_claim import queued, sending

State = TextOfEmail.State
OK = Reply(250, "2.0.0 OK", Stage.END)


def run(*replies):
    length = Run()
    for reply, domain in replies:
        length = length.after(reply, domain)
    return length.length


def test_refusals_before_any_recipient_make_a_run_and_success_ends_it():
    storm = Reply(451, "4.3.2 Later", Stage.MAIL), "a.example"
    broken = Reply(0, "The line broke", Stage.MAIL), "a.example"
    assert run(storm, broken, storm) == 3
    assert run(storm, broken, (OK, "a.example"), storm) == 1
    assert run(storm, (Reply(550, "5.1.1 No such user", Stage.RCPT), "a.example")) == 0


def test_one_domain_that_breaks_off_is_not_taken_for_the_relay():
    hung = Reply(0, "timed out", Stage.RCPT)
    assert run(*[(hung, "a.example")] * 20) == 1
    assert run(*[(hung, f"{n}.example") for n in range(20)]) == 20


def test_greylisting_is_no_storm():
    assert run(*[(Reply(450, "4.2.0 Greylisted", Stage.RCPT), f"{n}.example") for n in range(20)]) == 0


def tries():
    return set(TextOfEmail.objects.filter(state=State.QUEUED).values_list("tries", "claimed_by"))


@pytest.mark.django_db
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("MAIL", "451 4.3.2 System busy"),
        ("MAIL", "421 4.7.0 Too much mail from you"),
        ("MAIL", "452 4.3.1 Insufficient system storage"),
        ("MAIL", DROP),
        ("CONNECT", "421 4.3.2 Overloaded"),
    ],
)
def test_a_storm_ends_the_pass_and_costs_no_try(relay, settings, command, reply, connections):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": connections}
    relay.on(command, reply)
    queued(sending(), 100)
    with pytest.raises(RelayUnavailable):
        send_email_requests()
    assert tries() == {(0, "")}
    asked = relay.count("MAIL")
    assert asked <= IN_A_ROW + 3 * connections
    assert RelayTrouble.objects.get().host == f"127.0.0.1:{relay.port}"


@pytest.mark.django_db
def test_the_next_pass_tries_a_sick_relay_with_one_mail_over_one_connection(relay, settings):
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": 4}
    relay.on("MAIL", "451 4.3.2 System busy")
    queued(sending(), 100)
    for _ in range(3):
        before = relay.count("MAIL"), relay.connections
        with pytest.raises(RelayUnavailable):
            send_email_requests()
    assert (relay.count("MAIL"), relay.connections) == (before[0] + 1, before[1] + 1)
    relay.forget_rules()
    TextOfEmail.objects.update(due_at=timezone.now())
    assert send_email_requests().sent == 100
    assert tries() == set() and not RelayTrouble.objects.exists()
    assert relay.most_open_connections == 4


@pytest.mark.django_db
def test_a_refused_recipient_shows_that_the_relay_works_again(relay):
    RelayTrouble.objects.create(host=f"127.0.0.1:{relay.port}")
    relay.reply("RCPT", "", "550 5.2.2 Full", times=1)
    queued(sending(), 10)
    assert send_email_requests().sent == 9
    assert not RelayTrouble.objects.exists()


@pytest.mark.django_db
def test_trouble_with_another_relay_is_none_of_this_one(relay):
    RelayTrouble.objects.create(host="other.example:25")
    queued(sending(), 10)
    assert send_email_requests().sent == 10
    assert RelayTrouble.objects.count() == 1


@pytest.mark.django_db
def test_a_refusal_of_one_sender_among_others_does_not_end_the_pass(relay):
    relay.reply("MAIL", "SIZE=", "450 4.7.1 Slow down", nth=3)
    queued(sending(), 10)
    report = send_email_requests()
    assert (report.sent, report.deferred) == (9, 1)
    assert TextOfEmail.objects.get(state=State.QUEUED).due_at > timezone.now()


@pytest.mark.django_db
def test_a_relay_that_crashes_on_everything_is_left_alone_after_a_few_mails(relay):
    relay.on("BODY", DROP)
    rows = queued(sending(), 100)
    for n, row in enumerate(rows):
        row.send_to = row.address = f"ann@d{n}.example"
    TextOfEmail.objects.bulk_update(rows, ["send_to", "address"])
    with pytest.raises(RelayUnavailable):
        send_email_requests()
    assert TextOfEmail.objects.filter(tries=1).count() <= IN_A_ROW + 3


@pytest.mark.django_db
@pytest.mark.parametrize("connections", [1, 2, 4])
def test_a_domain_that_hangs_does_not_hold_up_the_others(use_mailer, settings, smtp_server, connections):
    relay = smtp_server
    settings.DBMAIL = {**settings.DBMAIL, "CONNECTIONS": connections}
    use_mailer("dbmail.models.CustomSMTPBackend", host=relay.host, port=relay.port, timeout=1)
    relay.on("RCPT", HANG, match="@hang.example")
    rows = queued(sending(), 80)
    for row in rows[:40]:  # before all others
        row.send_to = row.address = row.address.replace("example.org", "hang.example")
    TextOfEmail.objects.bulk_update(rows, ["send_to", "address"])
    while_hanging = []
    relay.on("BODY", lambda argument: while_hanging.append(relay.count("RCPT")))
    started = timezone.now()
    report = send_email_requests()
    assert (report.sent, report.deferred) == (40, 40)
    assert (timezone.now() - started).total_seconds() < 10  # one after the other they would take 40
    hung = TextOfEmail.objects.filter(send_to__endswith="hang.example", state=State.QUEUED, due_at__gt=started)
    assert hung.count() == 40
    assert hung.filter(tries=0).count() >= 40 - max(2, connections)
    assert "not tried" in hung.filter(tries=0).first().last_reply
    if connections > 1:  # all others went while the first time-out was still running
        assert max(while_hanging) <= 40 + connections // 2
    assert not RelayTrouble.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reply", "state"),
    [
        ("555 5.5.4 Unsupported option: SMTPUTF8", State.FAILED),
        ("553 5.6.7 Non-ASCII addresses not permitted", State.FAILED),
        ("550 No", State.QUEUED),
        ("421 4.3.0 Oops", State.QUEUED),
        (DROP, State.QUEUED),
    ],
)
@pytest.mark.parametrize("is_sick", [False, True])
def test_one_mail_that_the_relay_does_not_even_begin_keeps_no_others(relay, reply, state, is_sick):
    """Mail of no broadcast goes first: it would in every pass."""
    if is_sick:
        RelayTrouble.objects.create(host=f"127.0.0.1:{relay.port}")
    relay.on("MAIL", reply, match="SMTPUTF8")
    bad = a_mail("jörg@example.org")
    others = queued(sending(), 3)
    said = [run_pass().trouble for _ in range(3)]
    bad.refresh_from_db()
    assert (bad.state, TextOfEmail.objects.filter(state=State.SENT).count()) == (state, len(others))
    assert said[1:] == ["", ""]
