"""The tests in custom_user/ need a user model of their own, and so a process of their own."""

import os
import subprocess
import sys
from pathlib import Path


def test_everything_works_with_a_user_model_of_another_kind():
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "testproject.settings_custom_user"}
    for words in (
        ["manage.py", "makemigrations", "--check", "--dry-run"],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/custom_user"],
    ):
        run = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout and "skipped" not in run.stdout
