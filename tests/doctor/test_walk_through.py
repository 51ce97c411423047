"""docs/deliverability.md, walked through: what the doctor shows is published until nothing fails."""

import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command

from dbmail.feedback.events import NewEvent, record_events
from dbmail.models import Suppression

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "deliverability.md").read_text()
DNS_CHECKS = {"mx", "spf", "dkim", "dmarc", "alignment", "reverse DNS", "sample mail"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def project(settings, relay, tmp_path):
    """A project in order, that signs with the key that the page's command makes."""
    make_key = re.search(r"\$ (openssl genrsa .*)", PAGE)[1].replace("/etc/dbmail", str(tmp_path))
    subprocess.run(["bash", "-c", make_key], check=True, capture_output=True)  # noqa: S603, S607 - the page's own words
    key = tmp_path / "dkim.pem"
    assert key.stat().st_mode & 0o777 == 0o640
    settings.DEFAULT_FROM_EMAIL = "Office <office@example.org>"
    settings.DBMAIL = {
        **settings.DBMAIL,
        "DNS": {"SENDS_FROM": ["192.0.2.25"]},
        "DKIM": {"SELECTOR": "db1", "KEY": str(key)},
    }


def doctor(server):
    out = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("dbmail_doctor", "--dns-only", "--json", "--resolver", server.address, stdout=out)
    return json.loads(out.getvalue())["findings"], end.value.code


def test_publishing_what_the_doctor_shows_leads_from_an_empty_domain_to_green(project, serve):
    ptr = {"2.0.192.in-addr.arpa": ["25 PTR mail.example.org."]}
    zone = {("mx.example.org.", "A"): "127.0.0.1", ("mail.example.org.", "A"): "192.0.2.25"}
    for _step in range(3):
        server = serve({"example.org": [f"{name} {kind} {value}" for (name, kind), value in zone.items()], **ptr})
        findings, code = doctor(server)
        for finding in findings:
            if finding["record"]:
                name, _, kind, value = finding["record"].split(" ", 3)
                zone[name, kind] = value
    judged = [finding for finding in findings if finding["check"] in DNS_CHECKS]
    assert {finding["check"] for finding in judged} == DNS_CHECKS
    assert [finding for finding in judged if finding["level"] != "ok"] == []
    assert code == 1  # relay and page were not asked


COMMANDS = re.findall(r"^ +\$ manage\.py (.*)$", PAGE, re.M)


def test_every_command_of_the_page_runs(project, serve, tmp_path, monkeypatch):
    record_events([NewEvent("ann@example.org", "bounced", "test", is_hard=True)])
    monkeypatch.chdir(tmp_path)
    server = serve({"example.org": []})
    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] == "dbmail_doctor":
            words += ["--dns-only", "--resolver", server.address]
        try:
            call_command(*words)
        except SystemExit as end:
            assert words[0] in ("dbmail_doctor", "dbmail_status") and end.code in (1, 2)
    assert {words.split()[0] for words in COMMANDS} == {
        "check",
        "dbmail_doctor",
        "dbmail_suppressions",
        "dbmail_status",
    }
    assert Suppression.objects.get().expires_at is not None
