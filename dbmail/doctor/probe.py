"""What the relay, the MX of the return path and the unsubscribe page say when they are asked. No mail is sent."""

import http.client
import ipaddress
import smtplib
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from ..dns.sentence import Sentence as _
from .facts import DomainFacts, Encryption, PageFacts, Probe, Relay, RelayFacts, Setup

TIMEOUT = 10.0  # seconds, for each

#: The end of a relay's name -> what its customers include in SPF. Mail leaves from other addresses than the relay's.
PROVIDERS = {
    "sendgrid.net": "sendgrid.net",
    "amazonaws.com": "amazonses.com",
    "mailgun.org": "mailgun.org",
    "postmarkapp.com": "spf.mtasv.net",
    "mandrillapp.com": "spf.mandrillapp.com",
    "google.com": "_spf.google.com",
    "gmail.com": "_spf.google.com",
    "office365.com": "spf.protection.outlook.com",
    "outlook.com": "spf.protection.outlook.com",
    "mailjet.com": "spf.mailjet.com",
    "brevo.com": "spf.brevo.com",
}


def provider(host: str) -> str:
    """What SPF has to include where `host` is a provider's relay that we know; else ""."""
    return next((spf for end, spf in PROVIDERS.items() if host.lower().endswith(f".{end}")), "")


def relay(relay: Relay) -> RelayFacts:
    """Connect as the mail backend does, as far as TLS; no login."""
    is_local = _is_local(relay.host)
    try:
        return _relay(relay, is_local, ssl.create_default_context(), "")
    except ssl.SSLCertVerificationError as error:
        try:
            return _relay(relay, is_local, _trusting(), error.verify_message)
        except (OSError, smtplib.SMTPException) as again:
            return RelayFacts(relay, is_local, f"{type(again).__name__}: {again}")
    except (OSError, smtplib.SMTPException) as error:
        return RelayFacts(relay, is_local, f"{type(error).__name__}: {error}")


def _relay(relay: Relay, is_local: bool, context: ssl.SSLContext, problem: str) -> RelayFacts:
    smtp: smtplib.SMTP
    if relay.encryption is Encryption.TLS:
        smtp = smtplib.SMTP_SSL(relay.host, relay.port, timeout=TIMEOUT, context=context)
    else:
        smtp = smtplib.SMTP(relay.host, relay.port, timeout=TIMEOUT)
    try:
        smtp.ehlo()
        offered = bool(smtp.has_extn("starttls"))
        if offered and relay.encryption is not Encryption.TLS:
            smtp.starttls(context=context)
        version = smtp.sock.version() if isinstance(smtp.sock, ssl.SSLSocket) else ""
        return RelayFacts(relay, is_local, "", offered, version or "", problem)
    finally:
        smtp.close()


def _trusting() -> ssl.SSLContext:
    """To see what else the relay does, when its certificate is not to be trusted; nothing secret is sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_local(host: str) -> bool:
    try:
        return all(
            ipaddress.ip_address(info[4][0]).is_loopback
            for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
    except (OSError, ValueError):
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None  # the status itself is the fact


def page(url: str) -> PageFacts:
    """GET, then a one-click POST (RFC 8058), without cookies and without following redirects."""
    get, error = status(url)
    if error:
        return PageFacts(url, error=error)
    post, error = status(url, b"List-Unsubscribe=One-Click")
    return PageFacts(url, get, post, error)


def status(url: str, body: bytes | None = None) -> tuple[int, str]:
    """The HTTP status of a GET, or of a POST where there is a body; or 0 and why there is none."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        return 0, _("%(url)r is no http address.", url=url)
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        request = urllib.request.Request(url, body, {"User-Agent": "dbmail-doctor"})  # noqa: S310 - the scheme is checked
        with opener.open(request, timeout=TIMEOUT) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return 0, f"{type(reason).__name__}: {reason}"


def return_path(setup: Setup, domain: DomainFacts) -> tuple[Probe, ...]:
    """Ask the best MX whether it takes bounces and unsubscribe mails: MAIL FROM:<>, RCPT TO, RSET, no message."""
    addresses = setup.incoming or (setup.return_path, f"unsubscribe@{domain.domain}")
    host = next((host for host in domain.mx_hosts if host.addresses.values), None)
    if not host:
        return ()
    try:
        with smtplib.SMTP(host.addresses.values[0], setup.mx_port, timeout=TIMEOUT) as smtp:
            smtp.ehlo()
            found = []
            for address in addresses:
                smtp.mail("")
                code, text = smtp.rcpt(address)
                found.append(Probe(address, host.name, code, text.decode("utf-8", "replace")))
                smtp.rset()
            return tuple(found)
    except (OSError, smtplib.SMTPException) as error:
        return tuple(Probe(address, host.name, 0, f"{type(error).__name__}: {error}") for address in addresses)
