"""Zones at Gandi LiveDNS.

Contract: "Gandi LiveDNS API" v5, https://api.gandi.net/v5/livedns, with a personal access token as Bearer:

    GET  /domains/{fqdn}
        200 {fqdn, ...}; 404 where LiveDNS has no such zone
    GET  /domains/{fqdn}/records/{rrset_name}
        200, a list of {rrset_name, rrset_type, rrset_ttl, rrset_values}; 404
    POST /domains/{fqdn}/records/{rrset_name}/{rrset_type}    {rrset_values, rrset_ttl}
        201 created; 200 it was there, the same; 409 another is there
    PUT  /domains/{fqdn}/records/{rrset_name}/{rrset_type}    {rrset_values, rrset_ttl}
        201, the set is replaced

rrset_name is relative, "@" at the top; rrset_ttl is 300 to 2592000; host names in rrset_values end with a dot,
else they are relative to the zone; TXT values are quoted. Errors are {code, message, object, cause} with 400,
401 (wrong token), 403 (not allowed, or an expired token), 404, 409. `GET /domains` is not used: it lists only
zones that are not attached to a registered domain.
"""

import time
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

from ..dns.records import Record, parents, quoted, unquoted
from .errors import AccessDenied, ChangedMeanwhile, NotFound, ServiceError, ZoneNotOurs
from .http import Api
from .proposal import Change
from .registrar import must_be_unchanged

#: Where LiveDNS is reached.
URL = "https://api.gandi.net/v5/livedns"
#: Seconds: the TTLs that LiveDNS takes.
MIN_TTL, MAX_TTL = 300, 2592000
#: Types of record whose value ends with a host name.
_HOSTS = ("ALIAS", "CNAME", "DNAME", "MX", "NS", "PTR", "SRV")


class Gandi:
    """LiveDNS, as far as the token may use it. Raises NotConfigured."""

    name = "Gandi LiveDNS"
    posts = True

    def __init__(self, token: str, *, url: str = URL, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = Api("Gandi", url, token, explain=_explain, sleep=sleep)
        #: Name -> whether LiveDNS has a zone of this name.
        self._zones: dict[str, bool] = {}

    def zone_of(self, name: str) -> str:
        """The longest name at or above `name` that LiveDNS has as a zone."""
        denied: AccessDenied | None = None
        for candidate in parents(name):
            # _dmarc, _domainkey: names for records, never zones of a registrar.
            if candidate.startswith("_") or "._" in candidate:
                continue
            try:
                if self._has(candidate):
                    return candidate
            except AccessDenied as error:  # a token for one zone may be denied all other names
                denied = error
        if denied:
            raise AccessDenied(
                f"{denied} The token needs the permission to manage the technical configuration of the domain of "
                f"{name}; or the domain is not in the token's organisation; or the token has expired.",
                status=403,
            )
        raise ZoneNotOurs(f"Gandi LiveDNS has no zone for {name}. Is the domain in this account, and on LiveDNS?")

    def _has(self, zone: str) -> bool:
        if zone not in self._zones:
            try:
                self._api.request("GET", f"/domains/{zone}")
                self._zones[zone] = True
            except NotFound:
                self._zones[zone] = False
        return self._zones[zone]

    def records(self, zone: str, name: str) -> list[Record]:
        """All records at `name`."""
        try:
            sets = self._api.request("GET", _path(zone, name))
            if not isinstance(sets, list):
                raise TypeError
            return [record for rrset in sets for record in _records(zone, name, rrset)]
        except NotFound:
            return []
        except (AttributeError, KeyError, TypeError):
            raise ServiceError(f"Gandi: the records of {name} are not as documented.") from None

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the changes, one set after the other.

        A new set is POSTed, which Gandi refuses if there is one by now. To replace a set there is only PUT, which
        has no "if unchanged": the set is read once more right before, and what somebody else writes between the
        two, in a fraction of a second, is lost.
        """
        for change in changes:
            path = f"{_path(change.zone, change.name)}/{change.type}"
            ttl = next((record.ttl for record in (*change.old, *change.new) if record.ttl), MIN_TTL)
            body = {
                "rrset_values": [record.raw or _value(record) for record in change.new],
                "rrset_ttl": min(max(ttl, MIN_TTL), MAX_TTL),
            }
            must_be_unchanged(change, self.records(change.zone, change.name))
            try:
                self._api.request("PUT" if change.old else "POST", path, body=body)
            except ServiceError as error:
                if error.status != 409:
                    raise
                raise ChangedMeanwhile(f"{change.name} {change.type} was made by somebody else just now.") from None


def _path(zone: str, name: str) -> str:
    relative = "@" if name == zone else name.removesuffix("." + zone)
    return f"/domains/{zone}/records/{urllib.parse.quote(relative, safe='')}"


def _records(zone: str, name: str, rrset: dict[str, Any]) -> list[Record]:
    kind, ttl = rrset["rrset_type"], int(rrset.get("rrset_ttl") or 0)
    return [Record(name, kind, _read(zone, kind, value), ttl, value) for value in rrset["rrset_values"]]


def _read(zone: str, kind: str, value: str) -> str:
    """A value of LiveDNS as `Record.value` has it."""
    if kind == "TXT":
        return unquoted(value)
    if kind in _HOSTS:
        value = zone if value == "@" else value
        return value.rstrip(".").lower() if value.endswith(".") or value == zone else f"{value}.{zone}".lower()
    return value


def _value(record: Record) -> str:
    """A record's value as LiveDNS takes it."""
    if record.type == "TXT":
        return quoted(record.value)
    return record.value + "." if record.type in _HOSTS else record.value


def _explain(body: Any) -> str:
    if body.get("errors"):  # 400: {"status": "error", "errors": [{"location", "name", "description"}]}
        return "; ".join(f"{error.get('name')}: {error.get('description')}" for error in body["errors"])
    return str(body["message"])
