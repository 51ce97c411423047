"""What stands in mails that were sent long ago, letter by letter: no refactoring may break it.

A literal here that has to be changed is a link that a reader of an old mail clicks in vain, or a bounce that is lost.
"""

import string

import pytest
from django.test import Client

from dbmail.delivery import return_path
from dbmail.exceptions import InvalidToken
from dbmail.models import MailEvent, Suppression
from dbmail.signing import mac
from dbmail.suppression import tokens
from dbmail.suppression.tokens import link_for

from .builders import a_mail, a_user
from .feedback.test_reports import dsn, failed
from .incoming.builders import post

KEY = "a key that every test knows"
#: Address and scope, as `make` is given them; what is read back; the token.
TOKENS = [
    (
        ("ann@example.org", "all"),
        ("ann@example.org", "all"),
        "YW5uQGV4YW1wbGUub3JnCmFsbA.46fdc06fbe9d1df627c737deb8cec533",
    ),
    (
        ("Ann@Example.org", "news"),
        ("ann@example.org", "news"),
        "YW5uQGV4YW1wbGUub3JnCm5ld3M.f70a3b15e4dd3bb1ff8a46236f048dd5",
    ),
    (
        ("jürgen@bücher.example", "all"),
        ("jürgen@xn--bcher-kva.example", "all"),
        "asO8cmdlbkB4bi0tYmNoZXIta3ZhLmV4YW1wbGUKYWxs.70044082debc092ae5861ca2caa5312f",
    ),
    (
        ("o'neil+tag@example.org", "list:s123-class"),
        ("o'neil+tag@example.org", "list:s123-class"),
        "byduZWlsK3RhZ0BleGFtcGxlLm9yZwpsaXN0OnMxMjMtY2xhc3M.ff2f123ca24b11f992aff1ec2df54d47",
    ),
]
RETURN_PATHS = [
    (1, "bounces+1-9a8b931882628829@example.org"),
    (7, "bounces+7-b9b8e0a24c195dab@example.org"),
    (123456789, "bounces+123456789-2ad7f0ba792b5d61@example.org"),
    (2**63 - 1, "bounces+9223372036854775807-96841628edceaa45@example.org"),
]
TOKEN = TOKENS[0][2]


@pytest.fixture(autouse=True)
def the_key(settings):
    settings.SECRET_KEY = KEY
    settings.SECRET_KEY_FALLBACKS = []


@pytest.fixture(params=["one of several", "bytes"])
def rotated(request, settings):
    """The site has another key by now, and remembers the old one."""
    settings.SECRET_KEY = "the key of later"
    settings.SECRET_KEY_FALLBACKS = ["one between", KEY] if request.param == "one of several" else [KEY.encode()]


@pytest.mark.parametrize(("given", "read", "token"), TOKENS)
class TestUnsubscribeTokens:
    def test_is_made_as_ever_and_read_back(self, given, read, token):
        assert tokens.make(*given) == token
        assert tokens.read(token) == read

    def test_is_read_after_the_key_was_changed(self, given, read, token, rotated):
        assert tokens.read(token) == read
        assert tokens.make(*given) != token

    def test_is_none_of_a_site_with_another_key(self, given, read, token, settings):
        settings.SECRET_KEY = "another"
        refused(tokens.read, token)

    def test_has_a_signature_of_32_digits_no_more_and_no_less(self, given, read, token):
        value, _dot, signature = token.partition(".")
        assert len(signature) == 32 and set(signature) <= set("0123456789abcdef")
        whole = mac("dbmail.unsubscribe", "\n".join(read))
        assert len(whole) == 64 and whole.startswith(signature)
        for length in {*range(65)} - {32}:
            refused(tokens.read, f"{value}.{whole[:length]}")

    def test_is_refused_cut_short_or_made_longer_anywhere(self, given, read, token):
        for length in range(len(token)):
            refused(tokens.read, token[:length])
            refused(tokens.read, token[length + 1 :])
        for more in ("a", "0", "=", ".", "\n", " "):
            refused(tokens.read, token + more)
            refused(tokens.read, more + token)
            refused(tokens.read, token.replace(".", more + "."))

    def test_is_refused_with_any_other_letter(self, given, read, token):
        every = string.ascii_letters + string.digits + "-_."
        for place, letter in enumerate(token):
            # Base64 has several spellings of its last letter.
            for other in every if place == token.index(".") - 1 else "aA0-.":
                if other != letter:
                    refused(tokens.read, token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(("number", "address"), RETURN_PATHS)
class TestReturnPaths:
    def test_is_made_as_ever_and_read_back(self, number, address):
        assert return_path.signed(number) == address
        assert return_path.read(address) == return_path.read(address.upper()) == number

    def test_is_read_after_the_key_was_changed(self, number, address, rotated):
        assert return_path.read(address) == number
        assert return_path.signed(number) != address

    def test_is_none_of_a_site_with_another_key(self, number, address, settings):
        settings.SECRET_KEY = "another"
        refused(return_path.read, address)

    def test_has_a_signature_of_16_digits_no_more_and_no_less(self, number, address):
        signature = address.partition("@")[0].partition("-")[2]
        assert len(signature) == 16 and set(signature) <= set("0123456789abcdef")
        whole = mac("dbmail.return_path", str(number))
        assert whole.startswith(signature)
        for length in {*range(65)} - {16}:
            refused(return_path.read, f"bounces+{number}-{whole[:length]}@example.org")

    def test_is_refused_with_any_other_digit(self, number, address):
        local = address.partition("@")[0]
        for place in range(len("bounces+"), len(local)):
            for other in "0123456789abcdef-+".replace(local[place], ""):
                refused(return_path.read, f"{local[:place]}{other}{local[place + 1 :]}@example.org")


def refused(read, token):
    with pytest.raises(InvalidToken):
        read(token)


def test_what_was_signed_for_one_purpose_is_refused_for_another():
    value = TOKEN.partition(".")[0]
    refused(tokens.read, f"{value}.{mac('dbmail.return_path', 'ann@example.org' + chr(10) + 'all')[:32]}")
    refused(return_path.read, f"bounces+7-{mac('dbmail.unsubscribe', '7')[:16]}@example.org")
    refused(tokens.read, f"Nw.{mac('dbmail.return_path', '7')[:32]}")


def test_links_and_addresses_around_a_token_are_as_ever():
    assert tokens.path(TOKEN) == f"/unsubscribe/{TOKEN}/"
    assert link_for("ann@example.org", "all") == f"https://example.org/unsubscribe/{TOKEN}/"
    assert tokens.mailto(TOKEN) == f"mailto:unsubscribe@example.org?subject={TOKEN}"


@pytest.mark.django_db
class TestDoors:
    """The doors through which they come back, with a key that was changed since."""

    @pytest.fixture(autouse=True)
    def later(self, the_key, settings):
        settings.SECRET_KEY = "the key of later"
        settings.SECRET_KEY_FALLBACKS = [KEY]

    def test_a_click_on_an_old_link_unsubscribes(self):
        assert Client().post(f"/unsubscribe/{TOKEN}/", {"List-Unsubscribe": "One-Click"}).status_code == 200
        assert Suppression.objects.get().address == "ann@example.org"

    def test_a_mail_to_an_old_unsubscribe_address_unsubscribes(self):
        assert post("unsubscribe@example.org", subject=TOKENS[1][2]).rule == "unsubscribe"
        row = Suppression.objects.get()
        assert (row.address, row.scope) == ("ann@example.org", "news")

    def test_a_bounce_to_an_old_return_path_is_noted(self):
        mail = a_mail(pk=7)
        assert post(RETURN_PATHS[1][1], dsn(failed()), sender="").exit_code == 0
        assert MailEvent.objects.get().textofemail == mail


@pytest.mark.django_db
def test_what_goes_over_the_wire_is_as_ever(relay):
    a_user("ann")
    mail = a_mail(pk=7, scope="news")
    assert mail.send() is None
    (message,) = relay.messages
    assert message.mail_from == "bounces+7-b9b8e0a24c195dab@example.org"
    token = TOKENS[1][2]
    assert message.message["List-Unsubscribe"] == (
        f"<https://example.org/unsubscribe/{token}/>, <mailto:unsubscribe@example.org?subject={token}>"
    )
    assert message.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
