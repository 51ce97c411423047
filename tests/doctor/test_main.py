"""python -m dbmail.doctor: the doctor without a project."""

import json
import subprocess
import sys

import pytest

from dbmail.doctor.__main__ import main

from .zones import GOOD, OTHERS


def test_it_runs_without_django_and_its_exit_code_tells(serve, tmp_path):
    lines = [line for part in GOOD.values() for line in part] + ["mail A 192.0.2.25"]
    server = serve({"example.org": lines, **OTHERS})
    words = ["example.org", "--return-path", "bounces@example.org", "--selector", "s1", "--sends-from", "192.0.2.25"]
    program = (
        "import sys; from dbmail.doctor.__main__ import main; code = main(sys.argv[1:]);"
        "assert not any(name.split('.')[0] == 'django' for name in sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *words, "--dns-only", "--resolver", server.address, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    assert done.returncode == 1, done.stderr  # nobody could be asked about the relay and the page
    report = json.loads(done.stdout)
    assert report["level"] == "warning"
    assert {f["level"] for f in report["findings"] if f["check"] in ("mx", "spf", "dkim", "dmarc")} == {"ok"}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nodots"],
        ["example.org", "--relay", "host:port"],
        ["example.org", "--sends-from", "here"],
        ["example.org", "--return-path", "x"],
        ["example.org", "--resolver", "here"],
    ],
)
def test_wrong_arguments_are_told_apart_from_findings(words, capsys):
    assert main(words) == 64
    assert capsys.readouterr().err


def test_the_text_names_what_to_do_and_the_record(serve, capsys):
    server = serve({"example.org": GOOD["mx"]})
    assert main(["example.org", "--dns-only", "--resolver", server.address]) == 2
    text = capsys.readouterr().out
    assert "FAILURE example.org: spf: There is no SPF record." in text
    assert "-> Publish one." in text
    assert '_dmarc.example.org. IN TXT "v=DMARC1; p=none' in text
