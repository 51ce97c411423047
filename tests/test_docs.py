"""The documents keep up with the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


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
