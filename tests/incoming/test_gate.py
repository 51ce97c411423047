"""One message through the whole gate, up to the rows of the outbox."""

import pytest
from django.db import OperationalError

from dbmail.delivery.header_block import message_bytes
from dbmail.incoming import gate, intake
from dbmail.incoming.receivers import BaseHandler
from dbmail.models import EmailList, Forward, IncomingMessage, PlainRedirect, Suppression, TextOfEmail
from tests.incoming.builders import a_class, letter, person, post, recipients, the_header, the_message

pytestmark = pytest.mark.django_db


class Failing(BaseHandler):
    def process(self, user, *groups, **named):
        raise LookupError("a bug")


class Fussy(BaseHandler):
    def process(self, user, one, two):
        self.send = True


@pytest.fixture
def directors():
    PlainRedirect.objects.create(original="Directors", destination="dan@home.test, dora@home.test")


def test_a_redirect_goes_to_each_of_its_addresses_in_the_lists_name(directors):
    decision = post("directors@example.org")
    assert (decision.exit_code, decision.verdict) == (0, "send")
    assert recipients() == ["dan@home.test", "dora@home.test"]
    header = the_header()
    for line in (
        'From: "Tess Doe via directors" <directors@example.org>',
        'Reply-To: "Tess Doe" <tess@home.test>',
        "To: directors@example.org",
        "Subject: Hello",
        "List-Id: <directors.example.org>",
        "List-Post: <mailto:directors@example.org>",
        "Precedence: list",
        "X-Loop: directors@example.org",
        "X-ESP-SENDER: version 2",
        "Message-ID: <one@home.test>",
    ):
        assert f"{line}\r\n" in header
    mail = TextOfEmail.objects.first()
    assert mail.messagerequest is None
    assert mail.forward.sender == Forward.SIGNED
    assert mail.message_id == "one@home.test"
    assert the_message().state == IncomingMessage.State.HANDLED


def test_nothing_in_the_message_chooses_a_recipient(directors):
    fields = [
        "Cc: cc@evil.test",
        "Bcc: bcc@evil.test",
        "Resent-To: resent@evil.test",
        "Apparently-To: a@evil.test",
        "Return-Path: <r@evil.test>",
        "Disposition-Notification-To: d@evil.test",
        "Return-Receipt-To: e@evil.test",
        "Errors-To: f@evil.test",
    ]
    post("directors@example.org", letter(*fields))
    assert recipients() == ["dan@home.test", "dora@home.test"]
    assert "evil.test" not in the_header()


def test_a_message_that_comes_again_is_acted_on_once(directors):
    raw = letter()
    first = post("directors@example.org", b"Received: one\n" + raw)
    again = post("directors@example.org", b"Delivery-date: later\nReceived: two\n" + raw)
    assert (first.exit_code, again.exit_code, again.rule) == (0, 0, "duplicate")
    assert TextOfEmail.objects.count() == 2
    assert IncomingMessage.objects.count() == 1


def test_another_message_with_a_known_message_id_waits_for_a_moderator(directors):
    post("directors@example.org")
    assert post("directors@example.org", letter(body=b"Changed.\n")).verdict == "hold"
    assert post("Directors+tag@example.org", letter()).verdict == "drop"
    assert TextOfEmail.objects.count() == 2


def test_a_tag_is_left_out_only_where_nobody_wants_it(directors):
    assert post("directors+urgent@example.org").verdict == "send"
    assert "X-Loop: directors@example.org" in the_header()
    PlainRedirect.objects.create(original="directors+vip", destination="vip@home.test")
    post("directors+vip@example.org", letter(subject="For the VIP"))
    assert TextOfEmail.objects.filter(address="vip@home.test").count() == 1


def test_an_unknown_address_is_refused_and_a_bounce_for_one_is_dropped():
    assert post("nobody@example.org").exit_code == 67
    assert the_message().state == IncomingMessage.State.REJECTED
    assert post("nobody@example.org", letter(body=b"two"), sender="").exit_code == 0
    assert TextOfEmail.objects.count() == 0


@pytest.mark.parametrize("local_part", ["", "a" * 65, "ü" * 33, "a\0b", "a\nb", "\udcff", "a\r\nBcc: b@example.org"])
def test_what_can_be_no_address_is_refused_before_any_row_is_asked(local_part):
    assert post(f"{local_part}@example.org").exit_code == 67
    assert IncomingMessage.objects.count() == 0


@pytest.mark.parametrize(
    "local_part", ["a b", 'a"b\\', "`reboot`", "$(reboot)", "-f", "a/b", "%", "jürgen", ".", "' or 1=1"]
)
def test_odd_local_parts_are_looked_up_like_others(local_part):
    PlainRedirect.objects.create(original=local_part, destination="dan@home.test")
    assert post(f"{local_part}@example.org").exit_code == 0
    assert recipients() == ["dan@home.test"]


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("nobody@example.org", b""),
        ("nobody@example.org", b"<>"),
        ("nobody@example.org", b"MAILER-DAEMON"),
        ("nobody@example.org", b"a@b.test"),
        ("a" * 65 + "@example.org", b"a@b.test"),
        ("directors@example.org", b""),
        ("directors@example.org", b"a@b.test"),
        ('"direct\\ors"@example.org', b"a@b.test"),
    ],
)
def test_what_is_explained_and_tested_in_the_admin_is_what_the_gate_does(directors, address, sender, admin_client):
    explained = intake.explain(address, {"SENDER": sender}, letter())
    shown = admin_client.get("/admin/dbmail/emaillist/tester/", {"q": address, "sender": "a@b.test"}).context["plan"]
    envelope = intake.envelope_for(address, sender.decode())
    decision = gate.receive(envelope, letter())
    assert f"{decision.verdict} ({decision.rule}): {decision.reason}" in explained
    assert f"exit code {decision.exit_code}" in explained
    if envelope.sender:
        assert shown.decision == decision


def test_what_the_gate_would_put_off_is_explained_as_that(directors):
    EmailList.objects.all().update(regex="(", seq=1)
    assert "exit code 75" in intake.explain("directors@example.org", {}, letter())
    assert post("directors@example.org").exit_code == 75


def test_white_space_in_quotes_is_part_of_an_address(directors):
    """`" directors"@` is another address: what becomes of it is not the answer for directors@."""
    raw = letter()
    assert post(" directors@example.org", raw).exit_code == 67
    assert post("directors@example.org", raw).exit_code == 0
    assert len(recipients()) == 2


def test_an_address_that_grows_too_long_in_its_ascii_form_is_none():
    assert post("a@" + ".".join(["\u00fc" * 20] * 12)).exit_code == 67
    assert IncomingMessage.objects.count() == 0


def test_redirects_of_redirects_are_followed_once_and_never_in_a_circle():
    PlainRedirect.objects.create(original="all", destination="some@example.org, all@example.org, dan@home.test")
    PlainRedirect.objects.create(original="some", destination="all@EXAMPLE.org, DAN@home.test, dora@home.test")
    post("all@example.org")
    assert recipients() == ["dan@home.test", "dora@home.test"]
    PlainRedirect.objects.create(original="self", destination="self@example.org")
    assert post("self@example.org", letter(body=b"x")).exit_code == 67


def test_a_class_list_is_for_its_teachers_and_staff_if_our_mta_vouches_for_them(our_mta):
    code = a_class().emailcode().lower()
    address = f"{code}-students@example.org"
    assert post(address).rule == "posting"
    assert post(address, vouched=True, author="Eve <eve@home.test>", body=b"2").rule == "posting"
    person("boss", staff=True)
    assert post(address, vouched=True, author="boss@home.test", subject="3", body=b"3").verdict == "send"
    TextOfEmail.objects.all().delete()
    Forward.objects.all().delete()
    raw = letter("X-N: 4", vouched=True, body=b"4").replace(b"one@", b"four@")
    assert post(address, raw).verdict == "send"
    assert recipients() == ["directors@example.org", "sam@home.test", "sue@home.test"]
    assert f"Subject: [{code.upper()}] Hello\r\n" in the_header()
    assert "sam@" not in the_header()


def test_anyone_writes_to_the_teachers_of_a_class():
    code = a_class().emailcode()
    assert post(f"{code}-teachers@example.org", author="Pa <pa@elsewhere.test>").verdict == "send"
    assert recipients() == ["directors@example.org", "tess@home.test"]


def test_a_section_list_finds_its_section():
    code = a_class().emailcode()
    assert post(f"{code}s1-teachers@example.org").verdict == "send"
    assert f"[{code}s1] Hello" in the_header()
    assert post(f"{code}s2-teachers@example.org", letter(body=b"2")).exit_code == 67
    assert post(f"{code}s99999999999999999999-teachers@example.org", letter(body=b"2")).exit_code == 67


def test_the_rows_of_the_reference_documentation_work():
    EmailList.objects.create(
        regex=r"^(.+)-students@",
        handler="class_mailman",
        seq=5,
        description="Class email lists",
        who_may_post="anyone",
    )
    code = a_class().emailcode()
    assert post(f"{code}-students@example.org").verdict == "send"
    assert recipients() == ["directors@example.org", "sam@home.test", "sue@home.test"]


def test_named_groups_are_handed_over_by_name():
    EmailList.objects.create(
        regex=r"^list-(?P<kind>teachers)-(?P<code>\d+)-s(?P<section>\d+)$", handler="SectionList", seq=5
    )
    assert post(f"list-teachers-{a_class().pk}-s1@example.org").verdict == "send"


def test_an_alias_of_a_teacher_keeps_what_the_author_signed():
    a_class()
    post(
        "tess@example.org",
        letter("DKIM-Signature: v=1; h=From : Subject", "Cc: other@elsewhere.test", "Bcc: b@c.test"),
    )
    assert recipients() == ["tess@home.test"]
    header = the_header()
    assert "From: Tess Doe <tess@home.test>\r\nTo: somebody@elsewhere.test\r\nSubject: Hello\r\n" in header
    assert "DKIM-Signature: v=1; h=From : Subject\r\nCc: other@elsewhere.test\r\n" in header
    assert "X-ESP-SENDER: version 2\r\n" in header
    assert "List-" not in header
    assert "Bcc" not in header


def test_a_student_has_no_alias():
    a_class()
    assert post("sam@example.org").exit_code == 67


def test_a_bounce_to_an_alias_is_passed_on_as_a_bounce():
    a_class()
    assert post("tess@example.org", letter(author="MAILER-DAEMON@relay.test"), sender="").verdict == "send"
    assert Forward.objects.get().sender == Forward.NULL_SENDER


def test_prefix_and_code_stand_before_the_subject_once():
    row = EmailList.objects.get(handler="ClassList")
    row.subject_prefix = "Splash"
    row.save()
    code = a_class().emailcode()
    post(f"{code}-teachers@example.org", subject=f"Re: [SPLASH] [{code}] Hello")
    assert f"Subject: Re: [SPLASH] [{code}] Hello\r\n" in the_header()


def test_from_is_what_the_row_says(directors):
    EmailList.objects.filter(handler="PlainList").update(from_email='"Desk, The" <desk@example.org>')
    post("directors@example.org")
    assert 'From: "Desk, The" <desk@example.org>\r\n' in the_header()


def test_cc_all_names_everyone_but_on_lists_with_students(directors, our_mta):
    EmailList.objects.update(cc_all=True, who_may_post="anyone")
    post("directors@example.org")
    assert "To: dan@home.test,\r\n dora@home.test\r\n" in the_header()
    Forward.objects.all().delete()
    post(f"{a_class().emailcode()}-students@example.org")
    assert "sam@home.test" not in the_header()


def test_each_address_gets_one_copy_and_what_is_none_gets_no_attention(directors):
    PlainRedirect.objects.create(original="directors", destination="DAN@Home.test, directors@example.org")
    PlainRedirect.objects.create(original="directors", destination="not an address, x@y@z")
    assert post("directors@example.org").exit_code == 0
    assert recipients() == ["dan@home.test", "dora@home.test"]


def test_a_suppressed_address_gets_a_row_and_no_mail(directors):
    Suppression.objects.create(address="dan@home.test", reason="bounced")
    Suppression.objects.create(address="dora@home.test", scope="directors.example.org", reason="unsubscribed")
    post("directors@example.org")
    assert recipients() == []
    assert set(TextOfEmail.objects.values_list("state", flat=True)) == {"suppressed"}


def test_a_held_message_keeps_its_bytes_and_nothing_is_sent(directors):
    EmailList.objects.update(admin_hold=True)
    assert post("directors@example.org", letter()).exit_code == 0
    message = the_message()
    assert (message.state, message.decision) == ("held", "moderated")
    assert bytes(message.raw) == letter()
    assert TextOfEmail.objects.count() == 0


def test_a_row_may_refuse_others(directors, our_mta):
    EmailList.objects.update(who_may_post="staff", refuse=True)
    assert post("directors@example.org").exit_code == 77
    assert the_message().state == "rejected"


def test_a_handler_that_fails_costs_no_mail(directors):
    bad = EmailList.objects.create(regex="^directors$", handler=f"{__name__}.Failing", seq=1)
    assert post("directors@example.org").exit_code == 75
    assert (the_message().state, the_message().reason) == ("failed", "LookupError: a bug")
    bad.delete()
    assert post("directors@example.org").exit_code == 0
    assert recipients() == ["dan@home.test", "dora@home.test"]


@pytest.mark.parametrize(
    ("regex", "handler"),
    [("(", "PlainList"), ("^d", "Gone"), ("^d", f"{__name__}.Fussy"), (r"^(?!x)(\w+)+@@$", "PlainList")],
)
def test_a_bad_row_is_skipped_and_where_no_other_takes_the_message_it_waits(directors, regex, handler):
    EmailList.objects.create(regex=regex, handler=handler, seq=1)
    assert post("directors@example.org").exit_code == 0
    assert post(f"{'d' * 60}@example.org").exit_code == 75


def test_a_database_that_is_down_costs_no_mail(directors, monkeypatch):
    def down(*arguments, **named):
        raise OperationalError("the database is down")

    with monkeypatch.context() as patch:
        patch.setattr(gate, "store", down)
        assert post("directors@example.org").exit_code == 75
    with monkeypatch.context() as patch:
        patch.setattr(TextOfEmail.objects.__class__, "bulk_create", down)
        assert post("directors@example.org").exit_code == 75
    assert Forward.objects.count() == 0
    assert post("directors@example.org").exit_code == 0
    assert recipients() == ["dan@home.test", "dora@home.test"]


def test_a_message_that_is_too_large_is_refused_and_only_its_head_is_kept(directors, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {**settings.DBMAIL["INCOMING"], "MAX_SIZE": 100_000}}
    assert post("directors@example.org", letter(body=b"x" * 100_000)).exit_code == 65
    assert len(the_message().raw) == 65_536


def test_too_many_recipients_wait_for_a_moderator(directors, settings):
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {**settings.DBMAIL["INCOMING"], "MAX_RECIPIENTS": 1}}
    assert post("directors@example.org").rule == "recipients"


def test_a_message_of_our_own_list_that_comes_back_is_dropped(directors):
    post("directors@example.org")
    back = message_bytes(Forward.objects.get())
    decision = post("directors@example.org", back.replace(b"Message-ID: <one", b"Message-ID: <two"))
    assert (decision.exit_code, decision.rule) == (0, "loop")
    assert TextOfEmail.objects.count() == 2


def test_a_list_in_the_to_of_another_list_gets_nothing_by_it(directors):
    PlainRedirect.objects.create(original="other", destination="otto@home.test")
    post("directors@example.org", letter("To: other@example.org"))
    assert recipients() == ["dan@home.test", "dora@home.test"]


def test_postmaster_goes_to_support_where_nobody_redirects_it(settings):
    assert post("postmaster@example.org").exit_code == 67
    settings.DBMAIL = {**settings.DBMAIL, "SUPPORT": "help@elsewhere.test"}
    assert post("Postmaster@example.org", letter(body=b"2")).verdict == "send"
    PlainRedirect.objects.create(original="abuse", destination="dan@home.test")
    post("abuse@example.org", letter(body=b"3"))
    assert recipients() == ["dan@home.test", "help@elsewhere.test"]


def test_a_row_whose_from_is_no_address_costs_no_mail(directors):
    EmailList.objects.update(from_email="no address")
    assert post("directors@example.org").exit_code == 75
    assert (the_message().state, the_message().decision) == ("failed", "error")
    EmailList.objects.update(from_email="")
    assert post("directors@example.org").exit_code == 0


@pytest.mark.parametrize("sender", ["a\0b@c.test", "\udcff@c.test", "x" * 1000, "a\r\nb"])
def test_an_odd_envelope_sender_is_stored_as_far_as_it_can_be(directors, sender):
    assert post("directors@example.org", sender=sender, queue_id=sender).exit_code == 0
