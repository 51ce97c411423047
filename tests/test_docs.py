"""The documents keep up with the code."""

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CODE_OF_CONDUCT.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_and_commands_that_are_named_exist(page):
    text = page.read_text()
    scripts = set(re.findall(r"\bscripts/[\w.]+", text))
    commands = set(re.findall(r"manage\.py (dbmail_\w+|populate_\w+)", text))
    assert [name for name in scripts if not (ROOT / name).exists()] == []
    assert [name for name in commands if not (ROOT / f"dbmail/management/commands/{name}.py").exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_that_are_documented_can_be_imported(page):
    named = set(re.findall(r"(?<![\w/.])dbmail(?:\.[a-zA-Z_]+)+\b(?![/\d])", page.read_text()))
    named -= {"dbmail.dispatch", "dbmail.process_request", "dbmail.deliver_batch", "dbmail.service"}  # tasks, a unit
    assert [name for name in named if not exists(name)] == []


def exists(name):
    """Whether a dotted name is a module, or something in one."""
    try:
        pkgutil.resolve_name(name)
    except ImproperlyConfigured:
        return True  # it is there, and says which Django it needs
    except (ImportError, AttributeError):
        return False
    return True


def names_in(path):
    """The names of all tests in a file, those of a class as Class::test."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
    return {name for name in names if name.rpartition("::")[2].startswith("test_")}


def test_every_promise_of_security_names_tests_that_exist():
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", text)
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(ROOT / file)]
    assert missing == []
    tables = re.findall(r"^\| promise[^|]*\| shown by \|\n\|-\|-\|\n((?:\|.*\n)+)", text, re.M)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) > 50
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py::[\w:]+` \|$", row)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_functions_and_tests_that_are_named_exist(page):
    text = page.read_text()
    files = set(re.findall(r"`((?:dbmail|mailgates|scripts|testproject|tests)/[\w/]+\.(?:py|txt))", text))
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []
    functions = re.findall(r"`(?:\w+\.)?(\w+)`,?\s+\(?`((?:dbmail|mailgates)/[\w/]+\.py)`", text)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    named = [*functions, *((name, path) for path, name in tests)]
    assert [(name, path) for name, path in named if not defines(ROOT / path, name)] == []


def defines(path, name):
    return bool(re.search(rf"^\s*(?:def|class) {name}\b", path.read_text(), re.M))


def test_the_version_is_known_without_django():
    code = "import dbmail, sys; print(dbmail.__version__, 'django' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    version, has_django = said.split()
    assert has_django == "False"
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:\.dev\d+|rc\d+)?", version)


def test_releases_in_the_changelog_have_a_version_and_a_date_newest_first():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "[Unreleased]"
    releases = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert all(releases), headings
    keys = [(tuple(map(int, match.group(1, 2, 3))), match[4]) for match in releases]
    assert keys == sorted(keys, reverse=True)
