"""The engine renders what Django renders, names what is wrong, and stops in time."""

import threading
import time

import pytest
from django.contrib.auth.models import Group, User
from django.test import override_settings

from dbmail.exceptions import RenderFailed, SettingError, TemplateRejected
from dbmail.rendering.engine import compile_template
from dbmail.rendering.text import is_html
from dbmail.rendering.variables import ActionHandler

LIMITS = {"TEXT_LIMITS": {"CHARACTERS": 20_000, "SECONDS": 0.5}}


def show(source, html=False, **context):
    return compile_template(source, html=html).render(context)


@pytest.mark.parametrize("html", [True, False])
def test_only_html_is_escaped(html):
    assert show("{{ a }}", html, a="<b> & 'c'") == ("&lt;b&gt; &amp; &#x27;c&#x27;" if html else "<b> & 'c'")


@pytest.mark.parametrize(
    ("source", "line", "token"),
    [
        ("a\n{{ b| }}", 2, "b|"),
        ("a\n\n{% if x %}", 3, "if x"),
        ("{% for x %}{% endfor %}", 1, "for x"),
        ("{{ }}", 1, ""),
        ("{% nonsense %}", 1, "nonsense"),
        ("\n{{ a|nonsense }}", 2, "a|nonsense"),
        ("{% if a %}\n{% endfor %}", 2, "endfor"),
        ("{{ a|ljust:1000000 }}", 1, "a|ljust:1000000"),
        ("{{ a b }}", 1, "a b"),
    ],
)
def test_a_syntax_error_says_where_it_is(source, line, token):
    with pytest.raises(TemplateRejected) as caught:
        compile_template(source, html=False)
    assert (caught.value.line, caught.value.token) == (line, token)


def test_a_template_nested_without_end_is_rejected():
    with pytest.raises(TemplateRejected, match="deep"):
        compile_template("{% if a %}" * 5000 + "{% endif %}" * 5000, html=False)


def test_the_variables_are_the_names_that_the_context_must_have():
    compiled = compile_template(
        "{{ a.b }}{% for x in xs %}{{ x.y }}{{ forloop.counter }}{% endfor %}{% with w=v %}{{ w }}{% endwith %}"
        "{% regroup c by d as g %}{{ g }}{% if True and e|add:f %}{% endif %}{{ 'q'|default:1 }}"
        "{% filter upper|default:h %}x{% endfilter %}{% cycle 'a' 'b' as k %}{{ k }}{% now 'Y' as n %}{{ n }}",
        html=False,
    )
    assert compiled.variables == {"a", "xs", "v", "c", "e", "f", "h"}


def test_the_lines_of_variables_are_known():
    compiled = compile_template("{{ a }}\n{% if b.c %}\n{{ d }}{% elif e %}{% endif %}", html=False)
    assert [(use.path, use.line) for use in compiled.uses] == [(("a",), 1), (("b", "c"), 2), (("d",), 3), (("e",), 3)]


BOMBS = [
    '{{ "x"|ljust:n }}',
    '{{ "x"|rjust:n }}',
    '{{ "x"|center:n }}',
    "{{ 1|stringformat:spec }}",
    "{{ 1|stringformat:'s'|stringformat:spec }}",
    "{{ 1.5|floatformat:n }}",
    "{{ s|wordwrap:n }}",
    "{% for a in big %}{{ a }}{{ a }}{{ a }}{% endfor %}",
    "{% for a in big %}{% for b in big %}{% for c in big %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in big %}{% for b in big %}{% for c in big %}{% if c %}{% endif %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in s|make_list %}" * 10 + "x" + "{% endfor %}" * 10,
    "{% for a in s|make_list %}" * 10 + "{% endfor %}" * 10,
    "{% for a in s|make_list %}" * 10 + "{% cycle 'a' 'b' as q silent %}" + "{% endfor %}" * 10,
    "{% for a in big %}{% filter upper %}{{ big }}{% endfilter %}{% endfor %}",
    "".join(f"{{% with s{i}=s{i - 1 or ''}|add:s{i - 1 or ''} %}}" for i in range(1, 40))
    + "{{ s39 }}"
    + "{% endwith %}" * 39,
    "{% with t=big|join:s %}{{ t|make_list|join:t }}{% endwith %}",
    "{{ big|join:long }}",
    "{{ long|make_list|join:long }}",
    "{{ s }}" * 3000,
    "{% firstof s %}" * 3000,
    "{% for x in endless %}{{ x }}{% endfor %}",
    "{% for x in endless %}{% endfor %}",
    "{{ endless|join:'' }}",
    "{{ date|date:long }}",
    "{{ long|force_escape|force_escape|force_escape|force_escape|force_escape }}",
    "{% for a in big %}{% include_nothing %}{% endfor %}",
    "{% if long|make_list|join:long == 'x' %}{% endif %}{% for a in big %}{% for b in big %}{% endfor %}{% endfor %}",
]


def long(text, size=1_900_000):
    return text * (size // len(text))


#: Source that would keep Django busy for minutes before anything is rendered, or within one tag.
LONG_SOURCES = [
    "{% now '" + long("r") + "' %}",
    "{% now '" + long("r") + "' as x %}",
    long("{% now '" + "r" * 1000 + "' %}"),
    long("{{"),
    long("{%"),
    long("{#"),
    "{{ x" + long(" ") + "| }}",
    "{{ x" + long("|upper") + " }}",
    "{{ x" + long("|default:x") + " }}",
    '{{ "' + long("\\") + " }}",
    "{% cycle " + long("x ") + "%}",
    "{% firstof " + long("x ") + "%}",
    "{% if " + long("x or ") + "x %}{% endif %}",
    "{% url '" + long("a:") + "' %}",
    "{% regroup text by x as g %}",
    "{% for a in big %}{% if " + "x or " * 300 + "x %}{% endif %}{% endfor %}",
    "{% for a in big %}{% now '" + "r" * 1000 + "' as x %}{% endfor %}",
    "{% with a=text|make_list %}" + "{% with a=a|add:a %}" * 40 + "{% endwith %}" * 41,
    "{{ text|join:'' }}",
    "{{ text|safeseq }}",
    "{{ text|escapeseq }}",
    "{{ text|unordered_list }}",
    "{{ text|make_list|unordered_list }}",
    "{{ text|linenumbers }}",
    "{{ text|urlize }}",
    "{{ text|wordwrap:1 }}",
    "{{ text|truncatewords_html:1000 }}",
    "{{ text|slice:':100000'|urlize|length }}{% for a in big %}{{ a }}{% endfor %}",
]


@override_settings(DBMAIL={"TEXT_LIMITS": {"SECONDS": 1.0}})
@pytest.mark.parametrize("source", LONG_SOURCES, ids=lambda source: source[:30])
def test_no_tag_filter_or_argument_is_so_long_that_the_limit_of_time_does_not_hold(source):
    before = time.process_time()
    with pytest.raises((RenderFailed, TemplateRejected)) as caught:
        show(source, text="<" * 1_900_000, big=range(10**9))
    assert time.process_time() - before < 4
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("source", "wanted"),
    [("<html " * 300_000, False), ("x<HTML\n" * 300_000 + ">", True), ("<html>", True), ("<htmlx>", False)],
    ids=str,
)
def test_whether_a_body_is_html_is_seen_at_once(source, wanted):
    before = time.process_time()
    assert is_html(source) is wanted
    assert time.process_time() - before < 1


class Endless:
    def get(self):
        while True:
            yield 1


@override_settings(DBMAIL=LIMITS)
@pytest.mark.parametrize("source", BOMBS)
def test_a_bomb_is_stopped_with_a_clear_error(source):
    context = {
        "n": 999_999_999,
        "spec": "999999999d",
        "s": "xxxxxxxxxx",
        "big": list(range(5000)),
        "long": "&" * 19_000,
        "endless": Endless().get(),
        "date": __import__("datetime").date(2026, 1, 1),
    }
    before = time.monotonic()
    with pytest.raises((RenderFailed, TemplateRejected)) as caught:
        show(source, **context)
    assert str(caught.value)
    assert time.monotonic() - before < 3


@override_settings(DBMAIL={"TEXT_LIMITS": {"SECONDS": 0.2}})
def test_the_limit_of_time_holds_in_a_thread():
    caught = []

    def run():
        try:
            show("{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}", r=range(10**9))
        except RenderFailed as error:
            caught.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)
    assert caught == ["Rendering was stopped: more than 0.2 seconds."]


@override_settings(DBMAIL={"TEXT_LIMITS": {"CHARACTERS": 1000}})
@pytest.mark.parametrize("count", [1000, 1001])
def test_the_limit_of_size_is_exact_however_deep_the_text_stands(count):
    source = "{% for a in r %}{% for b in r %}{% if True %}{{ t }}{% endif %}{% endfor %}{% endfor %}{{ rest }}"
    context = {"r": range(3), "t": "x" * 100, "rest": "y" * (count - 900)}
    if count == 1000:
        assert len(show(source, **context)) == 1000
    else:
        with pytest.raises(RenderFailed, match="1000 characters"):
            show(source, **context)


@override_settings(DBMAIL={"TEXT_LIMITS": {"CHARACTERS": 1000}})
def test_a_list_grows_no_longer_than_a_text():
    with pytest.raises(RenderFailed, match="1000 characters"):
        show("{{ r|add:r|length }}", r=list(range(600)))
    assert show("{{ r|add:r|length }}", r=list(range(400))) == "800"


class Broken:
    @property
    def value(self):
        raise ValueError("no such thing")

    @property
    def attribute(self):
        return self.nothing

    def method(self):
        raise TypeError("inside")

    def silent(self):
        raise User.DoesNotExist

    def needs(self, argument):
        return argument


@pytest.mark.parametrize("name", ["value", "attribute", "method"])
def test_what_a_property_raises_names_token_and_error(name):
    kind = {"value": "ValueError", "attribute": "AttributeError", "method": "TypeError"}[name]
    for source in ("a\n{{ b.%s }}", "\n{%% if 1 %%}{{ b.%s }}{%% endif %%}"):
        with pytest.raises(RenderFailed, match=rf"Line 2: {{{{ b\.{name} }}}} failed with {kind}"):
            show(source % name, b=Broken())


def test_what_is_not_there_is_empty_as_in_django():
    assert show("[{{ a }}{{ b.silent }}{{ b.needs }}{{ b.nope.nope }}{{ c|default:'x' }}]", b=Broken()) == "[x]"
    assert show("{% if a.b.c %}x{% else %}y{% endif %}{% for q in nope %}{% empty %}z{% endfor %}") == "yz"


def test_a_library_that_the_setting_allows_can_be_used_and_a_missing_one_is_named():
    with override_settings(DBMAIL={"TEMPLATE_LIBRARIES": ["django.templatetags.l10n"]}):
        assert show("{{ a|unlocalize }}", a=1.5) == "1.5"
    with override_settings(DBMAIL={"TEMPLATE_LIBRARIES": ["no.such.library"]}), pytest.raises(SettingError):
        compile_template("", html=False)
    with pytest.raises(TemplateRejected):
        compile_template("{{ a|unlocalize }}", html=False)


@pytest.mark.parametrize(
    "source",
    [
        "{{ user.first_name|default:'friend'|upper }}, {{ user.date_joined|date:'Y' }}",
        "{% for x in items %}{{ forloop.counter }}. {{ x.name }}{% if not forloop.last %}, {% endif %}{% endfor %}",
        "{% for x in items reversed %}{% cycle 'a' 'b' %}{{ x.name }}{% empty %}none{% endfor %}",
        "{% with total=items|length %}{{ total }} item{{ total|pluralize }}{% endwith %}",
        "{% for x in items %}{% ifchanged x.kind %}[{{ x.kind }}]{% endifchanged %}{{ x.name }}{% endfor %}",
        "{% regroup items by kind as kinds %}{% for k in kinds %}{{ k.grouper }}:{{ k.list|length }} {% endfor %}",
        "{{ items|dictsort:'name' }}{{ items|dictsortreversed:'name' }}{{ items.0.name }}{{ items|first }}",
        "{{ text|linebreaks }}{{ text|urlize }}{{ text|truncatewords:2 }}{{ text|safe }}{{ text|join:'-' }}",
        "{% autoescape off %}{{ text }}{% endautoescape %}{% spaceless %}<p> <b>x</b> </p>{% endspaceless %}",
        "{{ price|floatformat:2 }}{{ price|stringformat:'.1f' }}{{ 'x'|center:9 }}{{ items|length|add:3 }}",
        "{% if items|length > 1 and user.is_active %}y{% elif x %}n{% endif %}{% widthratio 5 10 100 %}",
        "{% verbatim %}{{ raw }}{% endverbatim %}{% templatetag openblock %}{# no #}{% comment %}x{% endcomment %}",
        "{% for a, b in pairs %}{{ a }}={{ b }};{% endfor %}{{ nested.a.b.0 }}{{ nested.keys|join:',' }}",
        "{{ text.upper }}{{ text.split.0 }}{{ nested.keys.nope }}{{ none }}{{ yes }}{{ text|slice:':3' }}",
    ],
)
def test_templates_render_as_in_django(source):
    from django.template import Context, Engine

    context = {
        "user": User(first_name="Ann"),
        "items": [{"name": "b", "kind": 1}, {"name": "a", "kind": 1}, {"name": "c", "kind": 2}],
        "text": "see <https://example.org>\n\nnow & then",
        "price": 12.345,
        "pairs": [(1, 2), (3, 4)],
        "nested": {"a": {"b": [7]}},
        "none": None,
        "yes": True,
    }
    assert show(source, html=True, **context) == Engine().from_string(source).render(Context(context))


class Basket:
    """A collection of the host project's, with a fact about itself."""

    total = 7

    def __init__(self, *items):
        self.items = items

    def __iter__(self):
        return iter(self.items)

    def __len__(self):
        return len(self.items)


class Host:
    def __init__(self, b):
        self.b = b


class Rows(list):
    total = 8


def test_collections_of_the_project_have_items_and_attributes():
    source = "{{ h.b|length }}{{ h.b.total }}{% for x in h.b reversed %}{{ x }}{% endfor %}{{ h.b|join:'+' }}"
    assert show(source, h=Host(Basket(1, 2))) == "27211+2"
    assert show(source, h=Host(Rows([1, 2]))) == "28211+2"
    assert show("{% if b %}full{% else %}empty{% endif %}", b=Basket()) == "empty"


class Catalogue:
    """Answers for `course`, and for nothing else."""

    name = "catalogue"

    def get_msg_vars(self, user, key):
        return f"{key} of {user}" if key == "course" else None

    def __str__(self):
        return "the catalogue"


def test_get_msg_vars_answers_first_and_the_attribute_where_it_says_none():
    handler = ActionHandler(Catalogue(), "Ann")
    assert show("{{ c.course }}; {{ c.name }}; {{ c }}; {{ c.other }}", c=handler) == (
        "course of Ann; catalogue; the catalogue; "
    )
    assert (handler.course, handler.name, str(handler)) == ("course of Ann", "catalogue", "the catalogue")


def test_a_handler_is_as_its_object_in_comparisons():
    group = Group(pk=3)
    assert ActionHandler(group, None) == group
    assert len({ActionHandler(group, None), group}) == 1
    assert not hasattr(ActionHandler(User(password="x"), None), "password")
