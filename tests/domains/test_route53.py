"""Route 53 over real boto3, answered by moto."""

import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType

import boto3
import pytest
from moto import mock_aws

from dbmail.dns.errors import NotConfigured
from dbmail.dns.records import Record
from dbmail.domains.errors import ChangedMeanwhile, RecordConflict, ServiceError, WrongKey, ZoneNotOurs
from dbmail.domains.proposal import Change
from dbmail.domains.route53 import Route53

from ..knot import DnsServer
from .conftest import SCRIPT
from .services import SendGridService


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, no_credentials: None):
    """A client for the account, which has nothing but keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-KEY-4711")
    with mock_aws():
        yield boto3.client("route53", region_name="us-east-1")


def make_zone(aws, name: str, *, private: bool = False) -> str:
    options = {"VPC": {"VPCRegion": "us-east-1", "VPCId": "vpc-1"}} if private else {}
    zone = aws.create_hosted_zone(
        Name=name, CallerReference=f"{name}{private}{os.urandom(4).hex()}", HostedZoneConfig={"PrivateZone": private},
        **options,
    )  # fmt: skip
    return zone["HostedZone"]["Id"].removeprefix("/hostedzone/")


def put(aws, zone_id: str, name: str, kind: str, *values: str, **fields) -> None:
    rrset = {"Name": name, "Type": kind, "TTL": 300, "ResourceRecords": [{"Value": v} for v in values], **fields}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": rrset}]
    aws.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})


def held(aws, zone_id: str) -> dict[tuple[str, str], list[str]]:
    sets = aws.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    return {
        (s["Name"].rstrip("."), s["Type"]): [r["Value"] for r in s.get("ResourceRecords", [])]
        for s in sets
        if s["Type"] not in ("SOA", "NS")
    }


def test_the_longest_public_zone_holds_a_name(aws) -> None:
    make_zone(aws, "example.org")
    make_zone(aws, "news.example.org")
    make_zone(aws, "private.example.org", private=True)
    registrar = Route53()
    assert registrar.zone_of("s1._domainkey.news.example.org") == "news.example.org"
    assert registrar.zone_of("oldnews.example.org") == "example.org"
    assert registrar.zone_of("a.private.example.org") == "example.org"


def test_a_zone_that_is_not_ours_is_said_to_be_so(aws) -> None:
    make_zone(aws, "example.org")
    with pytest.raises(ZoneNotOurs, match=r"no public hosted zone for notexample\.org"):
        Route53().zone_of("notexample.org")


def test_more_than_a_page_of_zones_is_read(aws) -> None:
    for number in range(120):
        make_zone(aws, f"z{number}.example.org")
    assert Route53().zone_of("www.z119.example.org") == "z119.example.org"


def test_two_zones_of_one_name_need_a_choice(aws) -> None:
    ids = [make_zone(aws, "example.org") for _ in range(2)]
    with pytest.raises(RecordConflict, match="ROUTE53_ZONE_ID"):
        Route53().zone_of("example.org")
    put(aws, ids[1], "a.example.org", "TXT", '"here"')
    registrar = Route53(zone_id=ids[1])
    assert registrar.records(registrar.zone_of("a.example.org"), "a.example.org") == [
        Record("a.example.org", "TXT", "here")
    ]


def test_only_the_records_of_that_very_name_are_read(aws) -> None:
    zone_id = make_zone(aws, "example.org")
    put(aws, zone_id, "em.example.org", "CNAME", "U7.wl.sendgrid.net")
    put(aws, zone_id, "em2.example.org", "TXT", '"other"')
    put(aws, zone_id, "x.em.example.org", "TXT", '"below"')
    registrar = Route53()
    zone = registrar.zone_of("em.example.org")
    assert registrar.records(zone, "em.example.org") == [Record("em.example.org", "CNAME", "u7.wl.sendgrid.net")]
    assert registrar.records(zone, "e.example.org") == []


def test_an_alias_is_seen_and_not_replaced(aws) -> None:
    zone_id = make_zone(aws, "example.org")
    target = {"HostedZoneId": zone_id, "DNSName": "lb.example.org.", "EvaluateTargetHealth": False}
    rrset = {"Name": "em.example.org", "Type": "A", "AliasTarget": target}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": rrset}]}
    aws.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)
    registrar = Route53()
    old = registrar.records(registrar.zone_of("em.example.org"), "em.example.org")
    assert old == [Record("em.example.org", "A", "alias of lb.example.org")]
    new = (Record("em.example.org", "A", "192.0.2.1"),)
    with pytest.raises(RecordConflict, match="by hand"):
        registrar.apply([Change("example.org", "em.example.org", "A", tuple(old), new, "")])


def test_a_change_made_meanwhile_is_not_overwritten(aws) -> None:
    zone_id = make_zone(aws, "example.org")
    put(aws, zone_id, "example.org", "TXT", '"v=spf1 -all"')
    registrar = Route53()
    zone = registrar.zone_of("example.org")
    old = tuple(registrar.records(zone, "example.org")[-1:])
    assert old == (Record("example.org", "TXT", "v=spf1 -all"),)
    put(aws, zone_id, "example.org", "TXT", '"v=spf1 mx -all"')
    new = (Record("example.org", "TXT", "v=spf1 include:sendgrid.net -all"),)
    with pytest.raises(ChangedMeanwhile):
        registrar.apply([Change(zone, "example.org", "TXT", old, new, "")])
    assert held(aws, zone_id) == {("example.org", "TXT"): ['"v=spf1 mx -all"']}


def test_a_set_is_replaced_by_deleting_exactly_what_was_read(aws) -> None:
    """So that Route 53 refuses where another writer came in between; moto does not look that closely."""
    zone_id = make_zone(aws, "example.org")
    put(aws, zone_id, "a.example.org", "TXT", '"old" "er"', '"other"')
    registrar = Route53()
    zone = registrar.zone_of("example.org")
    old = tuple(registrar.records(zone, "a.example.org"))
    sent: list[tuple[str, list[str]]] = []

    def watch(params: dict, **_: object) -> None:
        changes = params["ChangeBatch"]["Changes"]
        sent.extend((c["Action"], [r["Value"] for r in c["ResourceRecordSet"]["ResourceRecords"]]) for c in changes)

    registrar._client.meta.events.register("provide-client-params.route53.ChangeResourceRecordSets", watch)
    registrar.apply([Change(zone, "a.example.org", "TXT", old, (old[1], Record("a.example.org", "TXT", "new")), "")])
    assert sent == [("DELETE", ['"old" "er"', '"other"']), ("CREATE", ['"other"', '"new"'])]
    assert held(aws, zone_id) == {("a.example.org", "TXT"): ['"other"', '"new"']}


def test_texts_with_quotes_bytes_and_255_characters_come_back_as_they_went(aws) -> None:
    make_zone(aws, "example.org")
    registrar = Route53()
    zone = registrar.zone_of("example.org")
    text = 'say "x\\y" \xe9 ' + "k" * 300
    new = (Record("a.example.org", "TXT", text),)
    registrar.apply([Change(zone, "a.example.org", "TXT", (), new, "")])
    assert registrar.records(zone, "a.example.org") == [Record("a.example.org", "TXT", text)]


def test_missing_credentials_say_what_to_set(no_credentials: None) -> None:
    with pytest.raises(NotConfigured, match="AWS_ACCESS_KEY_ID"):
        Route53().zone_of("example.org")


def test_a_profile_that_is_not_there_says_so(no_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(NotConfigured, match="nobody"):
        Route53()


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("InvalidClientTokenId", 403, WrongKey),
        ("SignatureDoesNotMatch", 403, WrongKey),
        ("AccessDenied", 403, ServiceError),
        ("InvalidInput", 400, ServiceError),
        ("InvalidChangeBatch", 400, ChangedMeanwhile),
    ],
)
def test_refusals_become_our_errors(
    aws, monkeypatch: pytest.MonkeyPatch, code: str, status: int, error: type[Exception]
) -> None:
    registrar = Route53()
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>No.</Message></Error></ErrorResponse>".encode()

    def answer(request, **_):
        from botocore.awsrequest import AWSResponse

        response = AWSResponse(request.url, status, {}, None)
        response._content = body
        return response

    registrar._client.meta.events.register_first("before-send.route53.*", answer)
    with pytest.raises(error, match=r"Route 53"):
        registrar.zone_of("example.org")


@pytest.fixture
def script() -> ModuleType:
    """The script in this process, where moto is."""
    spec = importlib.util.spec_from_file_location("sendgrid_authentication", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_sets_a_domain_up_at_route_53_and_a_second_run_changes_nothing(
    aws,
    script: ModuleType,
    sendgrid: SendGridService,
    dns_server: DnsServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SENDGRID_API_KEY", sendgrid.key)
    monkeypatch.setenv("SENDGRID_API_URL", sendgrid.url)
    (tmp_path / ".env").write_text("")
    zone_id = make_zone(aws, "example.org")
    put(aws, zone_id, "example.org", "TXT", '"keep me"', '"v=spf1 mx -all"')
    options = ["--registrar", "route53", "--yes", "--resolver", dns_server.address]
    options += ["--env-file", str(tmp_path / ".env"), "--wait", "0", "example.org"]

    assert script.main(options) == script.LEFT  # posted; nothing has carried it into DNS yet
    posted = held(aws, zone_id)
    assert posted["example.org", "TXT"] == ['"keep me"', '"v=spf1 mx include:sendgrid.net -all"']
    assert posted["em101.example.org", "CNAME"] == ["u7.wl.sendgrid.net."]

    dns_server.fill("example.org", [(name, kind, 300, values) for (name, kind), values in posted.items()])
    capsys.readouterr()
    assert script.main(options) == script.DONE
    output = capsys.readouterr().out
    assert "nothing to change" in output
    assert not re.search(r"^  [+-] ", output, re.MULTILINE)
    assert held(aws, zone_id) == posted
    assert "secret-KEY-4711" not in output
