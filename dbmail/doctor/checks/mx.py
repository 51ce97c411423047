"""MX: whether mail to a domain arrives anywhere (RFC 5321, 5; RFC 7505)."""

from ...dns.sentence import Sentence as _
from ..facts import DomainFacts
from ..finding import Finding, Level

NAME = "mx"


def check(domain: DomainFacts, *, is_return_path: bool) -> list[Finding]:
    """The return path must take mail. An author's domain that takes none loses answers, and some receivers' trust."""
    role = _("return path") if is_return_path else _("From domain")
    about, bad = domain.domain, Level.FAILURE if is_return_path else Level.WARNING
    record = f"{about}. IN MX 10 mx.{about}."
    if domain.mx.error:
        title = _("MX of the %(role)s: %(error)s", role=role, error=domain.mx.error)
        return [Finding(Level.WARNING, NAME, about, title, _("Run the doctor again."))]
    if not domain.mx.values:
        if domain.addresses.values:
            title = _("The %(role)s has no MX; mail goes to its address record.", role=role)
            return [
                Finding(Level.WARNING, NAME, about, title, _("Publish an MX that names your mail server."), record)
            ]
        title = _("The %(role)s takes no mail: it has neither MX nor address.", role=role)
        return [Finding(bad, NAME, about, title, _("Publish an MX that names your mail server."), record)]
    if not domain.mx_hosts:
        title = _("The %(role)s says that it takes no mail (null MX).", role=role)
        return [Finding(bad, NAME, about, title, _("Publish an MX that names your mail server instead."), record)]
    findings = []
    for host in domain.mx_hosts:
        if host.addresses.error:
            findings.append(Finding(Level.WARNING, NAME, about, host.addresses.error, _("Run the doctor again.")))
        elif not host.addresses.values:
            advice = _("Publish its address, or an MX that has one.")
            findings.append(Finding(bad, NAME, about, _("MX %(host)s has no address.", host=host.name), advice))
        elif host.is_alias:
            advice = _("Name the host itself in the MX.")
            title = _("MX %(host)s is an alias (CNAME), which RFC 2181, 10.3 forbids.", host=host.name)
            findings.append(Finding(Level.WARNING, NAME, about, title, advice))
    names = ", ".join(host.name for host in domain.mx_hosts)
    fine = _("The %(role)s takes mail at %(hosts)s.", role=role, hosts=names)
    return findings or [Finding(Level.OK, NAME, about, fine)]
