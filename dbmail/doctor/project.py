"""The doctor over a Django project: its settings, a mail as it leaves, the unsubscribe page tried in earnest."""

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
from .checks import sample as sample_mail
from .examine import examine
from .facts import UNANSWERED, Encryption, Feedback, PageFacts, Relay, Sample, Setup
from .finding import Finding, Level
from .gather import Patience, gather

_RECENT = timedelta(days=30)
#: How the scope of a trial begins; no category or list is named so.
_TRIAL = "doctor/"
_LEFT_OVER = timedelta(hours=1)


def examine_project(
    resolvers: Iterable[str] = (), *, network: bool = True, patience: Patience | None = None
) -> list[Finding]:
    """All findings about this project; `resolvers` as for `domains.check.Dns`, else the setting's.

    Writes nothing that stays. With `network` the relay and the MX are asked, and the unsubscribe page is tried with
    an address of its own. Raises SettingError for settings that cannot be read; NotConfigured for a resolver that is
    none.
    """
    setup = project_setup()
    findings: list[Finding] = []
    sample = None
    try:
        sample = _sample()
    except DbmailError as error:
        advice = _("Correct the setting.")
        findings.append(Finding(Level.FAILURE, sample_mail.NAME, _("settings"), str(error), advice))
    patience = patience or Patience()
    page = _page(patience) if network else None
    dns, feedback = Dns(resolvers or config().dns.resolvers, until=patience.until), _feedback()
    facts = gather(setup, dns, page=page, sample=sample, feedback=feedback, network=network, patience=patience)
    return [*findings, *examine(facts)]


def keep(findings: Iterable[Finding], by: Any = None) -> DoctorReport:
    """Have the admin's page show `findings` as what was found now, by the user `by`."""
    values = {"at": timezone.now(), "by": by, "findings": [finding.as_dict() for finding in findings]}
    return DoctorReport.objects.update_or_create(pk=1, defaults=values)[0]


def project_setup() -> Setup:
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


def _page(patience: Patience) -> PageFacts | None:
    """Try the page as a provider does, for an address and a scope that nobody else has, and take it out again."""
    if not site_url():
        return None
    address, scope = f"doctor@{domain_of(return_path.plain())}", f"{_TRIAL}{secrets.token_hex(8)}"
    entries = Suppression.objects.filter(scope=scope)
    # What a trial left behind whose answer came too late for it.
    old = Suppression.objects.filter(address=address, scope__startswith=_TRIAL)
    old.filter(created_at__lt=timezone.now() - _LEFT_OVER).delete()
    try:
        url = site_url() + tokens.path(tokens.make(address, scope))
        get, error = patience.ask(lambda: probe.status(url), (0, UNANSWERED))
        if error:
            return PageFacts(url, error=error)
        after_get = entries.exists()
        post, error = patience.ask(lambda: probe.status(url, b"List-Unsubscribe=One-Click"), (0, UNANSWERED))
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
