"""docs/domain-authentication.md, walked through: every command of the page, as it is printed."""

import re
import shlex

from .conftest import SCRIPT, Run
from .services import GandiService, SendGridService

PAGE = (SCRIPT.parents[1] / "docs" / "domain-authentication.md").read_text()
COMMANDS = re.findall(r"^ +\$ scripts/sendgrid_authentication\.py (.*)$", PAGE, re.M)


def test_every_command_of_the_page_runs_from_a_look_to_valid_domains(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    look, do = COMMANDS
    code, output = run(*shlex.split(look))
    assert "changes shown, none made" in output, output
    assert (gandi.writes, sendgrid.writes) == ([], [])
    code, output = run(*shlex.split(do), typed="y\n" * 4)
    assert code == 0, output
    assert "example.org: done" in output and "news.example.org: done" in output
    assert sendgrid.entries["domains"] and all(e["valid"] for kind in sendgrid.entries.values() for e in kind)
