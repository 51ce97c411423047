"""The way to the relay: encrypted, by a version that is still good, with a certificate that can be trusted."""

from ..facts import UNANSWERED, Encryption, RelayFacts
from ..finding import Finding, Level

NAME = "relay TLS"
_OLD = ("SSLv3", "TLSv1", "TLSv1.1")


def check(relay: RelayFacts) -> list[Finding]:
    about = f"{relay.relay.host}:{relay.relay.port}"
    wanted = relay.relay.encryption
    if relay.error == UNANSWERED:
        title = "The relay did not answer in time."
        return [Finding(Level.WARNING, NAME, about, title, "Ask by manage.py dbmail_doctor, which waits longer.")]
    if relay.error:
        advice = "Look at host, port and TLS in the mail settings, and at the firewall."
        return [Finding(Level.FAILURE, NAME, about, f"The relay cannot be used: {relay.error}", advice)]
    if wanted is Encryption.NONE and relay.is_local:
        return [Finding(Level.OK, NAME, about, "The relay is on this machine.")]
    if wanted is Encryption.NONE:
        offer = "It offers STARTTLS" if relay.offers_starttls else "It offers no TLS on this port"
        title = f"Mail goes to the relay unencrypted. {offer}."
        return [Finding(Level.FAILURE, NAME, about, title, "Set use_tls (port 587) or use_ssl (port 465).")]
    if not relay.tls_version:
        title = "The relay offers no STARTTLS, so that nothing can be sent."
        return [Finding(Level.FAILURE, NAME, about, title, "Set use_ssl with port 465, or correct the relay.")]
    if relay.certificate_problem and not relay.is_local:
        title = f"The relay's certificate is not to be trusted: {relay.certificate_problem}."
        return [Finding(Level.FAILURE, NAME, about, title, "Use the name in the certificate, or have it renewed.")]
    if relay.tls_version in _OLD:
        return [Finding(Level.FAILURE, NAME, about, f"The relay speaks only {relay.tls_version}.", "Have it updated.")]
    return [Finding(Level.OK, NAME, about, f"Mail goes to the relay by {relay.tls_version}.")]
