"""The text part reads as a person would write it, and a text template gives exactly the same."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbmail.rendering.text import is_html, text_from_html
from dbmail.rendering.text_template import mark, split, text_template

from ..effort import at_most


@pytest.mark.parametrize(
    "source",
    ["<html>", "<HTML>x", '<html lang="en">', "<!DOCTYPE html>\n<Html\nclass='a'>", "  <html\t>", "{# x #}<html>"],
)
def test_a_body_with_an_html_tag_is_html(source):
    assert is_html(source)


@pytest.mark.parametrize("source", ["", "html", "<p>x</p>", "<htmlx>", "< html>", "</html>", "&lt;html&gt;", "<html"])
def test_any_other_body_is_plain(source):
    assert not is_html(source)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<b>bold</b> <i>it</i> <em>x</em> <strong>y</strong> <code>c</code> <s>d</s>", "bold it x y c d"),
        ("<h1>Head</h1>text<h2>Next</h2>more", "Head\n\ntext\n\nNext\n\nmore"),
        ("<a href='https://example.org/a?b=1&amp;c=2'>go</a>", "[go](<https://example.org/a?b=1&c=2>)"),
        ("<a href='https://example.org/a_(b)[c]'>go</a>", "[go](<https://example.org/a_(b)[c]>)"),
        ("<a href='https://example.org/'>https://example.org/</a>", "<https://example.org/>"),
        ("<a href='mailto:a@example.org'>write</a>", "[write](<mailto:a@example.org>)"),
        ("<a name=x>anchor</a> <a href='#x'>up</a> <a href>none</a>", "anchor up none"),
        ("<p>" + "word " * 60 + "</p>", ("word " * 60).strip()),
        (f"<a href='https://example.org/{'x' * 200}'>long</a>", f"[long](<https://example.org/{'x' * 200}>)"),
        ("<img src=a.png alt='Our (big) logo'><img src=spacer.gif>", "Our (big) logo"),
        ("a&nbsp;b&eacute;\xa0c &amp; &lt;d&gt; &copy; &mdash;", "a bé c & <d> © —"),
        ("<style>p{}</style><script>x()</script><head><title>t</title></head><body>b", "b"),
        ("<table><tr><td>A</td><td>B</td></tr><tr><td>C<td>D</table>end", "A B\nC D\nend"),
        ("1. one<br>- two<br>+ three<br>4\\. x * y _ z # a", "1. one\n- two\n+ three\n4\\. x * y _ z # a"),
        ("<ul><li>a<li>b</ul><ol><li>c<li>d</ol>", "  * a\n  * b\n\n  1. c\n  2. d"),
        ("<abbr title='x'>ab</abbr> <q>q</q>", 'ab "q"'),
        ("<p>one</p>\n\n\n<div></div><div><p></p></div><p>two</p>", "one\n\ntwo"),
        ("<head><meta x><p>never closed", "never closed"),
        ("</style></script></head><p>stray ends", "stray ends"),
        ("<p>open <b>tags <a href=x>link", "open tags [link"),
        ("<ol start><li>a</ol>", "  1. a"),
        ("<![if x]><p>a</p><![endif]>", "a"),
        ("<!-- c --><!DOCTYPE x><?pi?>a", "a"),
        ("", ""),
    ],
)
def test_html_becomes_text_without_marks(html, text):
    assert text_from_html(f"<html>{html}").strip() == text.strip()


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/!-&;#\"'= ahrefscriptylbodx[]()0\n\ue000", max_size=80))
def test_no_garbage_breaks_it(html):
    assert isinstance(text_from_html(html), str)


@pytest.mark.parametrize(
    "unit",
    [
        "<a ", "<!--", "](<", "<![CDATA[", "<?", "</", "<a href='", "&", "<a b=\"'", "<p>", "<q>", "<li>", "<ul><li>x",
        "<ul>", "<blockquote>x", "<blockquote><pre>\n", "<a href=x>y</a>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", ">"])
def test_no_html_takes_longer_than_the_limit(unit, end, settings):
    settings.DBMAIL = {**settings.DBMAIL, "TEXT_LIMITS": {"SECONDS": 0.3}}
    html = "<html>" + unit * (200_000 // len(unit)) + end
    with at_most(1.5):
        text = text_from_html(html)
    assert len(text) < 5_000_000


def test_what_takes_too_long_keeps_its_words(settings):
    settings.DBMAIL = {**settings.DBMAIL, "TEXT_LIMITS": {"SECONDS": 0.01}}
    assert text_from_html("<html>" + "<p>Tom &amp; Ann</p>\n" * 5000) == "Tom & Ann\n" * 5000


def test_a_tag_that_never_ends_costs_nothing_before_it():
    assert text_from_html("<html><p>Dear <b>Ann</b>, 1 < 2 <b") == "Dear Ann, 1 < 2 <b\n"


# fmt: off
TEXTS = st.sampled_from([
    "Dear ", "x", ", ", " ", "\n", "- ", "1", ". ", "&", "&amp;", "&#39", "&no", "http", "https://", "://x",
    "<", "</", "<!--", "-->", "<p>", "</p>", "<p ", "<b>", "</b>", "<em>", "</em>", "<s>", "</s>", "<li>",
    "<ul>", "</ul>", "<ol start=2>", "<h1>", "</h1>", "<table>", "<tr>", "<td>", "</td>", "</table>", "<pre>",
    "</pre>", "<code>", "</code>", "<br>", "<hr>", "<a href='https://x'>", "</a>", '<a href="', "'>", '">',
    ">", "<style>", "</style>", "<script>", "</script>", "<head>", "<title>", "</title>", "</head>", "<body>",
    "<img alt='", "<img src='", '\' style="', "' title='", "<blockquote>", "</blockquote>", "&nbsp;", "\\",
    "*", "_", "#", "(", "](<", "<abbr title='y'>", "</abbr>", "<q>", "<dd>", "<dt>", "<![CDATA[", "]]>", "<?",
    "<a href=", "<p class=", " title=", "=", "<textarea>", "<svg>",
])
# fmt: on
VALUES = st.one_of(
    st.sampled_from(
        ["Ann", "Ann Lee", "2026-11-24", "14:30", "1", "1.", "12. x", "https://x", "x", "y", "a@example.org", "b/c/"]
    ),
    st.sampled_from(
        ["O&#x27;Brien", "a  b", "", " a", "a ", "-", "é", "u_v", "x://x", "amp;", "p", "href", "39;", "title=z", "a/"]
    ),
    st.text(alphabet="aZ9 .,:;-+*_#()[]/\\!&<>é\xa0\n\"'", max_size=6),
)


@settings(max_examples=3000, deadline=None)
@given(
    st.lists(st.one_of(TEXTS, st.none()), max_size=14),
    st.lists(VALUES, min_size=14, max_size=14),
)
@example(["<a href='", None, "'>", None, "</a>"], ["https://x"] * 14)
@example(['<a href="', None, '">', "https://x", "</a>"], ["https://x"] * 14)
@example(["&", None, ";"], ["amp"] * 14)
@example(["<", None, ">"], ["p"] * 14)
@example(["<pre>", None, "\n", None], ["a b"] * 14)
def test_a_text_template_gives_the_text_of_each_mail(parts, values):
    numbers = iter(range(14))
    marked = "".join(mark(next(numbers)) if part is None else part for part in parts)
    template = text_template(marked)
    text = template.fill(values) if template else None
    if text is not None:
        assert text == text_from_html(split(marked).fill(values))


def test_an_ordinary_mail_has_a_text_template():
    marked = (
        "<html><head><title>{0}</title><style>p {{}}</style></head><body class='{1}'><h1>{0}</h1><p>Dear {2},</p>"
        "<table><tr><td>When</td><td>{3}</td></tr></table>"
        "<a href='https://x/u/{4}'>leave</a>, <a href=\"{5}\">go</a></body>"
    ).format(*map(mark, range(6)))
    template = text_template(marked)
    values = ["Splash 2026", "wide", "Ann Lee", "Sat, 21 Nov 2026, 10:00", "abc-DEF_1", "https://example.org/x?y=1"]
    assert template.fill(values) == text_from_html(split(marked).fill(values))
    assert template.fill([*values[:2], "O&#x27;Brien", *values[3:]]) is None
