"""Only what our own MTA found out vouches for an author."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.delivery.header_block import split
from dbmail.incoming.authentication import aligned, results, vouched_by
from dbmail.incoming.facts import read
from tests.effort import at_most

OURS = ("mx.example.org",)


def vouched(value, domain="home.test"):
    return vouched_by(domain, results([value], OURS))


@pytest.mark.parametrize(
    ("value", "method"),
    [
        ("mx.example.org; dmarc=pass header.from=home.test", "dmarc"),
        ("mx.example.org 1; dmarc=pass (p=none dis=none) header.from=Home.Test", "dmarc"),
        ("MX.Example.ORG;\tdkim=pass (2048-bit key; unprotected) header.d=home.test header.s=x", "dkim"),
        ("mx.example.org; dkim=fail header.d=home.test; dkim=pass header.i=@home.test", "dkim"),
        ("mx.example.org; dkim/1 = pass header.d = home.test", "dkim"),
        ("mx.example.org; spf=pass smtp.mailfrom=ann@home.test", "spf"),
        ("mx.example.org; spf=pass smtp.mailfrom=home.test", "spf"),
        ("  mx.example.org (Exim; 4.98); dmarc=pass header.from=home.test", "dmarc"),
        ("mx.example.org(x); dkim=pass header.d=home.test header.d=home.test", "dkim"),
        ('mx.example.org; dkim=pass header.d="home.test"', "dkim"),
        ('mx.example.org; spf=pass reason="a b" smtp.mailfrom="Ann; Doe"@home.test', "spf"),
        ('mx.example.org; x=fail reason="a \\" b; c"; dmarc=pass(y)header.from=home.test', "dmarc"),
    ],
)
def test_a_pass_of_an_aligned_domain_vouches(value, method):
    assert vouched(value) == method


@pytest.mark.parametrize(
    "value",
    [
        "",
        "mx.example.org",
        "mx.example.org; none",
        "mx.evil.test; dmarc=pass header.from=home.test",
        "(mx.example.org) evil; dmarc=pass header.from=home.test",
        "x mx.example.org; dmarc=pass header.from=home.test",
        "mx.example.org; dmarc=fail header.from=home.test",
        "mx.example.org; dmarc=pass header.from=evil.test",
        "mx.example.org; dmarc=pass",
        "mx.example.org; dkim=pass header.d=evil.test",
        "mx.example.org; dkim=pass header.d=test",
        "mx.example.org; dkim=pass header.d=home.test.evil.test",
        "mx.example.org; spf=pass smtp.mailfrom=ann@evil.test",
        "mx.example.org; spf=pass smtp.helo=home.test",
        "mx.example.org; spf=softfail smtp.mailfrom=home.test",
        "mx.example.org; (dmarc=pass header.from=home.test)",
        'mx.example.org; spf=pass smtp.mailfrom="; dmarc=pass header.from=home.test"@evil.test',
        'mx.example.org; spf=pass smtp.mailfrom="x@home.test"@evil.test',
        'mx.example.org; spf=pass smtp.mailfrom="a smtp.mailfrom=home.test "@evil.test',
        r'mx.example.org; spf=pass smtp.mailfrom="\"; dmarc=pass header.from=home.test; \""@evil.test',
        "mx.example.org; spf=pass (sender; dmarc=pass header.from=home.test) smtp.mailfrom=evil.test",
        "mx.example.org; auth=pass smtp.auth=ann@home.test",
        "mx.example.org; arc=pass header.from=home.test",
        # What stands in quotes is one value, however much it looks like properties.
        'mx.example.org; dkim=pass header.i="x header.d=home.test y"@evil.test',
        'mx.example.org; spf=pass smtp.helo="x smtp.mailfrom=home.test y"',
        r'mx.example.org; dkim=pass header.i="x\" header.d=home.test \"y"@evil.test',
        'mx.example.org; dkim=pass reason="good header.d=home.test"',
        'mx.example.org; dkim=pass reason="good; dmarc=pass header.from=home.test"',
        'mx.example.org; spf=pass smtp.mailfrom="x@home.test\t"@evil.test',
        'mx.example.org; spf=pass smtp.mailfrom="x@home.test\u2003"@evil.test',
        'mx.example.org; spf=pass smtp.mailfrom="(x"@evil.test; x=y smtp.mailfrom=")@home.test"',
        'mx.example.org; dkim=pass header.i="x header.d=home.test',
        'mx.example.org; dkim="pass" header.d=home.test',
        'mx.example.org; dkim=pass "header.d"=home.test',
        # Comments divide words, and may hold brackets and escaped ones.
        r"mx.example.org; dkim=pass (a \) b header.d=home.test) header.d=evil.test",
        "mx.example.org; dkim=pass (a (b) header.d=home.test) header.d=evil.test",
        "mx.example.org; dkim=pass header.d=home.te(x)st",
        "mx.example.org; dkim=pa(x)ss header.d=home.test",
        # Nobody's own server writes its name like that; some filters would not know it again.
        "mx.exam(x)ple.org; dmarc=pass header.from=home.test",
        "(x) mx.example.org; dmarc=pass header.from=home.test",
        '"mx.example.org"; dmarc=pass header.from=home.test',
        'mx.example.org"x"; dmarc=pass header.from=home.test',
        "mx.example.org evil; dmarc=pass header.from=home.test",
        "mx.example.org 2; dmarc=pass header.from=home.test",
        "mx.example.org 1 1; dmarc=pass header.from=home.test",
        "mx.example.org.; dmarc=pass header.from=home.test",
        "mx.example.org, dmarc=pass header.from=home.test",
        "mx.example.org dmarc=pass header.from=home.test",
        # A method of another version, and a property said in two ways.
        "mx.example.org; dkim/2=pass header.d=home.test",
        "mx.example.org; dkim=pass header.d=evil.test header.d=home.test",
        "mx.example.org; dkim=pass header.d=home.test header.d=evil.test",
    ],
)
def test_nothing_else_does(value):
    assert vouched(value) == ""


def test_without_a_name_of_our_own_nobody_is_vouched_for():
    assert results(["mx.example.org; dmarc=pass header.from=home.test"], ()) == ()


def test_a_domain_is_aligned_with_itself_and_those_below_it():
    assert aligned("home.test", "mail.home.test")
    assert aligned("Home.Test.", "home.test")
    assert aligned("xn--bcher-kva.test", "bücher.test")
    assert not aligned("mail.home.test", "home.test")
    assert not aligned("home.test", "evilhome.test")
    assert not aligned("", "home.test")


@given(st.text(max_size=200) | st.text(alphabet='mx.example.org;="\\() dmarcps', max_size=200))
def test_any_text_is_read(value):
    results([value, "mx.example.org; " + value], OURS)


def test_a_long_one_takes_no_time_to_speak_of():
    with at_most(5):
        for piece in ("(", '"', "a=", "a.b=c ", "; dkim=pass", "\\", " = ", " ", "(x)", '" "', "/"):
            vouched("mx.example.org; " + piece * 50_000)
            vouched(piece * 50_000)


OURS_WITH_K = "mx.bookshop.org"


@pytest.mark.parametrize(
    "field",
    [
        *(f"Authentication-Results: {odd}{OURS_WITH_K}" for odd in "\0\x01\x0b\x0c\r\xa0\xad\u200b\u3000"),
        *(f"Authentication-Results: {OURS_WITH_K}{odd}" for odd in "\0\x01\x0b\x0c\r\xa0\xad\u200b\u3000"),
        "Authentication-Results: mx.boo\u212ashop.org",
        f"Authentication-Results : {OURS_WITH_K}",
    ],
)
def test_a_field_whose_name_a_filter_may_not_know_is_not_believed(field):
    rest = "; dmarc=pass header.from=home.test\n\n"
    header, _body = split((field + rest).encode())
    assert read(header, 100, (OURS_WITH_K,)).results == ()
    plain, _body = split(f"Authentication-Results:\r\n {OURS_WITH_K}\r\n{rest}".replace("\r\n;", ";").encode())
    assert vouched_by("home.test", read(plain, 100, (OURS_WITH_K,)).results) == "dmarc"


def test_no_domain_takes_time_to_speak_of():
    signer = "".join(map(chr, range(0x4E00, 0x8E00)))
    with at_most(2):
        assert not vouched(f"mx.example.org; dkim=pass header.d={signer}")
