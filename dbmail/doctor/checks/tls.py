"""The way to the relay: encrypted, by a version that is still safe, with a certificate that can be trusted."""

from ...dns.sentence import Sentence as _
from ..facts import UNANSWERED, Encryption, RelayFacts
from ..finding import Finding, Level

NAME = _("relay TLS")
#: Versions that are no longer safe.
_OLD = ("SSLv3", "TLSv1", "TLSv1.1")


def check(relay: RelayFacts) -> list[Finding]:
    about = f"{relay.relay.host}:{relay.relay.port}"
    wanted = relay.relay.encryption
    if relay.error == UNANSWERED:
        title = _("The relay did not answer in time.")
        return [Finding(Level.WARNING, NAME, about, title, _("Ask by manage.py dbmail_doctor, which waits longer."))]
    if relay.error:
        title = _("The relay cannot be used: %(error)s", error=relay.error)
        advice = _("Look at host, port and TLS in the mail settings, and at the firewall.")
        return [Finding(Level.FAILURE, NAME, about, title, advice)]
    if wanted is Encryption.NONE and relay.is_local:
        return [Finding(Level.OK, NAME, about, _("The relay is on this machine."))]
    if wanted is Encryption.NONE:
        title = (
            _("Mail goes to the relay unencrypted. It offers STARTTLS.")
            if relay.offers_starttls
            else _("Mail goes to the relay unencrypted. It offers no TLS on this port.")
        )
        return [Finding(Level.FAILURE, NAME, about, title, _("Set use_tls (port 587) or use_ssl (port 465)."))]
    if not relay.tls_version:
        title = _("The relay offers no STARTTLS, so that nothing can be sent.")
        return [Finding(Level.FAILURE, NAME, about, title, _("Set use_ssl with port 465, or correct the relay."))]
    if relay.certificate_problem and not relay.is_local:
        title = _("The relay's certificate is not to be trusted: %(problem)s.", problem=relay.certificate_problem)
        return [Finding(Level.FAILURE, NAME, about, title, _("Use the name in the certificate, or have it renewed."))]
    if relay.tls_version in _OLD:
        title = _("The relay speaks only %(version)s.", version=relay.tls_version)
        return [Finding(Level.FAILURE, NAME, about, title, _("Have it updated."))]
    return [Finding(Level.OK, NAME, about, _("Mail goes to the relay by %(version)s.", version=relay.tls_version))]
