"""The script as a person runs it: a process against SendGrid, Gandi and DNS on loopback."""

import subprocess
import sys
from pathlib import Path

import pytest

from dbmail.dns.records import Record

from ..knot import DnsServer
from .conftest import Run
from .services import GandiService, SendGridService

RETURN_PATH = Record("em101.example.org", "CNAME", "u7.wl.sendgrid.net.")
DKIM = Record("s1._domainkey.example.org", "CNAME", "s1.domainkey.u7.wl.sendgrid.net.")
SPF = Record("example.org", "TXT", '"v=spf1 include:sendgrid.net ~all"')
DMARC = Record("_dmarc.example.org", "TXT", '"v=DMARC1; p=none"')
MX = Record("example.org", "MX", "10 mail.example.org.")


def test_an_empty_domain_becomes_valid_in_one_run(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert {RETURN_PATH, DKIM, SPF, DMARC, MX} <= gandi.records("example.org")
    assert [e["valid"] for kind in ("domains", "links") for e in sendgrid.entries[kind]] == [True, True]
    assert "example.org: done" in output


def test_running_it_again_changes_nothing(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    run("--yes", "example.org")
    before = gandi.records("example.org")
    sendgrid.seen.clear()
    gandi.seen.clear()
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert (gandi.writes, sendgrid.writes) == ([], [])
    assert gandi.records("example.org") == before
    assert "nothing to change" in output


def test_a_subdomain_is_set_up_inside_its_parents_zone(run: Run, gandi: GandiService) -> None:
    code, output = run("--yes", "news.example.org")
    assert code == 0, output
    assert ("em101.news", "CNAME") in gandi.zones["example.org"]
    assert ("_dmarc.news", "TXT") in gandi.zones["example.org"]


def test_a_subdomain_under_a_dmarc_policy_gets_no_weaker_one(run: Run, gandi: GandiService) -> None:
    gandi.zones["example.org"]["_dmarc", "TXT"] = (300, ['"v=DMARC1; p=reject"'])
    code, output = run("--yes", "news.example.org")
    assert code == 0, output
    assert ("_dmarc.news", "TXT") not in gandi.zones["example.org"]
    assert "under the policy of _dmarc.example.org" in output


def test_dry_run_shows_all_and_changes_nothing(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    code, output = run("--dry-run", "example.org")
    assert code == 0, output
    assert (gandi.writes, sendgrid.writes) == ([], [])
    assert "authenticated domain for example.org" in output
    assert '+ example.org TXT "v=spf1 include:sendgrid.net ~all"' in output
    assert '+ _dmarc.example.org TXT "v=DMARC1; p=none"' in output


def test_dry_run_shows_the_cnames_of_a_domain_that_sendgrid_has(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    sendgrid.make("domains", 5, "example.org")
    code, output = run("--dry-run", "--yes", "example.org")
    assert code == 0, output
    assert "+ em5.example.org CNAME u7.wl.sendgrid.net" in output
    assert (gandi.writes, sendgrid.writes) == ([], [])


def test_it_asks_before_each_step(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    code, output = run("example.org", typed="y\ny\n")
    assert code == 0, output
    assert output.count("[y/N]") == 2


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_no_means_that_nothing_happens(run: Run, gandi: GandiService, sendgrid: SendGridService, typed: str) -> None:
    code, output = run("example.org", typed=typed)
    assert code == 1, output
    assert (gandi.writes, sendgrid.writes) == ([], [])


def test_no_at_the_registrar_leaves_its_records(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    code, output = run("example.org", typed="y\nn\n")
    assert code == 1, output
    assert gandi.writes == []
    assert "you said no" in output


def test_spf_is_merged_and_its_neighbours_stay_byte_by_byte(run: Run, gandi: GandiService) -> None:
    neighbours = ['"site-verification=\\"a\\\\b\\""', '"two" "strings"']
    gandi.zones["example.org"]["@", "TXT"] = (7200, [*neighbours, '"v=spf1 mx ip4:192.0.2.1 -all"'])
    code, output = run("--yes", "example.org")
    assert code == 0, output
    merged = '"v=spf1 mx ip4:192.0.2.1 include:sendgrid.net -all"'
    assert gandi.zones["example.org"]["@", "TXT"] == (7200, [*neighbours, merged])
    assert '- example.org TXT "v=spf1 mx ip4:192.0.2.1 -all"' in output
    assert f"+ example.org TXT {merged}" in output
    assert "two" not in output


def test_two_spf_records_become_one(run: Run, gandi: GandiService) -> None:
    gandi.zones["example.org"]["@", "TXT"] = (300, ['"v=spf1 mx -all"', '"v=spf1 ip4:192.0.2.1 ~all"'])
    code, output = run("--yes", "example.org")
    assert code == 0, output
    merged = '"v=spf1 mx ip4:192.0.2.1 include:sendgrid.net ~all"'
    assert gandi.zones["example.org"]["@", "TXT"] == (300, [merged])


def test_an_spf_over_ten_look_ups_is_refused_before_anything_changes(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    gandi.zones["example.org"]["@", "TXT"] = (300, ['"v=spf1 include:costly.test -all"'])
    code, output = run("--yes", "example.org")
    assert code == 3, output
    assert "would need 11 DNS look-ups" in output
    assert "include:costly.test 9, include:sendgrid.net 2" in output
    assert (gandi.writes, sendgrid.writes) == ([], [])
    assert run("--yes", "--spf", "none", "example.org")[0] == 0


def test_a_dmarc_policy_that_is_there_is_kept(run: Run, gandi: GandiService) -> None:
    gandi.zones["example.org"]["_dmarc", "TXT"] = (300, ['"v=DMARC1; p=reject; rua=mailto:d@example.org"'])
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert gandi.zones["example.org"]["_dmarc", "TXT"][1] == ['"v=DMARC1; p=reject; rua=mailto:d@example.org"']
    assert "DMARC is kept as it is" in output


def test_a_record_in_the_way_stops_the_domain_and_is_shown(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    sendgrid.make("domains", 5, "example.org")
    gandi.zones["example.org"]["em5", "CNAME"] = (300, ["shop.example.net."])
    code, output = run("--yes", "example.org")
    assert code == 3, output
    assert "em5.example.org CNAME shop.example.net is in the way" in output
    assert gandi.writes == []


def test_replace_shows_old_and_new(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    sendgrid.make("domains", 5, "example.org")
    gandi.zones["example.org"]["em5", "CNAME"] = (300, ["shop.example.net."])
    code, output = run("--yes", "--replace", "example.org")
    assert code == 0, output
    assert "- em5.example.org CNAME shop.example.net\n" in output
    assert "+ em5.example.org CNAME u7.wl.sendgrid.net" in output


def test_an_earlier_set_up_with_sendgrid_is_brought_up_to_date(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    sendgrid.make("domains", 5, "example.org")
    gandi.zones["example.org"]["s1._domainkey", "CNAME"] = (300, ["s1.domainkey.u6.wl.sendgrid.net."])
    code, output = run("--yes", "example.org")
    assert code == 0, output
    assert "- s1._domainkey.example.org CNAME s1.domainkey.u6.wl.sendgrid.net" in output


def test_another_type_where_a_cname_goes_is_never_removed(
    run: Run, gandi: GandiService, sendgrid: SendGridService
) -> None:
    sendgrid.make("domains", 5, "example.org")
    gandi.zones["example.org"]["em5", "A"] = (300, ["192.0.2.9"])
    code, output = run("--yes", "--replace", "example.org")
    assert code == 3, output
    assert "cannot stand beside em5.example.org A 192.0.2.9" in output
    assert gandi.writes == []


def test_a_cname_at_the_top_of_a_zone_is_refused(run: Run, gandi: GandiService) -> None:
    gandi.zones["mail.example.org"] = {}
    code, output = run("--yes", "--subdomain", "mail", "example.org")
    assert code == 3, output
    assert "the top of a zone cannot be a CNAME" in output
    assert gandi.writes == []


def test_a_failing_domain_does_not_stop_the_others(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    code, output = run("--yes", "example.net", "example.org")
    assert code == 3, output
    assert "example.net: FAILED: Gandi LiveDNS has no zone for example.net" in output
    assert "example.org: done" in output
    assert [e["domain"] for e in sendgrid.entries["domains"]] == ["example.org"]


@pytest.mark.parametrize("name", ["SENDGRID_API_KEY", "GANDI_PERSONAL_ACCESS_TOKEN"])
def test_a_wrong_key_stops_the_run_and_is_not_shown(run: Run, name: str) -> None:
    code, output = run("--yes", "example.org", "news.example.org", **{name: "wrong-KEY-987"})
    assert code == 3, output
    assert "the key is not valid" in output
    assert "wrong-KEY-987" not in output
    assert output.count("FAILED") == 3  # as it happens, and in the report for either domain


def test_a_key_that_could_break_a_header_is_refused_unseen(run: Run) -> None:
    code, output = run("example.org", SENDGRID_API_KEY="SG.secret\nX-Evil: 1")
    assert code == 2, output
    assert "secret" not in output


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["example.org"], {"SENDGRID_API_KEY": ""}, "SENDGRID_API_KEY is not set"),
        (["example.org"], {"GANDI_PERSONAL_ACCESS_TOKEN": " "}, "GANDI_PERSONAL_ACCESS_TOKEN is not set"),
        (["example.org"], {"DNS_REGISTRAR": "godaddy"}, "none of route53, gandi, print"),
        (["example.org"], {"SENDGRID_API_URL": "http://example.org"}, "does not begin with https://"),
        (["https://example.org/"], {}, "is not a domain name"),
        (["org"], {}, "is not a domain name"),
        (["--subdomain", "a b", "example.org"], {}, "is not a domain name"),
        (["--dmarc-reports", "nobody", "example.org"], {}, "is not an address"),
        (["--resolver", "dns.example.org", "example.org"], {}, "is not an address"),
        (["--subdomain", "em", "--link-subdomain", "em", "example.org"], {}, "must differ"),
        (["--ttl", "1", "example.org"], {}, "--ttl 1"),
        (["--wait", "nan", "example.org"], {}, "--wait nan"),
        (["--env-file", "/nonexistent", "example.org"], {}, "there is no such file"),
        ([], {}, "required: DOMAIN"),
    ],
)
def test_wrong_usage_says_so_and_does_nothing(
    run: Run, sendgrid: SendGridService, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    code, output = run(*arguments, **environment)
    assert code == 2, output
    assert said in output
    assert "Traceback" not in output
    assert sendgrid.seen == []


def test_keys_come_from_an_env_file_too_and_its_bad_lines_are_not_shown(
    run: Run, sendgrid: SendGridService, tmp_path
) -> None:
    (tmp_path / "keys.env").write_text(f"SENDGRID_API_KEY={sendgrid.key}\nOTHER KEY hidden-0815\n")
    del run.environment["SENDGRID_API_KEY"]
    code, output = run("--dry-run", "--env-file", str(tmp_path / "keys.env"), "example.org")
    assert code == 0, output
    assert "hidden-0815" not in output


def test_the_environment_wins_over_the_env_file(run: Run, tmp_path) -> None:
    (tmp_path / "keys.env").write_text("SENDGRID_API_KEY=SG.other\n")
    code, output = run("--dry-run", "--env-file", str(tmp_path / "keys.env"), "example.org")
    assert code == 0, output


def test_texts_beside_no_dmarc_do_not_weaken_the_policy_above(run: Run, gandi: GandiService) -> None:
    gandi.zones["example.org"] |= {("_dmarc", "TXT"): (300, ['"v=DMARC1; p=reject"'])}
    gandi.zones["example.org"] |= {("_dmarc.news", "TXT"): (300, ['"something else"'])}
    code, output = run("--yes", "news.example.org")
    assert code == 0, output
    assert gandi.zones["example.org"]["_dmarc.news", "TXT"] == (300, ['"something else"'])


def test_help_shows_examples_and_exit_codes(run: Run) -> None:
    code, output = run("--help")
    assert code == 0
    assert "--registrar gandi example.org news.example.org" in output
    assert "exit codes:" in output


def test_it_runs_without_django(run: Run, tmp_path) -> None:
    (tmp_path / "django" / "core").mkdir(parents=True)  # no more of Django than django-environ looks for
    (tmp_path / "django" / "__init__.py").write_text("VERSION = (6, 1)")
    (tmp_path / "django" / "core" / "__init__.py").write_text("")
    (tmp_path / "django" / "core" / "exceptions.py").write_text("class ImproperlyConfigured(Exception): pass")
    code, output = run("--dry-run", "example.org", PYTHONPATH=str(tmp_path))
    assert code == 0, output


def test_print_shows_what_to_enter_and_is_done_once_it_is_in_dns(
    run: Run, sendgrid: SendGridService, gandi: GandiService, dns_server: DnsServer
) -> None:
    code, output = run("--registrar", "print", "--yes", "example.net")
    assert code == 1, output
    assert "+ em101.example.net CNAME u7.wl.sendgrid.net" in output
    assert "Enter the records above" in output
    for entry in sendgrid.entries["domains"] + sendgrid.entries["links"]:
        for item in entry["dns"].values():
            dns_server.put("example.net", item["host"], "CNAME", item["data"] + ".")
    dns_server.put("example.net", "example.net", "TXT", '"v=spf1 include:sendgrid.net ~all"')
    dns_server.put("example.net", "_dmarc.example.net", "TXT", '"v=DMARC1; p=none"')
    code, output = run("--registrar", "print", "--yes", "example.net")
    assert code == 0, output
    assert gandi.seen == []


def test_records_that_do_not_reach_dns_are_named(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    gandi.publish = lambda zone: None
    code, output = run("--yes", "--wait", "0", "example.org")
    assert code == 1, output
    assert "not in DNS yet: em101.example.org CNAME u7.wl.sendgrid.net: 127.0.0.1 answers nothing" in output
    assert "delegated" in output
    assert not any(path.endswith("/validate") for _, path in sendgrid.seen)


def test_it_waits_until_dns_answers(run: Run, gandi: GandiService, sendgrid: SendGridService) -> None:
    publish, gandi.publish = gandi.publish, lambda zone: None
    process = run.start("--yes", "--wait", "60", "example.org")
    for line in process.stdout:
        if "waiting for DNS" in line:
            publish("example.org")
    assert process.wait(60) == 0
    assert sendgrid.entries["domains"][0]["valid"]


def test_what_sendgrid_does_not_accept_is_said_in_its_words(
    run: Run, sendgrid: SendGridService, dns_server: DnsServer
) -> None:
    class Nothing:
        def records(self, name: str, kind: str) -> list[Record]:
            return []

    sendgrid.dns = Nothing()
    code, output = run("--yes", "example.org")
    assert code == 1, output
    assert 'SendGrid does not accept mail_cname: Expected CNAME to match "u7.wl.sendgrid.net."' in output


def test_a_python_without_its_libraries_is_told_what_to_install():
    script = Path(__file__).resolve().parents[2] / "scripts" / "sendgrid_authentication.py"
    done = subprocess.run([sys.executable, "-S", script, "--help"], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 2
    assert "pip install dbmail" in done.stderr and "Traceback" not in done.stderr
