"""On CI a test that is skipped because something is missing fails the run, in one process and in several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("processes", "reason", "ci", "code"),
    [
        ("0", "no such program", "true", 1),
        ("2", "no such program", "true", 1),
        ("0", "no such program", "", 0),
        ("2", "SQLite is in memory", "true", 0),
    ],
)
def test_a_skip_fails_a_run_on_ci_unless_its_reason_is_a_good_one(tmp_path, processes, reason, ci, code):
    path = tmp_path / "test_skipped.py"
    path.write_text(f"import pytest\ndef test_one(): pytest.skip({reason!r})\ndef test_two(): pass\n")
    words = ["-q", "-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider", "-n", processes, path]
    run = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert "1 passed, 1 skipped" in run.stdout
    assert ("Skipped in CI" in run.stdout) == bool(code)
