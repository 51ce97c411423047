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
from .facts import DomainFacts, Encryption, MxReply, PageFacts, Relay, RelayFacts, Setup

#: Seconds for one step: to connect, or to wait for the next line.
TIMEOUT = 10.0
#: The body of a mailbox provider's POST (RFC 8058, 3.2).
ONE_CLICK = b"List-Unsubscribe=One-Click"


def ask_relay(relay: Relay) -> RelayFacts:
    """Connect as the mail backend does, as far as TLS; without a login. What goes wrong is a fact too."""
    is_local = _is_local(relay.host)
    try:
        return _connected(relay, is_local, ssl.create_default_context(), "")
    except ssl.SSLCertVerificationError as error:
        try:
            return _connected(relay, is_local, _trusting(), error.verify_message)
        except (OSError, smtplib.SMTPException) as again:
            return RelayFacts(relay, is_local, f"{type(again).__name__}: {again}")
    except (OSError, smtplib.SMTPException) as error:
        return RelayFacts(relay, is_local, f"{type(error).__name__}: {error}")


def _connected(relay: Relay, is_local: bool, context: ssl.SSLContext, problem: str) -> RelayFacts:
    """`problem`: what is wrong with the certificate, "" while nothing is known. Raises OSError, SMTPException."""
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
    """For a relay whose certificate is not to be trusted, to see what else it does. Nothing secret is sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_local(host: str) -> bool:
    """Whether a host is this machine; False if its name is unknown."""
    try:
        return all(
            ipaddress.ip_address(info[4][0]).is_loopback
            for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
    except (OSError, ValueError):
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: that there is one is what we want to know."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask_page(url: str) -> PageFacts:
    """GET, then a one-click POST (RFC 8058), without cookies and without following redirects."""
    get, error = http_status(url)
    if error:
        return PageFacts(url, error=error)
    post, error = http_status(url, ONE_CLICK)
    return PageFacts(url, get, post, error)


def http_status(url: str, body: bytes | None = None) -> tuple[int, str]:
    """The status of a GET, or of a POST if there is a body, and ""; or 0 and why there is no answer."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        return 0, _("%(url)r is no http address.", url=url)
    opener = urllib.request.build_opener(_NoRedirects)
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


def ask_mx(setup: Setup, domain: DomainFacts) -> tuple[MxReply, ...]:
    """Ask the best MX of `domain` whether it takes bounces and unsubscribe mails; () if it has none.

    MAIL FROM:<>, RCPT TO and RSET for each address: no message.
    """
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
                found.append(MxReply(address, host.name, code, text.decode("utf-8", "replace")))
                smtp.rset()
            return tuple(found)
    except (OSError, smtplib.SMTPException) as error:
        return tuple(MxReply(address, host.name, 0, f"{type(error).__name__}: {error}") for address in addresses)
