"""From a token to the address that it was made for, and to the page or the mail that unsubscribes it."""

from base64 import urlsafe_b64encode
from types import ModuleType

import pytest
from django.urls import include, path, set_script_prefix, set_urlconf

from dbmail.exceptions import InvalidToken, SettingError
from dbmail.signing import mac
from dbmail.suppression import tokens


@pytest.fixture
def own_urls():
    """`own_urls(pattern, ...)` is the request's URL configuration until the test is over."""

    def use(*patterns):
        module = ModuleType("own_urls")
        module.urlpatterns = list(patterns)
        set_urlconf(module)

    yield use
    set_urlconf(None)
    set_script_prefix("/")


def test_a_token_holds_nothing_that_a_link_would_have_to_quote():
    """Whatever length the address has: base64 fills up with `=`, which stays out."""
    for length in range(1, 40):
        address, scope = "a" * length + "@b.test", "W"  # W gives an X at the end
        token = tokens.make(address, scope)
        assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
        assert tokens.read(token) == (address, scope)


@pytest.mark.parametrize("address", ['"a b"@b.test', "bücher@b.test", "ann@xn--bcher-kva.test"])
def test_a_token_is_good_for_any_address_and_scope(address):
    assert tokens.read(tokens.make(address, "news of the term")) == (address, "news of the term")


def test_an_address_that_is_no_text_has_a_token_all_the_same():
    """Half a surrogate, as it comes out of bytes that are no UTF-8."""
    token = tokens.make("ann\udcff@b.test")
    assert tokens.read(token).address == "ann?@b.test"
    with pytest.raises(InvalidToken):
        tokens.read(f"{token[:-1]}\udcff")


def forged(value: bytes) -> str:
    """Signed with our own key, so that only what it says is wrong."""
    encoded = urlsafe_b64encode(value).decode().rstrip("=")
    return f"{encoded}.{mac('dbmail.unsubscribe', value.decode(errors='replace'))[:32]}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "=",
        "ä",
        "a.b.c",
        forged(b"ann@example.org"),
        forged(b"ann@example.org news"),
        forged(b"ann@example.org\nnews\nmore"),
        forged(b"ANN@example.org\nnews"),
        forged(b"\xff\nnews"),
    ],
)
def test_what_make_did_not_return_is_not_read(token):
    with pytest.raises(InvalidToken, match="not one of ours, or it was cut short"):
        tokens.read(token)


def test_nothing_may_stand_between_the_two_parts_of_a_token():
    first, _, last = tokens.make("ann@example.org").partition(".")
    for spoilt in (f"{first}..{last}", f"{first}.x.{last}", f"{first}=.{last}", f"{first}==.{last}", f"{first}{last}"):
        with pytest.raises(InvalidToken):
            tokens.read(spoilt)


def test_where_the_site_has_no_address_a_link_is_a_mail(settings):
    assert tokens.link("TOKEN") == "https://example.org/unsubscribe/TOKEN/"
    settings.DBMAIL = {**settings.DBMAIL, "SITE_URL": ""}
    assert tokens.link("TOKEN") == "mailto:unsubscribe@example.org?subject=TOKEN"


def test_a_link_goes_by_the_urls_and_the_prefix_of_the_request(own_urls):
    own_urls(path("post/", include("dbmail.urls")))
    for prefix in ("/site/", "/"):
        set_script_prefix(prefix)
        assert tokens.path("TOKEN") == f"{prefix}post/unsubscribe/TOKEN/"


def test_a_project_without_our_urls_is_told_what_to_add(own_urls):
    own_urls()
    with pytest.raises(SettingError, match=r'Add path\("", include\("dbmail.urls"\)\)'):
        tokens.path("TOKEN")
