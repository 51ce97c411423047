"""The admin in a real browser: a person writes, checks, sends and watches a broadcast, under a strict CSP.

Chromium is Debian's, driven by Playwright; scripts/install_for_tests installs it.
"""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright import sync_api as playwright

from ..ports import free_port
from ..smtp import ScriptedSMTPServer
from ..waiting import until
from .site import Site

CHROMIUM = shutil.which("chromium")

AXE = files("axe_playwright_python") / "axe.min.js"
PASSWORD = "a-long-password-1"
HTML = '<html><body><p>Dear {{ user.first_name }},</p><p><a href="https://example.org/">more</a></p></body></html>'


@pytest.fixture
def server(site: Site, smtp_server: ScriptedSMTPServer) -> Iterator[str]:
    """The project as a running site with twelve students, unless a test wants more."""
    students = site.environment.get("STUDENTS", "12")
    site.run("seed", f"--students={students}", "--no-broadcast", f"--password={PASSWORD}")
    port = free_port()
    process = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "manage.py", "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"],
        cwd=Path(__file__).resolve().parents[2],
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/admin/login/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(address: str) -> None:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own server
                return True
        except OSError:
            return False

    until(answers, 30, lambda: "The site did not start.")


class Person:
    """Somebody at a browser. `complaints`: what the browser's console said, violations of the CSP included."""

    def __init__(self, browser: Any, server: str, **context: Any) -> None:
        self.server = server
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning") and "favicon" not in json.dumps(message.location):
            self.complaints.append(f"{message.text} ({message.location})")

    def log_in(self, name: str = "admin") -> None:
        self.page.goto(f"{self.server}/admin/login/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("[type=submit]")
        self.page.wait_for_url(re.compile("/admin/$"))

    def go(self, path: str) -> None:
        self.page.goto(self.server + path)

    def expect(self, selector: str, text: str) -> None:
        playwright.expect(self.page.locator(selector).first).to_contain_text(text, timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def person(browser: Any, server: str) -> Iterator[Person]:
    someone = Person(browser, server, viewport={"width": 1400, "height": 1000})
    someone.log_in()
    yield someone
    assert someone.complaints == []
    someone.context.close()


def compose(person: Person, *, text: str = HTML) -> None:
    page = person.page
    person.go("/admin/dbmail/messagerequest/add/")
    page.click("text=Start with an empty message")
    page.select_option("#builder-match", "all")
    page.select_option("[data-field]", label="First name")
    page.select_option("[data-is]", "filled")
    person.expect("#audience-count", "12 people")
    page.fill("#id_subject", "News")
    page.fill("#id_msgtext", text)
    page.fill("#id_sender", "Directors <directors@example.org>")


def test_a_broadcast_from_the_first_word_to_the_last_failure(person, site, smtp_server):
    page = person.page
    compose(person)
    # As it is typed: the preview as a recipient, the audience in numbers, the checks.
    frame = page.frame_locator("#dbmail-preview iframe:not(.dbmail-loading)")
    playwright.expect(frame.locator("body")).to_contain_text("Dear Ben,")
    person.expect("[data-sendto='']", "12 mails")
    person.expect("[data-sendto=send_to_self_and_guardian]", "24 mails")  # "Dear Ben" is not "Dear Ana"
    page.fill("#preview-as", "Chlo")
    page.wait_for_selector("#preview-people option", state="attached")
    page.fill("#preview-as", page.locator("#preview-people option").first.get_attribute("value"))
    playwright.expect(frame.locator("body")).to_contain_text("Dear Chloé,")
    # A variable goes where the cursor is.
    page.fill("#id_subject", "News for ")
    page.click("[data-insert='user.first_name']")
    assert page.input_value("#id_subject") == "News for {{ user.first_name }}"
    person.expect("#preview-subject", "News for Chloé")
    # A mistake is named with its place, and the last good preview stays.
    page.fill("#id_msgtext", HTML.replace("user.first_name", "user.frist_name"))
    person.expect("#findings", "frist_name")
    page.fill("#id_msgtext", HTML)
    playwright.expect(page.locator("#findings [data-level=error]")).to_have_count(0)
    # A test to oneself.
    page.click("#test-send")
    person.expect("#test-result", "directors@example.org")
    assert smtp_server.recipients() == ["directors@example.org"]
    # It was kept all the while.
    person.expect("#save-state", "Saved.")
    page.reload()
    assert page.input_value("#id_subject") == "News for {{ user.first_name }}"
    person.expect("#audience-count", "12 people")
    # Check, send, and watch it go while the cron runs.
    page.click("text=Check and send")
    person.expect("#confirm-mails", "12 mails")
    page.click("text=Send it now")
    person.expect(".dbmail-state", "scheduled")
    smtp_server.reply("RCPT", "student7@", "552 5.2.2 <student7@students.example> mailbox is full", times=1)
    site.run("dbmail_cron")
    person.expect("[data-count=sent]", "11")
    person.expect("[data-count=failed]", "1")
    person.expect(".dbmail-reason", "552 5.2.2 … mailbox is full")
    person.expect(".dbmail-state", "done")
    page.wait_for_selector("#watch-chart rect")
    # Try again what failed.
    page.click("text=Try again")
    person.expect(".messagelist", "1 mail is tried again.")
    site.run("dbmail_cron")
    person.expect("[data-count=sent]", "12")
    person.expect("[data-count=failed]", "0")
    students = [address for address in smtp_server.recipients() if address.startswith("student")]
    assert len(students) == len(set(students)) == 12


def test_the_preview_keeps_its_place_while_one_writes(person):
    page = person.page
    long = HTML.replace("<p>Dear", "".join(f"<p>line {n}</p>" for n in range(200)) + "<p>Dear")
    compose(person, text=long)
    frame = page.frame_locator("#dbmail-preview iframe:not(.dbmail-loading)")
    playwright.expect(frame.locator("body")).to_contain_text("line 199")
    frame.locator("text=line 150").scroll_into_view_if_needed()
    place = frame.locator("html").evaluate("() => window.scrollY")
    assert place > 500
    before = page.evaluate("history.length")
    page.fill("#id_msgtext", long.replace("Dear", "Good day"))
    playwright.expect(frame.locator("body")).to_contain_text("Good day Ben")
    assert abs(frame.locator("html").evaluate("() => window.scrollY") - place) < 5
    assert page.evaluate("history.length") == before
    assert page.evaluate("document.activeElement.id") == "id_msgtext"


@pytest.fixture
def editor(site):
    """The site with django-ace installed."""
    site.environment["EDITOR"] = "1"


@pytest.mark.usefixtures("editor")
def test_the_editor_keeps_every_character_and_all_that_the_plain_field_does(person):
    page = person.page
    person.go("/admin/dbmail/messagerequest/add/")
    page.click("text=Start with an empty message")
    page.wait_for_selector(".ace_editor .ace_text-input", state="attached")
    text = (
        '<html><body>\n{% if user.first_name %}\n<p title="x">{{ user.first_name|default:"you" }} & <b>co\n{% endif %}'
    )
    page.click(".ace_scroller")
    page.keyboard.type(text)
    assert _squeezed(page.input_value("#id_msgtext")) == _squeezed(text)
    frame = page.frame_locator("#dbmail-preview iframe:not(.dbmail-loading)")
    playwright.expect(frame.locator("body")).to_contain_text("[first name] & co")
    # A variable goes where the cursor is, in place of what is marked.
    page.keyboard.press("Control+a")
    page.keyboard.type("<html>Dear X")
    page.keyboard.press("Shift+ArrowLeft")
    page.click("[data-insert='user.last_name']")
    page.keyboard.type("!")
    assert page.input_value("#id_msgtext") == "<html>Dear {{ user.last_name }}!"
    # A mistake leads to its line.
    page.keyboard.press("Enter")
    page.keyboard.type("{{ user.frist_name }}")
    person.expect("#findings", "frist_name")
    page.click("#findings a:has-text('frist_name')")
    page.keyboard.type("ok")
    assert page.input_value("#id_msgtext") == "<html>Dear {{ user.last_name }}!\nok"
    # It was kept, and Escape lets the keyboard out.
    person.expect("#save-state", "Saved.")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('.ace_editor')")
    page.reload()
    assert page.input_value("#id_msgtext") == "<html>Dear {{ user.last_name }}!\nok"
    person.expect(".ace_content", "{{ user.last_name }}!")
    colours = "getComputedStyle(document.querySelector('.ace_meta.ace_tag')).color"
    assert page.evaluate(colours) != page.evaluate("getComputedStyle(document.querySelector('.ace_line')).color")


def _squeezed(text: str) -> list[str]:
    """Lines without the indent that an editor gives a new one."""
    return [line.strip() for line in text.splitlines()]


@pytest.fixture
def many(site):
    """More people than one request looks at."""
    site.environment["STUDENTS"] = "4000"


@pytest.mark.usefixtures("many")
def test_a_large_audience_is_looked_at_in_the_background_and_people_are_named(person, site, smtp_server):
    page = person.page
    site.python(
        "from django.contrib.auth import get_user_model\n"
        "answer = get_user_model().objects.filter(username='student3999').update(first_name='', last_name='Last')"
    )
    person.go("/admin/dbmail/messagerequest/add/")
    page.click("text=Start with an empty message")
    page.select_option("#builder-match", "everyone")
    page.fill("#id_subject", "News")
    long = "{{ user.last_name }} " * 500  # so that one request does not see them all
    page.fill("#id_msgtext", "{% if user.first_name or user.is_staff %}Hello " + long + "{% endif %}")
    person.expect("#survey-state", "of 4,001 people")
    person.expect("[data-sendto='']", "about")
    person.expect("#survey-state", "It goes on, also when you leave this page.")
    page.goto("about:blank")  # whoever wrote it goes home
    old = "Preflight.objects.update(asked_at=timezone.now() - timedelta(minutes=1))"
    site.python(f"from datetime import timedelta\nfrom django.utils import timezone\nanswer = {old}")
    site.run("dbmail_cron")
    assert site.python("answer = bool(Preflight.objects.get().finished_at)")
    page.go_back()
    person.expect("#survey-state", "Everyone was looked at")
    person.expect("[data-sendto='']", "4,001 mails")
    person.expect("#findings [data-level=error]", "The text fails for 1 person")
    # The finding leads to the person, and the preview shows what is wrong.
    page.click("#findings [data-as]")
    person.expect("#preview-as-name", "Last · student3999@students.example")
    # It cannot be sent like this.
    page.click("text=Check and send")
    person.expect("#findings [data-level=error]", "The text fails for 1 person")
    page.fill("#typed", "4001")
    page.click("text=Send it now")
    person.expect(".errornote", "there it would stop")
    page.click("text=Back to the text")
    page.fill("#id_msgtext", "Hello")
    person.expect("#save-state", "Saved.")
    page.click("text=Check and send")
    page.fill("#typed", "4001")
    page.click("text=Send it now")
    person.expect(".dbmail-state", "scheduled")
    assert smtp_server.recipients() == []


def test_no_script_of_a_mail_runs_in_its_preview(person):
    page = person.page
    compose(person, text="<html><body><p>Hi</p><script>parent.document.title = 'taken'</script></body></html>")
    playwright.expect(
        page.frame_locator("#dbmail-preview iframe:not(.dbmail-loading)").locator("body")
    ).to_contain_text("Hi")
    assert page.title() != "taken"
    person.expect("#findings", "<script>")
    person.complaints[:] = [said for said in person.complaints if "sandboxed" not in said and "script" not in said]


def test_a_preview_asks_no_other_host_for_anything_until_it_is_told_to(person):
    """By nothing that HTML and CSS load, look up or follow: the address could carry out what a person's data says."""
    page = person.page
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(status=200, content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg"/>')

    person.context.route(re.compile("^https?://[^/]*evil"), answer)
    there = "https://{{ user.first_name }}.evil.test"
    compose(
        person,
        text=f"""<html><head><link rel="stylesheet" href="{there}/1"><link rel="prefetch" href="{there}/2">
        <LINK rel="preconnect" href="{there}"><link rel="icon" href="{there}/3"><base href="{there}/4/">
        <meta http-equiv="refresh" content="0;url={there}/5">
        <style>@import "{there}/6"; @font-face {{ font-family: x; src: url({there}/7) }}
        body {{ font-family: x; background: url({there}/8) }}</style></head><body>
        <p>Dear {{{{ user.first_name }}}}</p><img src="{there}/9" alt=""><img srcset="{there}/10 2x" alt="">
        <video poster="{there}/11" src="{there}/12"></video><iframe src="{there}/13"></iframe>
        <object data="{there}/14"></object><embed src="{there}/15"><input type="image" src="{there}/16" alt="">
        <svg><image href="{there}/17"/><use href="{there}/18#x"/></svg><table background="{there}/19"></table>
        <a href="{there}/20" ping="{there}/21">more</a></body></html>""",
    )
    frame = page.frame_locator("#dbmail-preview iframe:not(.dbmail-loading)")
    playwright.expect(frame.locator("body")).to_contain_text("Dear Ben")
    person.expect("#save-state", "Saved.")
    assert asked == []
    with page.expect_response(re.compile("evil.test/9")):
        page.click("text=Show remote images")
    playwright.expect(frame.locator("body")).to_contain_text("Dear Ben")
    pictures = {address.rpartition("/")[2] for address in asked}
    assert "9" in pictures and not pictures & {"1", "2", "4", "5", "6", "12", "13", "14", "15", "18", "20", "21"}
    # That was one view: the next has none again.
    asked.clear()
    page.fill("#id_subject", "Other news")
    person.expect("#preview-subject", "Other news")
    page.wait_for_function("() => !document.querySelector('#dbmail-preview .dbmail-loading')")
    assert asked == []
    person.complaints.clear()  # each refusal is one


def test_who_may_not_see_recipients_is_told_so_on_every_page(person, site):
    """The screens of the writers' and the senders' group work without a single number."""
    site.run("dbmail_groups")
    site.python(
        "from django.contrib.auth.models import Group, User\n"
        "clerk = User.objects.create_user('clerk', 'clerk@example.org', 'a-long-password-1', is_staff=True)\n"
        "clerk.groups.set(Group.objects.filter(name__in=['Mail: writers', 'Mail: senders']))\n"
        "answer = 1"
    )
    page = person.page
    person.context.clear_cookies()
    person.log_in("clerk")
    person.go("/admin/dbmail/messagerequest/add/")
    page.click("text=Start with an empty message")
    page.select_option("#builder-match", "all")
    page.select_option("[data-field]", label="First name")
    page.select_option("[data-is]", "filled")
    person.expect("#audience-count", "Who may see recipients sees how many people this is.")
    person.expect("#survey-state", "who may see recipients sees what is found")
    page.fill("#id_subject", "News")
    page.fill("#id_msgtext", HTML)
    page.fill("#id_sender", "Directors <directors@example.org>")
    person.expect("#save-state", "Saved.")
    page.click("text=Check and send")
    number = re.search(r"/(\d+)/confirm/", page.url)
    assert number
    person.expect("label[for=typed]", f"Type the number of this broadcast, {number[1]},")
    page.fill("#typed", number[1])
    page.click("text=Send it now")
    site.run("dbmail_cron")
    person.expect(".dbmail-state", "done")
    person.expect("#watch-parts", "fewer than 20 mails")
    person.expect("#watch-parts", "So few mails tell of single people")


def test_an_audience_is_built_of_conditions_and_groups(person):
    page = person.page
    compose(person)
    page.select_option("#builder-match", "any")
    page.select_option("#audience-builder .dbmail-row [data-is]", "is")
    page.fill("#audience-builder .dbmail-row [data-value] input", "ben")
    person.expect("#audience-count", "2 people")
    page.click("#audience-builder > [data-adders] [data-add=group]")
    page.select_option(".dbmail-group [data-match]", "none")
    page.select_option(".dbmail-group [data-field]", label="Student info: program")
    page.select_option(".dbmail-group [data-value] select", label="Splash 2027")
    person.expect("#audience-count", "3 people")  # the admin is in no programme
    with page.expect_response(lambda response: response.url.endswith("/save/")):
        page.click(".dbmail-group > .dbmail-line [data-remove]")
        person.expect("#audience-count", "2 people")
    person.expect("#save-state", "Saved.")
    page.reload()
    assert page.input_value("#builder-match") == "any"
    assert page.input_value("#audience-builder [data-value] input") == "ben"


def test_what_another_window_changed_is_not_overwritten(person, site):
    page = person.page
    compose(person)
    person.expect("#save-state", "Saved.")
    site.python("MessageRequest.objects.update(subject='Theirs')\nanswer = 0")
    page.fill("#id_subject", "Mine")
    person.expect("#save-state", "Somebody else")
    assert site.python("answer = MessageRequest.objects.get().subject") == "Theirs"
    person.complaints[:] = [said for said in person.complaints if "409" not in said]
    page.on("dialog", lambda dialog: dialog.accept())


def test_everything_can_be_done_by_keyboard(person):
    page = person.page
    person.go("/admin/dbmail/messagerequest/add/")
    page.focus("text=Start with an empty message")
    page.keyboard.press("Enter")
    page.wait_for_selector("#builder-match")
    page.focus("#builder-match")
    page.keyboard.press("ArrowDown")  # everyone
    person.expect("#audience-count", "13 people")
    page.focus("#id_msgtext")
    page.keyboard.type("Hello ")
    page.focus("[data-insert='user.first_name']")
    page.keyboard.press("Space")
    assert page.input_value("#id_msgtext") == "Hello {{ user.first_name }}"
    assert page.evaluate("document.activeElement.id") == "id_msgtext"
    person.expect("#save-state", "Saved.")


@pytest.fixture
def dns(site: Site, serve: Any) -> Any:
    """A DNS server that the site asks."""
    server = serve({"example.org": []})
    site.environment["RESOLVERS"] = server.address
    return server


def test_the_doctor_looks_and_its_records_are_copied(dns, person, site):
    page = person.page
    site.run("dbmail_doctor", "--dns-only", "--keep", "--resolver", dns.address, expect=2)
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    person.go("/admin/")
    page.click("text=Doctor")
    person.expect("#content-main", "There is no DMARC policy.")
    page.click("[aria-label='Copy the value for _dmarc.example.org']")
    person.expect("#doctor-copied", "Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == '"v=DMARC1; p=none; rua=mailto:bounces@example.org"'
    page.click("text=Look again")
    page.wait_for_selector("text=admin · History", timeout=30_000)  # the sign that somebody looked here
    person.expect("#content-main", "This site and its mail server")


SCREENS = [
    "messagerequest/",
    "messagerequest/add/",
    "messagerequest/1/change/",
    "messagerequest/1/confirm/",
    "messagerequest/2/change/",
    "textofemail/",
    "textofemail/address/?q=student7@students.example",
    "suppression/",
    "suppression/1/change/",
    "doctorreport/",
]


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")])
def test_every_screen_is_accessible_and_fits(browser, server, site, smtp_server, serve, width, scheme):
    site.python(
        "from django.contrib.auth import get_user_model\nfrom django.db.models import Q\n"
        "U = get_user_model()\n"
        "everyone = PersistentQueryFilter.create_from_Q(U, Q(), 'All')\n"
        "for state in ('draft', 'scheduled'):\n"
        "    MessageRequest.createRequest(subject='News', msgtext='Hi {{ user.first_name }}', recipients=everyone,\n"
        "        creator=U.objects.get(username='admin'), sender='info@example.org', state=state, public=True)\n"
        "answer = 0"
    )
    smtp_server.reply("RCPT", "student7@", "550 5.1.1 no such user")
    site.run("dbmail_cron")
    dns = serve({"example.org": ["@ MX 10 mx", "mx A 127.0.0.1", '_dmarc TXT "v=DMARC1; p=none"']})
    site.run("dbmail_doctor", "--dns-only", "--keep", "--resolver", dns.address, expect=2)
    someone = Person(browser, server, viewport={"width": width, "height": 900}, color_scheme=scheme)
    someone.log_in()
    found = []
    token = site.python("from dbmail.suppression.tokens import make\nanswer = make('ann@example.org')")
    for screen in [*(f"/admin/dbmail/{screen}" for screen in SCREENS), "/email/2", f"/unsubscribe/{token}/"]:
        someone.go(screen)
        someone.page.wait_for_load_state("networkidle")
        over = someone.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0 and "change_list" not in someone.page.content():
            found.append(f"{screen}: {over} pixels too wide")
        someone.page.evaluate(AXE.read_text())
        for violation in someone.page.evaluate("axe.run(document).then(result => result.violations)"):
            if violation["impact"] in ("serious", "critical") and not _is_djangos(violation):
                nodes = [node["html"][:160] for node in violation["nodes"]]
                found.append(f"{screen}: {violation['id']}: {nodes}")
    assert found == []
    # What axe does to measure has no address of a file.
    assert [said for said in someone.complaints if "'url': ''" not in said] == []
    someone.context.close()


@pytest.fixture
def in_hebrew(site: Site) -> None:
    site.environment["LANGUAGE_CODE"] = "he"


def test_from_right_to_left_pages_fit_and_english_stays_readable(browser, in_hebrew, server, site):
    site.python(
        "from django.contrib.auth import get_user_model\nfrom django.db.models import Q\n"
        "U = get_user_model()\n"
        "everyone = PersistentQueryFilter.create_from_Q(U, Q(), 'All')\n"
        "draft = dict(state='draft', recipients=everyone, subject='News!',\n"
        "    msgtext='<html><a href=\"x\">x</a></html>')\n"
        "MessageRequest.createRequest(creator=U.objects.get(username='admin'), sender='I <i@example.org>', **draft)\n"
        "answer = 0"
    )
    for width in (1400, 390):
        someone = Person(browser, server, viewport={"width": width, "height": 900})
        someone.log_in()
        for screen in ("messagerequest/1/change/", "messagerequest/1/confirm/"):
            someone.go(f"/admin/dbmail/{screen}")
            page = someone.page
            page.wait_for_selector("#findings [data-level=warning] a")
            assert page.evaluate("document.documentElement.dir") == "rtl"
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            level = page.locator("#findings [data-level=warning] b").first.bounding_box()
            sentence = page.locator("#findings [data-level=warning] a").first.bounding_box()
            assert level["x"] >= sentence["x"] + sentence["width"] / 2, "the level stands before its sentence"
            sender = page.locator("#preview-from")
            playwright.expect(sender).to_have_text("I <i@example.org>")
            assert sender.evaluate("place => getComputedStyle(place).unicodeBidi") == "plaintext"
        someone.context.close()


def _is_djangos(violation: dict[str, Any]) -> bool:
    """Whether it is only in Django's own header, navigation or lists."""
    return all("dbmail-" not in node["html"] and not _ours(node["target"]) for node in violation["nodes"])


def _ours(target: list[Any]) -> bool:
    return any(mark in str(target) for mark in ("dbmail-", "preview", "audience", "watch", "builder", "survey", "id_"))
