"""JSON over HTTP for the services: time-outs, repeats with backoff, and errors that never show the key."""

import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ..dns.errors import NotConfigured
from .errors import AccessDenied, NotFound, OutcomeUnknown, ServiceError, Unavailable, WrongKey

#: Seconds for one step of one request: to connect, or to wait for the next bytes.
TIMEOUT = 20.0
#: How often a request is sent at most.
TRIES = 5
#: Seconds to wait after the first try where the service names none; twice as many after each further one.
_FIRST_WAIT = 1.0
#: Seconds; a service that asks to wait longer is given up for this run.
LONGEST_WAIT = 120.0
#: How much of an answer is read, in bytes.
_MAX_ANSWER = 10_000_000
#: The most characters of a service's own words in an error.
_MAX_TOLD = 500


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would send the key along to wherever it points."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Api:
    """One service, at `base_url`, with the `key` as Bearer token.

    `explain` takes the service's own words out of the decoded body of an error answer; where it raises TypeError,
    AttributeError or KeyError, there are none. `timeout` is in seconds. Raises NotConfigured.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        key: str,
        *,
        explain: Callable[[Any], str],
        timeout: float = TIMEOUT,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.service = service
        self._base = checked_url(service, base_url)
        self._key = checked_key(service, key)
        self._explain = explain
        self._timeout = timeout
        self._tries = tries
        self._sleep = sleep
        self._opener = urllib.request.build_opener(_NoRedirects)

    def __repr__(self) -> str:
        return f"<Api {self.service}>"

    def request(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None, safe: bool = True
    ) -> Any:
        """The decoded JSON of a 2xx answer, None if it is empty. Repeats on 429, 5xx, time-outs and lost connections.

        `body` is sent as JSON. safe=False is for what must not be carried out twice, such as a creation: it is
        repeated only if it surely was not carried out, else OutcomeUnknown is raised. Raises WrongKey,
        AccessDenied, NotFound, Unavailable; ServiceError for any other refusal and for what is no JSON.
        """
        url = self._base + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", "User-Agent": "dbmail"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        reason = ""
        for attempt in range(1, self._tries + 1):
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - checked_url
            wait = _FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            try:
                with self._opener.open(request, timeout=self._timeout) as response:
                    content = response.read(_MAX_ANSWER)
                    if response.length:  # read() with a limit does not notice an end that comes too early
                        raise http.client.IncompleteRead(content, response.length)
                    return self._decoded(content)
            except urllib.error.HTTPError as error:
                told = self._told(error)
                if error.code != 429 and error.code < 500:
                    raise self._refusal(error.code, f"{method} {path}", told) from None
                reason = f"{error.code}{': ' + told if told else ''}"
                if error.code != 429 and not safe:
                    raise OutcomeUnknown(
                        self._says(f"{method} {path} broke off ({reason})."), status=error.code
                    ) from None
                wait = _wait_asked_for(error.headers, wait)
            except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
                cause = getattr(error, "reason", error)
                if isinstance(cause, ssl.SSLCertVerificationError):
                    raise ServiceError(
                        self._says(f"its certificate cannot be trusted: {cause.verify_message}.")
                    ) from None
                reason = "no answer in time" if isinstance(cause, TimeoutError) else f"{cause}" or type(cause).__name__
                if not safe and not isinstance(cause, ConnectionRefusedError):
                    raise OutcomeUnknown(self._says(f"{method} {path} broke off ({reason}).")) from None
            if wait > LONGEST_WAIT:
                raise Unavailable(self._says(f"it asks to wait {wait:.0f} seconds ({reason}). Run again later."))
            if attempt < self._tries:
                self._sleep(wait)
        raise Unavailable(self._says(f"{method} {path} failed {self._tries} times ({reason}). Run again later."))

    def _decoded(self, content: bytes) -> Any:
        try:
            return json.loads(content) if content.strip() else None
        except ValueError:
            raise ServiceError(self._says("the answer is not JSON. Check the URL, and proxies on the way.")) from None

    def _told(self, error: urllib.error.HTTPError) -> str:
        """What an error answer says in the service's own words; "" where it is not the service's (a proxy's page)."""
        try:
            return " ".join(self._explain(json.loads(error.read(_MAX_ANSWER))).split())[:_MAX_TOLD]
        except (OSError, http.client.HTTPException, ValueError, TypeError, AttributeError, KeyError):
            return ""

    def _refusal(self, code: int, what: str, told: str) -> ServiceError:
        """The error for a 3xx or 4xx. `what` was asked, `told` is the service's answer."""
        if code == 401:
            return WrongKey(self._says(f"the key is not valid. {told}"), status=code)
        if code == 403:
            return AccessDenied(self._says(f"the key may not do {what}. {told}"), status=code)
        if code == 404:
            return NotFound(self._says(f"{what}: not found. {told}"), status=code)
        if 300 <= code < 400:
            return ServiceError(self._says(f"{what} is redirected ({code}). Check the URL."), status=code)
        return ServiceError(self._says(f"{what} was refused ({code}). {told}"), status=code)

    def _says(self, text: str) -> str:
        """An error message that never shows the key, even if the service repeated it."""
        return f"{self.service}: {text.strip()}".replace(self._key, "***")


def _wait_asked_for(headers: Any, default: float) -> float:
    """Seconds from now, by Retry-After (RFC 9110, 10.2.3: a number or a date) or X-RateLimit-Reset (a Unix time)."""
    after, reset = headers.get("Retry-After", "").strip(), headers.get("X-RateLimit-Reset", "").strip()
    try:
        if after:
            return (
                float(after) if after.isdigit() else max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
            )
        if reset.isdigit():
            return max(0.0, int(reset) - time.time())
    except (ValueError, OverflowError):
        pass  # not a date: the backoff stands
    return default


def checked_key(service: str, key: str) -> str:
    """`key` without white space around it. Raises NotConfigured, which does not show the key."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise NotConfigured(f"{service}: the key is empty or holds white space or other odd characters.")
    return key


def checked_url(service: str, url: str) -> str:
    """`url` without the last slash. Raises NotConfigured: keys go over TLS only, or to this very machine."""
    parts = urllib.parse.urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise NotConfigured(f"{service}: the URL {url!r} does not begin with https://.")
    return url.rstrip("/")
