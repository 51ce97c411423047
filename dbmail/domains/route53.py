"""Zones at Amazon Route 53, through boto3 (the extra `dbmail[route53]`).

Credentials come from where boto3 looks: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a role. They
need route53:ListHostedZones, route53:ListResourceRecordSets and route53:ChangeResourceRecordSets.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..dns.errors import NotConfigured
from ..dns.records import Record, parents, quoted, unquoted
from .errors import (
    AccessDenied,
    ChangedMeanwhile,
    RecordConflict,
    ServiceError,
    Unavailable,
    WrongKey,
    ZoneNotOurs,
)
from .proposal import Change
from .registrar import must_be_unchanged

#: Types of record whose value ends with a host name.
_HOSTS = ("CNAME", "MX", "NS", "PTR", "SRV")
#: Seconds that a new set lives in resolvers where no record says.
_TTL = 3600
#: AWS's error codes for credentials that are not valid.
_WRONG_KEY = (
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "ExpiredToken",
    "ExpiredTokenException",
)
#: AWS's error codes for credentials that may not do this.
_DENIED = ("AccessDenied", "AccessDeniedException")


class Route53:
    """The account's public hosted zones. `zone_id` picks one where several have the same name.

    Raises NotConfigured where boto3 is missing, or finds no credentials (some only show at the first request).
    """

    name = "Amazon Route 53"
    posts = True

    def __init__(self, *, zone_id: str = "") -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise NotConfigured("Route 53 needs boto3: pip install 'dbmail[route53]'.") from None
        # "standard" repeats throttling, PriorRequestNotComplete, 5xx and lost connections with backoff.
        config = Config(retries={"mode": "standard", "total_max_attempts": 6}, connect_timeout=10, read_timeout=30)
        with _errors():
            self._client = boto3.client("route53", region_name="us-east-1", config=config)
        self._zone_id = zone_id.removeprefix("/hostedzone/")
        #: Zone -> the ids of the hosted zones of this name.
        self._ids: dict[str, list[str]] = {}

    def zone_of(self, name: str) -> str:
        """The longest name at or above `name` that a public hosted zone has."""
        if not self._ids:
            self._ids = self._public_zones()
        for candidate in parents(name):
            ids = self._ids.get(candidate, [])
            if len(ids) > 1:
                text = f"Route 53 has {len(ids)} public zones named {candidate} ({', '.join(sorted(ids))})."
                raise RecordConflict(f"{text} Set ROUTE53_ZONE_ID to the one that the domain is delegated to.")
            if ids:
                return candidate
        raise ZoneNotOurs(f"Route 53 has no public hosted zone for {name} in this account.")

    def _public_zones(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with _errors():
            for page in self._client.get_paginator("list_hosted_zones").paginate():
                for zone in page["HostedZones"]:
                    zone_id = zone["Id"].removeprefix("/hostedzone/")
                    if not zone.get("Config", {}).get("PrivateZone") and self._zone_id in ("", zone_id):
                        found.setdefault(_name(zone["Name"]), []).append(zone_id)
        return found

    def records(self, zone: str, name: str) -> list[Record]:
        """All records at `name`."""
        return [record for rrset in self._sets(zone, name) for record in _records(name, rrset)]

    def _sets(self, zone: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with _errors():
            pages = self._client.get_paginator("list_resource_record_sets").paginate(
                HostedZoneId=self._ids[zone][0], StartRecordName=name + "."
            )
            for page in pages:
                for rrset in page["ResourceRecordSets"]:
                    if _name(rrset["Name"]) != name:  # sorted by name: ours come first
                        return found
                    found.append(rrset)
        return found

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the changes, in one batch for each zone: all of it happens, or nothing.

        A set is replaced by a DELETE of what was read and a CREATE of what shall be, so that Route 53 itself
        refuses the batch if somebody else was faster; an UPSERT would overwrite.
        """
        zones: dict[str, list[dict[str, Any]]] = {}
        for change in changes:
            sets = [rrset for rrset in self._sets(change.zone, change.name) if rrset["Type"] == change.type]
            must_be_unchanged(change, [record for rrset in sets for record in _records(change.name, rrset)])
            if any("SetIdentifier" in rrset or "AliasTarget" in rrset for rrset in sets):
                text = f"{change.name} {change.type} is an alias or has a routing policy. Change it by hand."
                raise RecordConflict(text)
            batch = zones.setdefault(change.zone, [])
            batch += [{"Action": "DELETE", "ResourceRecordSet": rrset} for rrset in sets]
            new = {
                "Name": change.name + ".",
                "Type": change.type,
                "TTL": next((record.ttl for record in (*change.old, *change.new) if record.ttl), _TTL),
                "ResourceRecords": [{"Value": record.raw or _value(record)} for record in change.new],
            }
            batch.append({"Action": "CREATE", "ResourceRecordSet": new})
        for zone, batch in zones.items():
            with _errors():
                self._client.change_resource_record_sets(
                    HostedZoneId=self._ids[zone][0], ChangeBatch={"Comment": "SendGrid", "Changes": batch}
                )


def _records(name: str, rrset: dict[str, Any]) -> Iterator[Record]:
    for item in rrset.get("ResourceRecords", []):
        value, kind = item["Value"], rrset["Type"]
        text = unquoted(value, base=8) if kind == "TXT" else value
        text = text.rstrip(".").lower() if kind in _HOSTS else text
        yield Record(name, kind, text, rrset.get("TTL", 0), value)
    if "AliasTarget" in rrset:
        yield Record(name, rrset["Type"], f"alias of {_name(rrset['AliasTarget']['DNSName'])}")


def _value(record: Record) -> str:
    """A record's value as Route 53 takes it."""
    if record.type == "TXT":  # zone files write \\ddd in decimal, Route 53 in octal
        return re.sub(r"\\(\d{3})", lambda match: f"\\{int(match[1]):03o}", quoted(record.value))
    return record.value + "." if record.type in _HOSTS else record.value


def _name(text: str) -> str:
    """`_dmarc.example.org` from `_dmarc.example.org.`; `\\052` is the star of a wildcard."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text).rstrip(".").lower()


@contextmanager
def _errors() -> Iterator[None]:
    """Turn botocore's errors into ours."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _WRONG_KEY:
            raise WrongKey(f"Route 53: the AWS credentials are not valid ({code}).", status=status) from None
        if code in _DENIED:
            raise AccessDenied(f"Route 53: the AWS credentials may not do this. {text}", status=status) from None
        if code in ("InvalidChangeBatch", "NoSuchHostedZone"):
            raise ChangedMeanwhile(f"Route 53 refused the changes: {text}") from None
        kind = Unavailable if status and (status == 429 or status >= 500) else ServiceError
        raise kind(f"Route 53: {code}. {text}", status=status) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
        raise NotConfigured(f"Route 53: {error}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.") from None
    except exceptions.BotoCoreError as error:
        raise Unavailable(f"Route 53: {error}") from None
