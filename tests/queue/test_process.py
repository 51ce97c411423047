"""From a broadcast to rows."""

import pytest
from django.contrib.auth.models import User
from django.db import DataError, connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dbmail.exceptions import DbmailError
from dbmail.models import EmailRequest, MessageRequest, MessageVars, Suppression, TextOfEmail
from dbmail.queue import process
from dbmail.queue.record import insert_rows
from testproject.outreach.models import Profile, Program

from ..builders import a_request, a_user

pytestmark = pytest.mark.django_db
State = MessageRequest.State


def addresses():
    return sorted(TextOfEmail.objects.values_list("address", flat=True))


def test_each_recipient_gets_a_row_with_all_variables_resolved():
    ann = a_user("ann", first_name="Ann")
    program = Program.objects.create(niceName="Splash", startdate="2026-12-01", director_email="d@example.org")
    request = a_request(
        subject="{{ program.niceName }} & more",
        msgtext="{{ user.first_name }}: {{ program.startdate|date:'j F' }}",
        variables={"program": program, "user": ann},
        priority_level=1,
    )
    assert request.process() == 1
    mail = TextOfEmail.objects.get()
    assert (mail.subject, mail.msgtext) == ("Splash & more", "Ann: 1 December")
    assert (mail.send_to, mail.send_from, mail.user) == ("Ann <ann@example.org>", "info@example.org", ann)
    assert (mail.messagerequest, mail.created_at) == (request, request.created_at)
    assert (mail.sent, mail.tries, mail.state) == (None, 0, TextOfEmail.State.QUEUED)
    assert (request.processed, request.state) == (True, State.SENDING)


def test_processing_again_makes_nothing_more():
    a_user()
    request = a_request()
    assert (request.process(), request.process()) == (1, 0)
    assert TextOfEmail.objects.count() == EmailRequest.objects.count() == 1


def test_inactive_users_get_no_mail():
    a_user("ann", is_active=False)
    request = a_request()
    assert request.process() == 0
    assert request.state == State.DONE
    assert request.state_reason == "The stored query finds nobody."


def test_guardians_are_found_for_a_whole_chunk_at_once(django_assert_max_num_queries, chunks_of):
    chunks_of(50)
    for n in range(100):
        user = a_user(f"u{n}")
        Profile.objects.create(user=user, guardian_email=f"g{n}@example.org", guardian_name="Guardian")
    request = a_request(sendto_fn_name=MessageRequest.SEND_TO_SELF_AND_GUARDIAN)
    with django_assert_max_num_queries(50):
        assert request.process() == 200
    assert EmailRequest.objects.count() == 200
    assert TextOfEmail.objects.filter(send_to="Guardian <g7@example.org>", user__username="u7").exists()


def test_families_share_one_mail_if_it_is_the_same_for_both():
    a_user("ann", email="home@example.org", first_name="Ann")
    a_user("bob", email="Home@Example.org", first_name="Bob")
    same, different = a_request(msgtext="The same for all"), a_request()
    assert (same.process(), different.process()) == (1, 2)
    assert EmailRequest.objects.filter(msgreq=same).count() == 2
    assert EmailRequest.objects.filter(msgreq=same).values("textofemail").distinct().count() == 1
    assert same.progress["merged"] == 1


def test_families_are_not_merged_across_chunks_into_two_mails(chunks_of):
    chunks_of(1)
    a_user("ann", email="home@example.org")
    a_user("bob", email="home@example.org")
    assert a_request(msgtext="The same for all").process() == 1


def test_each_account_gets_its_own_mail_if_a_setting_says_so(settings):
    settings.DBMAIL = {**settings.DBMAIL, "MERGE_FAMILIES": False}
    a_user("ann", email="home@example.org")
    a_user("bob", email="home@example.org")
    assert a_request(msgtext="The same for all").process() == 2


def test_suppressed_addresses_get_a_row_and_no_mail(relay):
    a_user("ann")
    Suppression.objects.create(address="ann@example.org", reason=Suppression.Reason.UNSUBSCRIBED)
    request = a_request()
    request.process()
    mail = TextOfEmail.objects.get()
    assert mail.state == TextOfEmail.State.SUPPRESSED and mail.sent is not None
    assert mail.send() is not None
    assert relay.connections == 0


def test_users_without_a_usable_address_are_counted_and_named():
    nobody, broken = a_user("nobody", email=""), a_user("broken", email="not an address")
    a_user("ann")
    request = a_request()
    assert request.process() == 1
    assert request.progress["without_address"] == request.progress["unresolved"] == 1
    assert any(problem.startswith(f"{nobody.pk}:") for problem in request.progress["problems"])
    assert any("not an address" in problem for problem in request.progress["problems"] if str(broken.pk) in problem)


def test_a_broadcast_that_reaches_nobody_says_why():
    a_user("nobody", email="")
    request = a_request()
    request.process()
    assert (request.state, request.state_reason) == (State.DONE, "None of the 1 recipients has an address.")


AWKWARD = ['Ann "Cat" Example', "Example, Ann", "Ånn Exämple", "Ann\r\nBcc: eve@example.org", "<eve@example.org>"]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_reach_nobody_else(name, relay):
    a_user("ann", first_name=name)
    a_request().process()
    assert TextOfEmail.objects.get().send() is None
    assert relay.recipients() == ["ann@example.org"]
    (address,) = relay.messages[0].message["To"].addresses
    assert address.addr_spec == "ann@example.org"
    assert relay.messages[0].message["Bcc"] is None


def test_a_subject_never_holds_a_line_break():
    a_user("ann", first_name="Ann\r\nBcc: eve@example.org")
    a_request(subject="For {{ user.first_name }}\n").process()
    assert TextOfEmail.objects.get().subject == "For Ann Bcc: eve@example.org"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"msgtext": "{% include 'x' %}"}, "include"),
        ({"msgtext": "{% for x in y %}"}, "for"),
        ({"msgtext": "  "}, "empty"),
        ({"sender": "x@evil.test"}, "evil.test"),
        ({"sender": "no address"}, "no address"),
        ({"sendto_fn_name": "send_to_everyone"}, "send_to_everyone"),
        ({"special_headers": '{"Bcc": "eve@example.org"}'}, "Bcc"),
        ({"special_headers": "not json"}, "JSON"),
    ],
)
def test_what_cannot_be_sent_fails_its_own_request_and_tells_the_creator(fields, words, relay):
    from dbmail.cronmail import process_messages

    a_user("ann")
    bad, good = a_request(**fields), a_request()
    assert process_messages() == [bad, good]
    bad.refresh_from_db()
    good.refresh_from_db()
    assert bad.state == State.FAILED and not bad.processed
    assert words.lower() in bad.state_reason.lower()
    assert good.processed
    (notice,) = relay.messages
    assert notice.rcpt_tos == ["admin@example.org", "bounces@example.org"]
    assert notice.message["Auto-Submitted"] == "auto-generated"
    assert words.lower() in notice.message.get_content().lower()


def test_a_deleted_variable_object_fails_its_request():
    a_user()
    program = Program.objects.create(niceName="Splash", startdate="2026-12-01", director_email="d@example.org")
    request = a_request(msgtext="{{ program.niceName }}", variables={"program": program})
    program.delete()
    with pytest.raises(DbmailError, match="program"):
        request.process()
    assert request.state == State.FAILED


def test_a_query_that_does_not_resolve_any_more_fails_its_request():
    request = a_request()
    request.recipients.q_filter = request.recipients.q_filter.replace('"pk"', '"shoe_size"')
    request.recipients.save()
    with pytest.raises(DbmailError, match="shoe_size"):
        request.process()
    assert request.state == State.FAILED


def test_a_resolver_that_is_broken_altogether_fails_nothing_but_says_so(settings):
    a_user()
    settings.DBMAIL = {**settings.DBMAIL, "CONTACTS": f"{__name__}.broken_resolver"}
    request = a_request(sendto_fn_name=MessageRequest.SEND_TO_GUARDIAN)
    assert request.process() == 0
    assert "the register is on fire" in request.progress["problems"][0]


def broken_resolver(users):
    raise RuntimeError("the register is on fire")


def test_a_failed_request_goes_on_where_it_stopped_after_it_was_corrected(chunks_of):
    chunks_of(1)
    for name in ("ann", "bob", "eve"):
        a_user(name, last_name="5" if name == "ann" else "x")
    request = a_request(msgtext="{% if user.last_name == '5' %}A body{% endif %}")
    with pytest.raises(DbmailError, match="empty"):
        request.process()
    assert addresses() == ["ann@example.org"]
    request.msgtext = "A body"
    request.save()
    assert request.resume()
    assert request.process() == 2
    assert addresses() == ["ann@example.org", "bob@example.org", "eve@example.org"]


def test_a_value_that_the_database_does_not_take_fails_its_own_request(monkeypatch):
    def refuse(*args):
        raise DataError("value too long")

    a_user()
    request = a_request()
    with monkeypatch.context() as patch:
        patch.setattr(process, "insert_rows", refuse)
        with pytest.raises(DbmailError, match="too long"):
            request.process()
    assert request.state == State.FAILED
    assert request.resume() and request.process() == 1


class Crash(BaseException):
    pass


@pytest.mark.parametrize("crash_in", ["mails", "links", "progress"])
def test_a_crash_at_any_point_of_a_chunk_neither_loses_nor_repeats(crash_in, monkeypatch, chunks_of):
    chunks_of(2)
    for n in range(5):
        a_user(f"u{n}")
    request = a_request()
    chunks = process.process_in_chunks(request)
    assert next(chunks) == 2

    def crash(*args, **kwargs):
        raise Crash

    def crash_at_links(model, *rows):
        crash() if model is EmailRequest else insert_rows(model, *rows)

    owner, name, crashing = {
        "mails": (process, "insert_rows", crash),
        "links": (process, "insert_rows", crash_at_links),
        "progress": (process._Processing, "_save_progress", crash),
    }[crash_in]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, crashing)
        with pytest.raises(Crash):
            next(chunks)
    request = MessageRequest.objects.get(pk=request.pk)
    assert request.state == State.PROCESSING and not request.processed
    assert request.process() == 3
    assert addresses() == [f"u{n}@example.org" for n in range(5)]
    assert EmailRequest.objects.count() == 5


def test_another_worker_s_request_is_left_alone_until_its_lease_ends():
    a_user()
    request = a_request()
    until = timezone.now() + timezone.timedelta(minutes=1)
    MessageRequest.objects.update(claimed_by="1.1.1.1.1@elsewhere", claimed_until=until)
    assert request.process() == 0
    MessageRequest.objects.update(claimed_until=timezone.now())
    assert request.process() == 1


def test_a_worker_whose_request_was_taken_over_writes_nothing_more(chunks_of):
    chunks_of(1)
    for n in range(3):
        a_user(f"u{n}")
    chunks = process.process_in_chunks(a_request())
    assert next(chunks) == 1
    MessageRequest.objects.update(claimed_by="1.1.1.1.1@elsewhere")
    assert list(chunks) == []
    assert len(addresses()) == 1


def test_pausing_stops_processing_within_a_chunk(chunks_of):
    chunks_of(1)
    for n in range(3):
        a_user(f"u{n}")
    request = a_request()
    chunks = process.process_in_chunks(request)
    next(chunks)
    assert MessageRequest.objects.get().pause()
    assert list(chunks) == []
    assert request.state == State.PAUSED
    assert request.resume() and request.process() == 2


def test_a_user_model_key_of_any_kind_can_be_the_cursor(chunks_of):
    chunks_of(3)
    for n in range(10):
        a_user(f"u{n}")
    assert a_request().process() == 10
    assert len(addresses()) == 10


def test_rows_cost_few_queries(settings):
    User.objects.bulk_create(User(username=f"u{n}", email=f"u{n}@example.org") for n in range(1000))
    request = a_request()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        request.process()
    assert len(queries) <= 0.05 * 1000


def test_an_empty_sender_is_the_creator_or_the_site_with_the_creator_in_reply_to(relay):
    a_user("ann")
    own = a_request(sender="")
    own.process()
    assert TextOfEmail.objects.get().send_from == "admin@example.org"
    User.objects.filter(username="admin").update(email="admin@elsewhere.test")
    other = a_request(sender=None, msgtext="Another body")
    other.process()
    mail = TextOfEmail.objects.get(messagerequest=other)
    assert mail.send_from == "Outreach <info@example.org>"
    assert mail.send() is None
    assert relay.messages[0].message["Reply-To"] == "admin@elsewhere.test"


def test_variables_are_stored_as_json_and_replaced_by_name():
    a_user()
    request = a_request(variables={"x": [1, {"a": None}]}, msgtext="{{ x.0 }}")
    MessageVars.createVar(request, "x", [2])
    request.process()
    assert TextOfEmail.objects.get().msgtext == "2"


def test_a_query_over_related_rows_makes_one_mail_for_a_user(settings):
    ann = a_user("ann")
    for name in ("One", "Two"):
        program = Program.objects.create(niceName=name, startdate="2026-12-01", director_email="d@example.org")
        ann.studentinfo_set.create(program=program)
    assert a_request(to=Q(studentinfo__isnull=False)).process() == 1
