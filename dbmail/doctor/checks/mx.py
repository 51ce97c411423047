"""MX: whether mail to a domain arrives anywhere (RFC 5321, 5; RFC 7505)."""

from ..facts import DomainFacts
from ..finding import Finding, Level

NAME = "mx"


def check(domain: DomainFacts, *, is_return_path: bool) -> list[Finding]:
    """The return path must take mail; an author's domain that takes none loses answers, and some receivers' trust."""
    role = "return path" if is_return_path else "From domain"
    about, bad = domain.domain, Level.FAILURE if is_return_path else Level.WARNING
    record = f"{about}. IN MX 10 mx.{about}."
    if domain.mx.error:
        return [Finding(Level.WARNING, NAME, about, f"MX of the {role}: {domain.mx.error}", "Run the doctor again.")]
    if not domain.mx.values:
        if domain.addresses.values:
            title = f"The {role} has no MX; mail goes to its address record."
            return [Finding(Level.WARNING, NAME, about, title, "Publish an MX that names your mail server.", record)]
        title = f"The {role} takes no mail: it has neither MX nor address."
        return [Finding(bad, NAME, about, title, "Publish an MX that names your mail server.", record)]
    if not domain.mx_hosts:
        title = f"The {role} says that it takes no mail (null MX)."
        return [Finding(bad, NAME, about, title, "Publish an MX that names your mail server instead.", record)]
    findings = []
    for host in domain.mx_hosts:
        if host.addresses.error:
            findings.append(Finding(Level.WARNING, NAME, about, host.addresses.error, "Run the doctor again."))
        elif not host.addresses.values:
            advice = "Publish its address, or an MX that has one."
            findings.append(Finding(bad, NAME, about, f"MX {host.name} has no address.", advice))
        elif host.is_alias:
            advice = "Name the host itself in the MX."
            title = f"MX {host.name} is an alias (CNAME), which RFC 2181, 10.3 forbids."
            findings.append(Finding(Level.WARNING, NAME, about, title, advice))
    names = ", ".join(host.name for host in domain.mx_hosts)
    return findings or [Finding(Level.OK, NAME, about, f"The {role} takes mail at {names}.")]
