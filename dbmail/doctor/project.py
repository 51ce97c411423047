"""The doctor over a Django project: its settings, a mail as it leaves, the unsubscribe page tried in earnest."""

import secrets
from collections.abc import Iterable
from datetime import timedelta
from email import message_from_bytes

from django.conf import settings
from django.utils import timezone

from ..addresses import Mailbox, domain_of, parse_mailbox
from ..conf import config, site_url
from ..delivery import dkim, return_path
from ..delivery.connection import configured_backend, speaks_smtp
from ..delivery.headers import unsubscribe_headers
from ..delivery.message import Mail
from ..domains.check import Dns
from ..exceptions import DbmailError
from ..models import MailEvent, Suppression, TextOfEmail
from ..unsubscribe import tokens
from . import probe
from .examine import examine
from .facts import Encryption, Feedback, PageFacts, Relay, Sample, Setup
from .finding import Finding, Level
from .gather import gather

_RECENT = timedelta(days=30)


def examine_project(resolvers: Iterable[str] = (), *, network: bool = True) -> list[Finding]:
    """All findings about this project; `resolvers` as for `domains.check.Dns`. Writes nothing that stays.

    With `network` the relay and the MX are asked, and the unsubscribe page is tried with an address of its own.
    Raises SettingError for settings that cannot be read; NotConfigured for a resolver that is none.
    """
    setup = project_setup()
    findings: list[Finding] = []
    sample = None
    try:
        sample = _sample()
    except DbmailError as error:
        findings.append(Finding(Level.FAILURE, "sample mail", "settings", str(error), "Correct the setting."))
    page = _page() if network else None
    facts = gather(setup, Dns(resolvers), page=page, sample=sample, feedback=_feedback(), network=network)
    return [*findings, *examine(facts)]


def project_setup() -> Setup:
    domains = [domain.lstrip(".").lower() for domain in config().from_domains]
    bounces = return_path.plain()
    signer = dkim.signer()
    own_keys = {signer.selector: dkim.public_key(signer.key)} if signer else {}
    return Setup(
        from_domains=tuple(dict.fromkeys(domain for domain in domains if "." in domain)),
        return_path=f"{bounces.rpartition('@')[0]}@{domain_of(bounces)}",
        selectors=tuple(dict.fromkeys([*own_keys, *config().dkim_selectors])),
        own_keys=own_keys,
        relay=_relay(),
        sends_from=config().sends_from,
        incoming=(return_path.signed(0), f"unsubscribe@{domain_of(bounces)}"),
    )


def _relay() -> Relay | None:
    backend = configured_backend()
    if not speaks_smtp(backend):
        return None
    encryption = Encryption.TLS if backend.use_ssl else Encryption.STARTTLS if backend.use_tls else Encryption.NONE
    return Relay(backend.host or "localhost", int(backend.port or 25), encryption)


def _sample() -> Sample:
    sender = parse_mailbox(settings.DEFAULT_FROM_EMAIL)
    mail = Mail(
        subject="A sample",
        body="It is not sent.",
        sender=sender,
        to=(Mailbox(f"sample@{sender.domain}"),),
        return_path=return_path.plain(),
        headers=unsubscribe_headers(f"sample@{sender.domain}"),
    )
    message = message_from_bytes(mail.envelope().data)
    unfolded = {name.lower(): " ".join(str(value).split()) for name, value in message.items()}
    return Sample(unfolded, sender.domain)


def _page() -> PageFacts | None:
    """Try the page as a provider does, for an address and a scope that nobody else has, and take it out again."""
    if not site_url():
        return None
    address, scope = f"doctor@{domain_of(return_path.plain())}", f"doctor-{secrets.token_hex(8)}"
    entries = Suppression.objects.filter(scope=scope)
    try:
        url = site_url() + tokens.path(tokens.make(address, scope))
        get, error = probe.status(url)
        if error:
            return PageFacts(url, error=error)
        after_get = entries.exists()
        post, error = probe.status(url, b"List-Unsubscribe=One-Click")
        return PageFacts(url, get, post, error, after_get, entries.exists())
    except DbmailError as error:
        return PageFacts(site_url(), error=str(error))
    finally:
        entries.delete()


def _feedback() -> Feedback | None:
    since = timezone.now() - _RECENT
    complaints = MailEvent.objects.filter(event_type=MailEvent.Type.COMPLAINED, at__gte=since).count()
    if not complaints:
        return None  # not known rather than none: most providers tell nobody
    sent = TextOfEmail.objects.filter(state=TextOfEmail.State.SENT, created_at__gte=since).count()
    return Feedback(sent, complaints)
