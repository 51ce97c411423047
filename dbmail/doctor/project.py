"""The doctor over a Django project: its settings, a mail as it leaves, its unsubscribe page tried in earnest."""

import secrets
from collections.abc import Iterable
from datetime import timedelta
from email import message_from_bytes
from typing import Any

from django.conf import settings
from django.utils import timezone

from ..addresses import Mailbox, domain_of, parse_mailbox
from ..conf import config, site_url
from ..delivery import dkim, return_path
from ..delivery.connection import configured_backend, speaks_smtp
from ..delivery.headers import unsubscribe_headers
from ..delivery.message import Mail
from ..dns.client import Dns
from ..dns.sentence import Sentence as _
from ..exceptions import DbmailError
from ..models import DoctorReport, MailEvent, Suppression, TextOfEmail
from ..suppression import tokens
from . import probe
from .checks import examine
from .checks import sample as sample_check
from .facts import UNANSWERED, Complaints, Encryption, PageFacts, Relay, SampleMail, Setup
from .finding import Finding, Level
from .gather import Patience, gather

#: Complaints of this time are counted.
_RECENT = timedelta(days=30)
#: What the scope of a trial of the unsubscribe page begins with; no category or list is named so.
_TRIAL = "doctor/"
#: After this time what a trial left in the table belongs to no trial that still runs.
_LEFT_OVER = timedelta(hours=1)


def examine_project(
    resolvers: Iterable[str] = (), *, network: bool = True, patience: Patience | None = None
) -> list[Finding]:
    """All findings about this project.

    `resolvers` as for `dns.client.Dns`; if there are none, those of the settings. With `network` the relay and the
    MX are asked too, and the unsubscribe page is tried with an address made for it. Writes nothing that stays.
    Raises SettingError for settings that cannot be read, NotConfigured for a resolver that is none.
    """
    setup = project_setup()
    findings: list[Finding] = []
    sample = None
    try:
        sample = _sample()
    except DbmailError as error:
        advice = _("Correct the setting.")
        findings.append(Finding(Level.FAILURE, sample_check.NAME, _("settings"), str(error), advice))
    patience = patience or Patience()
    page = _page(patience) if network else None
    dns, complaints = Dns(resolvers or config().dns.resolvers, until=patience.until), _complaints()
    facts = gather(setup, dns, page=page, sample=sample, complaints=complaints, network=network, patience=patience)
    return [*findings, *examine(facts)]


def keep(findings: Iterable[Finding], by: Any = None) -> DoctorReport:
    """Have the admin's page show `findings` as those of now. `by`: the user who had it look; None for a command."""
    values = {"at": timezone.now(), "by": by, "findings": [finding.as_dict() for finding in findings]}
    return DoctorReport.objects.update_or_create(pk=1, defaults=values)[0]


def project_setup() -> Setup:
    """What the settings say. Raises SettingError, CannotSign."""
    domains = [domain.lstrip(".").lower() for domain in config().from_domains]
    bounces = return_path.plain()
    signer = dkim.signer()
    own_keys = {signer.selector: dkim.public_key(signer.key)} if signer else {}
    return Setup(
        from_domains=tuple(dict.fromkeys(domain for domain in domains if "." in domain)),
        return_path=f"{bounces.rpartition('@')[0]}@{domain_of(bounces)}",
        selectors=tuple(dict.fromkeys([*own_keys, *config().dns.dkim_selectors])),
        own_keys=own_keys,
        relay=_relay(),
        sends_from=config().dns.sends_from,
        incoming=(return_path.signed(0), f"unsubscribe@{domain_of(bounces)}"),
    )


def _relay() -> Relay | None:
    """The server that the mail backend connects to; None for a backend that speaks no SMTP."""
    backend = configured_backend()
    if not speaks_smtp(backend):
        return None
    encryption = Encryption.TLS if backend.use_ssl else Encryption.STARTTLS if backend.use_tls else Encryption.NONE
    return Relay(backend.host or "localhost", int(backend.port or 25), encryption)


def _sample() -> SampleMail:
    """A mail to one person as it would leave now. Raises DbmailError."""
    sender = parse_mailbox(settings.DEFAULT_FROM_EMAIL)
    mail = Mail(
        subject="A sample",
        body="It is not sent.",
        sender=sender,
        to=(Mailbox(f"sample@{sender.domain}"),),
        return_path=return_path.plain(),
        headers=unsubscribe_headers(f"sample@{sender.domain}"),
    )
    message = message_from_bytes(mail.for_smtp().data)
    unfolded = {name.lower(): " ".join(str(value).split()) for name, value in message.items()}
    return SampleMail(unfolded, sender.domain)


def _page(patience: Patience) -> PageFacts | None:
    """Try the page as a mailbox provider does, for an address and a scope that nobody else has, and clean up after.

    None if the site's address is unknown.
    """
    if not site_url():
        return None
    address, scope = f"doctor@{domain_of(return_path.plain())}", f"{_TRIAL}{secrets.token_hex(8)}"
    entries = Suppression.objects.filter(scope=scope)
    # A trial whose answer came too late left something behind.
    old = Suppression.objects.filter(address=address, scope__startswith=_TRIAL)
    old.filter(created_at__lt=timezone.now() - _LEFT_OVER).delete()
    try:
        url = site_url() + tokens.path(tokens.make(address, scope))
        get, error = patience.ask(lambda: probe.http_status(url), (0, UNANSWERED))
        if error:
            return PageFacts(url, error=error)
        after_get = entries.exists()
        post, error = patience.ask(lambda: probe.http_status(url, probe.ONE_CLICK), (0, UNANSWERED))
        return PageFacts(url, get, post, error, after_get, entries.exists())
    except DbmailError as error:
        return PageFacts(site_url(), error=str(error))
    finally:
        entries.delete()


def _complaints() -> Complaints | None:
    """None if there are none, which rather means that nobody tells: most providers do not."""
    since = timezone.now() - _RECENT
    complaints = MailEvent.objects.filter(event_type=MailEvent.Type.COMPLAINED, at__gte=since).count()
    if not complaints:
        return None
    sent = TextOfEmail.objects.filter(state=TextOfEmail.State.SENT, created_at__gte=since).count()
    return Complaints(sent, complaints)
