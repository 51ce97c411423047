"""SendGrid and Gandi LiveDNS on loopback, over real HTTP, as their documentation says they answer.

Paths, fields and status codes are those in the docstrings of dbmail/domains/sendgrid.py and gandi.py. What a
documented request may not hold is refused, so that a client that drifts from the contract fails here.
"""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from dbmail.dns.client import Dns
from dbmail.dns.records import Record

Reply = tuple[int, Any]


class Service:
    """One server. `seen` lists the requests, `faults` what to do instead of answering the next ones:
    (method, status, headers); status 0 drops the connection after the request was carried out.
    """

    key = "pat-KEY-0123456789"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.faults: list[tuple[str, int, dict[str, str]]] = []
        self.lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                service.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that may have changed something."""
        return [(method, path) for method, path in self.seen if method != "GET"]

    def handle(self, http: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(http.path)
        content = http.rfile.read(int(http.headers.get("Content-Length") or 0))
        with self.lock:
            self.seen.append((http.command, parts.path))
            fault = next((f for f in self.faults if f[0] in (http.command, "*")), None)
            if fault:
                self.faults.remove(fault)
            headers: dict[str, str] = {}
            if fault and fault[1]:
                status, body, headers = fault[1], self.error(fault[1], "out of order"), fault[2]
            elif http.headers.get("Authorization") != f"Bearer {self.key}":
                # A careless service: it repeats what it was sent.
                status, body = 401, self.error(401, f"not valid: {http.headers.get('Authorization')}")
            elif content and http.headers.get("Content-Type") != "application/json":
                status, body = 415, self.error(415, "Content-Type")
            else:
                given = json.loads(content) if content else None
                status, body = self.answer(http.command, unquote(parts.path), dict(parse_qsl(parts.query)), given)
        if fault and not fault[1]:
            http.close_connection = True
            http.connection.close()
            return
        sent = b"" if body is None else json.dumps(body).encode()
        http.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(sent)), **headers}.items():
            http.send_header(name, value)
        http.end_headers()
        http.wfile.write(sent)

    def error(self, status: int, message: str) -> Any:
        raise NotImplementedError

    def answer(self, method: str, path: str, query: dict[str, str], given: Any) -> Reply:
        raise NotImplementedError


class SendGridService(Service):
    """An account of user 7; validation asks the DNS server that the test gives it."""

    key = "SG.test-KEY-0123456789"

    def __init__(self, dns: Dns) -> None:
        super().__init__()
        self.dns = dns
        self.entries: dict[str, list[dict[str, Any]]] = {"domains": [], "links": []}
        self.last_id = 100
        #: Called inside POST, before the entry is made: for what happens between look and leap.
        self.before_create: Callable[[str, dict[str, Any]], None] = lambda kind, given: None

    def error(self, status: int, message: str) -> Any:
        return {"errors": [{"field": None, "message": message}]}

    def answer(self, method: str, path: str, query: dict[str, str], given: Any) -> Reply:
        match = re.fullmatch(r"/v3/whitelabel/(domains|links)(?:/(\d+)(/validate)?)?", path)
        if not match:
            return 404, self.error(404, "not found")
        kind, number, validate = match.groups()
        entries = self.entries[kind]
        if method == "GET" and not number:
            allowed = {"domains": {"domain", "exclude_subusers", "limit", "offset"}, "links": {"limit"}}[kind]
            if not set(query) <= allowed:
                return 400, self.error(400, "unknown parameter")
            found = [e for e in entries if query.get("domain", "") in e["domain"]]
            start = int(query.get("offset", 0))
            return 200, found[start : start + int(query.get("limit", 50))]
        if method == "POST" and not number:
            return self.create(kind, given)
        entry = next((e for e in entries if str(e["id"]) == number), None)
        if not entry:
            return 404, self.error(404, f"{kind} {number} not found")
        if method == "POST" and validate:
            return 200, self.validated(entry)
        if method == "DELETE" and not validate:
            entries.remove(entry)
            return 204, None
        return 405, self.error(405, "method not allowed")

    def create(self, kind: str, given: dict[str, Any]) -> Reply:
        allowed = {"domains": {"domain", "subdomain", "automatic_security"}, "links": {"domain", "subdomain"}}[kind]
        if not isinstance(given, dict) or "domain" not in given or not set(given) <= allowed:
            return 400, self.error(400, "domain is required")
        self.before_create(kind, given)
        same = [e for e in self.entries[kind] if e["domain"] == given["domain"]]
        if any(e["subdomain"] == given.get("subdomain") for e in same):
            return 400, self.error(400, "An entry already exists for this URL.")
        self.last_id += 1
        return 201, self.make(kind, self.last_id, given["domain"], given.get("subdomain"))

    def make(self, kind: str, number: int, domain: str, subdomain: str | None = None, **fields: Any) -> dict[str, Any]:
        """An entry as SendGrid makes it with automatic security."""
        label = subdomain or f"{'em' if kind == 'domains' else 'url'}{number}"
        hosts = {
            "domains": {
                "mail_cname": (f"{label}.{domain}", "u7.wl.sendgrid.net"),
                "dkim1": (f"s1._domainkey.{domain}", "s1.domainkey.u7.wl.sendgrid.net"),
                "dkim2": (f"s2._domainkey.{domain}", "s2.domainkey.u7.wl.sendgrid.net"),
            },
            "links": {
                "domain_cname": (f"{label}.{domain}", "sendgrid.net"),
                "owner_cname": (f"7.{domain}", "sendgrid.net"),
            },
        }[kind]
        entry = {"id": number, "domain": domain, "subdomain": label, "username": "u", "user_id": 7, "default": False}
        entry |= {"valid": False, "legacy": False}
        if kind == "domains":
            entry |= {"ips": [], "custom_spf": False, "automatic_security": True}
        dns = {key: {"valid": False, "type": "cname", "host": h, "data": d} for key, (h, d) in hosts.items()}
        dns.get("owner_cname", {}).pop("type", None)  # the schema does not require it there
        self.entries[kind].append({**entry, "dns": dns, **fields})
        return self.entries[kind][-1]

    def validated(self, entry: dict[str, Any]) -> dict[str, Any]:
        results = {}
        for key, item in entry["dns"].items():
            found = [r.value for r in self.dns.records(item["host"], item.get("type", "cname").upper())]
            item["valid"] = found == [item["data"]]
            reason = None if item["valid"] else f'Expected CNAME to match "{item["data"]}." but found "{found}".'
            results[key] = {"valid": item["valid"], "reason": reason}
        entry["valid"] = all(result["valid"] for result in results.values())
        return {"id": entry["id"], "valid": entry["valid"], "validation_results": results}


class GandiService(Service):
    """LiveDNS with the zones in `zones`: {zone: {(rrset_name, rrset_type): (ttl, values)}}."""

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, dict[tuple[str, str], tuple[int, list[str]]]] = {}
        #: Called after a zone changed: where the records go out into DNS.
        self.publish: Callable[[str], None] = lambda zone: None
        #: Called before a write: for what somebody else does just then.
        self.before_write: Callable[[], None] = lambda: None
        self.denied: set[str] = set()

    def error(self, status: int, message: str) -> Any:
        cause = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}.get(status, "Error")
        return {"code": status, "message": message, "object": f"HTTP{cause.replace(' ', '')}", "cause": cause}

    def answer(self, method: str, path: str, query: dict[str, str], given: Any) -> Reply:
        match = re.fullmatch(r"/domains/([^/]+)(?:/records/([^/]+)(?:/([A-Z]+))?)?", path)
        if not match:
            return 404, self.error(404, "The resource could not be found.")
        fqdn, name, kind = match.groups()
        if fqdn in self.denied:
            return 403, self.error(403, "Access was denied to this resource.")
        if fqdn not in self.zones:
            return 404, self.error(404, f"Unknown domain {fqdn}")
        zone = self.zones[fqdn]
        if method == "GET" and not name:
            return 200, {"fqdn": fqdn, "automatic_snapshots": True}
        if method == "GET" and not kind:
            found = [{"rrset_name": n, "rrset_type": t, "rrset_ttl": s[0], "rrset_values": s[1]}
                     for (n, t), s in zone.items() if n == name]  # fmt: skip
            return (200, found) if found else (404, self.error(404, f"Can't find the DNS record {name}"))
        if method not in ("POST", "PUT") or not kind:
            return 405, self.error(405, "Method not allowed")
        self.before_write()
        return self.write(method, fqdn, name, kind, given)

    def write(self, method: str, fqdn: str, name: str, kind: str, given: Any) -> Reply:
        zone, ttl, values = self.zones[fqdn], given.get("rrset_ttl", 10800), given.get("rrset_values")
        wrong = not set(given) <= {"rrset_values", "rrset_ttl"} or not 300 <= ttl <= 2592000 or not values
        wrong = wrong or not all(re.fullmatch(r"[\x20-\x7E]{1,16384}", value) for value in values)
        wrong = wrong or (kind == "TXT" and not all(v.startswith('"') and v.endswith('"') for v in values))
        beside = {t for n, t in zone if n == name and t != kind}
        if wrong or (kind == "CNAME" and (beside or name == "@")) or "CNAME" in beside:
            problem = {"location": "body", "name": "rrset_values", "description": f"invalid: {values}"}
            return 400, {"status": "error", "errors": [problem]}
        there = zone.get((name, kind))
        if method == "POST" and there:
            same = sorted(there[1]) == sorted(values)
            return (200, {"message": "A DNS Record already exists with same value"}) if same else (
                409, self.error(409, "A DNS Record already exists"))  # fmt: skip
        zone[name, kind] = (ttl, values)
        self.publish(fqdn)
        return 201, {"message": "DNS Record Created"}

    def records(self, zone: str) -> set[Record]:
        """What the zone holds, as a person reads it."""
        return {
            Record(zone if name == "@" else f"{name}.{zone}", kind, value)
            for (name, kind), (_, values) in self.zones[zone].items()
            for value in values
        }
