"""Checks of one rendered mail."""

import pytest

from dbmail.preflight.content import Content, check_content


def said(**fields):
    given = {"subject": "News", "text": "Hello", **fields}
    return [(str(f.severity), f.field, f.line, f.message) for f in check_content(Content(**given))]


def html(body):
    return said(html=f"<html><body>\n{body}\n</body></html>")


def test_a_good_mail_is_not_complained_of():
    assert said() == []
    good = '<a href="https://x.test/?a=1&amp;b=2">x</a> <a href="mailto:a@b.test">m</a> <a href="#top">t</a>'
    assert html(good + '<img src="https://x.test/i.png" alt="">') == []


def test_a_mail_whose_readers_see_no_way_out_is_pointed_out():
    assert [remark[:2] for remark in said(has_link=False)] == [("warning", "msgtext")]
    assert "{{ unsubscribe_url }}" in said(has_link=False)[0][3]


def test_a_link_that_something_has_changed_on_its_way_is_an_error():
    assert [remark[0] for remark in said(text="HTTPS://UNSUBSCRIBE.INVALID/PLACE", has_link=False)] == ["error"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ('<a href="http://x.test">x</a>', "not https"),
        ('<a href="/welcome">x</a>', "relative"),
        ('<a href="welcome.html">x</a>', "relative"),
        ('<a href="//x.test/">x</a>', "relative"),
        ('<a href="javascript:alert(1)">x</a>', "unknown kind"),
        ('<a href="">x</a>', "leads nowhere"),
        ('<a href="https://[broken">x</a>', "leads nowhere"),
        ('<img src="logo.png" alt="Logo">', "not be shown"),
        ('<img src="https://x.test/i.png">', "no alt text"),
        ("<script>1</script>", "drop <script>"),
        ("<form></form>", "drop <form>"),
    ],
)
def test_what_does_not_work_in_a_mail_is_named_with_its_line(body, word):
    ((severity, field, line, message),) = html(body)
    assert (severity, field, line) == ("warning", "msgtext", 2)
    assert word in message


def test_size_text_subject_and_unsubscribing():
    assert "102 KB" in said(html="<html>" + "x" * 110_000)[0][3]
    assert "no text" in said(text=" \n")[0][3]
    assert said(subject="x" * 71)[0][1] == "subject"
    assert "capitals" in said(subject="READ THIS NOW")[0][3]
    assert "unsubscribe" in said(unsubscribable=False)[0][3]


@pytest.mark.parametrize("body", ["<", "<![", "<a href=", "<!-- x", "</", "<img src='", "\0<a\0href=x>", "<a" * 1000])
def test_broken_html_never_stops_the_checks(body):
    assert isinstance(html(body), list)
