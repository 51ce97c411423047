"""SendGrid's side: authenticated domains and link brandings, each made once and found again.

Contract: "Twilio SendGrid v3 API", chapters Domain Authentication and Link Branding (sendgrid-oai,
spec/paths/sender_verification/domain_authentication.json and spec/paths/deliverability/link_branding.json):

    GET    /v3/whitelabel/domains?domain,exclude_subusers,limit,offset     200, a list of authentications
    POST   /v3/whitelabel/domains {domain, subdomain, automatic_security}  201, the authentication
    POST   /v3/whitelabel/domains/{id}/validate     200 {id, valid, validation_results}; 500 {errors}
    DELETE /v3/whitelabel/domains/{id}              204
    GET    /v3/whitelabel/links?limit               200, a list of authentications
    POST   /v3/whitelabel/links {domain, subdomain} 201, the authentication
    POST   /v3/whitelabel/links/{id}/validate       200, 500 as above
    DELETE /v3/whitelabel/links/{id}                204

An authentication (our word for either kind) has id, domain, subdomain, valid, legacy and dns: {name: {valid,
type, host, data}}; link branding's owner_cname may lack type. Errors are {"errors": [{"message", "field"}]} with
400, 401, 403, 404, 429 (with X-RateLimit-Reset) or 5xx. An account has at most 3,000 of each kind.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..dns.records import Record
from .errors import OutcomeUnknown, ServiceError, Unavailable
from .http import Api

#: Where SendGrid is reached; https://api.eu.sendgrid.com for regional subusers in the EU.
URL = "https://api.sendgrid.com"
#: How many authenticated domains a page of their list has.
_PAGE = 50
#: The most that an account has of one kind: the list of link brandings comes in one page.
_ALL = 3000
#: How often a creation is tried that broke off and left nothing behind.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Authentication:
    """An authenticated domain or a link branding in the account."""

    #: "domains" or "links", as in the API's paths.
    kind: str
    id: int
    domain: str
    #: The first label of the return path or of the links.
    subdomain: str
    #: Whether SendGrid found its records in DNS when it last looked.
    valid: bool
    #: The records that SendGrid wants to see in DNS.
    records: tuple[Record, ...]

    def __str__(self) -> str:
        what = "authenticated domain" if self.kind == "domains" else "link branding"
        return f"{what} {self.id} ({self.subdomain + '.' if self.subdomain else ''}{self.domain})"


@dataclass(frozen=True, slots=True)
class Validation:
    """What SendGrid found when it looked at DNS."""

    valid: bool
    #: SendGrid's own words for each record that does not pass.
    reasons: tuple[str, ...] = ()


class SendGrid:
    """The account that the key belongs to. `ttl` (seconds) is given to the records that SendGrid names.

    Each method raises WrongKey, AccessDenied, Unavailable or ServiceError; the making of it NotConfigured.
    """

    def __init__(
        self, key: str, *, url: str = URL, ttl: int = 3600, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._api = Api("SendGrid", url, key, explain=_explain, sleep=sleep)
        self._ttl = ttl
        self._sleep = sleep

    def find(self, kind: str, domain: str, subdomain: str = "") -> Authentication | None:
        """The one for exactly this domain: a valid one before others, then the oldest. None if there is none."""
        listed = [self._read(kind, found) for found in self._list(kind, domain) if not found.get("legacy")]
        fitting = [each for each in listed if each.domain == domain and subdomain in ("", each.subdomain)]
        return min(fitting, key=lambda each: (not each.valid, each.id), default=None)

    def create(self, kind: str, domain: str, subdomain: str = "") -> Authentication:
        """A new one; or the one that is there after all, made by another run or by a request that broke off.

        SendGrid may let a domain have two, so two runs at once could make one each. Both look again when they
        have made theirs and agree on the oldest; the other run takes its own back.
        """
        body: dict[str, Any] = {"domain": domain}
        if subdomain:
            body["subdomain"] = subdomain
        if kind == "domains":
            body["automatic_security"] = True
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._api.request("POST", f"/v3/whitelabel/{kind}", body=body, safe=False)
            except OutcomeUnknown as error:
                if found := self.find(kind, domain, subdomain):
                    return found
                if attempt == _TRIES:
                    raise Unavailable(f"{error} It was tried {_TRIES} times. Run again later.") from None
                self._sleep(2.0**attempt)
            except ServiceError as error:
                found = self.find(kind, domain, subdomain) if error.status == 400 else None
                if found:
                    return found
                raise
            else:
                return self._agree(self._read(kind, answer), subdomain)
        raise AssertionError("the last attempt returns or raises")

    def _agree(self, mine: Authentication, subdomain: str) -> Authentication:
        """The one that all runs keep; `mine` is deleted if it is another."""
        kept = self.find(mine.kind, mine.domain, subdomain) or mine
        if kept.id != mine.id:
            self._api.request("DELETE", f"/v3/whitelabel/{mine.kind}/{mine.id}")
        return kept

    def validate(self, made: Authentication) -> Validation:
        """Have SendGrid look at DNS now. That it could not look (its 500) means "not valid", with the reason."""
        try:
            body = self._api.request("POST", f"/v3/whitelabel/{made.kind}/{made.id}/validate")
        except Unavailable as error:
            return Validation(False, (str(error),))
        try:
            # The documentation's example misspells the field that its schema names.
            results = body.get("validation_results") or body.get("validation_resuts") or {}
            failed = {name: result for name, result in results.items() if not result["valid"]}
            reasons = tuple(f"{name}: {result.get('reason') or 'not valid'}" for name, result in failed.items())
            return Validation(bool(body["valid"]), reasons)
        except (AttributeError, KeyError, TypeError):
            raise ServiceError(f"SendGrid: validating the {made} gave an unknown answer.") from None

    def _list(self, kind: str, domain: str) -> list[dict[str, Any]]:
        """All of one kind as SendGrid sends them; of "domains" only those whose name has `domain` in it."""
        found: list[dict[str, Any]] = []
        while True:
            query: dict[str, Any] = {"limit": _ALL}
            if kind == "domains":
                query = {"domain": domain, "exclude_subusers": "true", "limit": _PAGE, "offset": len(found)}
            page = self._api.request("GET", f"/v3/whitelabel/{kind}", query=query)
            if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
                raise ServiceError(f"SendGrid: the list of {kind} is not a list.")
            found += page
            if kind == "links" or len(page) < _PAGE:
                return found

    def _read(self, kind: str, given: Any) -> Authentication:
        try:
            made = Authentication(
                kind,
                int(given["id"]),
                str(given["domain"]).lower(),
                str(given.get("subdomain") or "").lower(),
                bool(given["valid"]),
                tuple(self._record(item) for item in (given.get("dns") or {}).values() if item),
            )
            outside = [r for r in made.records if not f".{r.name}".endswith(f".{made.domain}")]
            if outside:
                raise ValueError(f"{outside[0].name} is not in {made.domain}")
            return made
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ServiceError(f"SendGrid: an entry of {kind} is not as documented ({error!r}).") from None

    def _record(self, item: dict[str, Any]) -> Record:
        kind, value = str(item.get("type") or "cname").upper(), str(item["data"]).strip()
        if kind in ("CNAME", "MX"):
            value = value.rstrip(".").lower()
        if kind == "MX" and " " not in value:
            value = f"10 {value}"
        return Record(str(item["host"]).rstrip(".").lower(), kind, value, self._ttl)


def _explain(body: Any) -> str:
    return "; ".join(str(error["message"]) for error in body["errors"])
