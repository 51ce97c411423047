"""The documents keep up with the code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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
