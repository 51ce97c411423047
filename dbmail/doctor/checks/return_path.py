"""Bounces and unsubscribe mails reach us: what the MX says to their addresses."""

from ...dns.sentence import Sentence as _
from ..facts import Probe
from ..finding import Finding, Level

NAME = _("incoming")


def check(probes: tuple[Probe, ...], return_path: str) -> list[Finding]:
    about = return_path.rpartition("@")[2] or _("return path")
    if not probes:
        title = _("No server could be asked whether bounces and unsubscribe mails arrive.")
        return [Finding(Level.WARNING, NAME, about, title, _("Name the return path, and give it an MX."))]
    return [_one(probe) for probe in probes]


def _one(probe: Probe) -> Finding:
    values = {"host": probe.host, "address": probe.address, "code": probe.code, "text": probe.text}
    if not probe.code:
        title = _("%(host)s could not be asked about %(address)s: %(text)s", **values)
        advice = _("Many networks close port 25: ask from another one.")
        return Finding(Level.WARNING, NAME, probe.address, title, advice)
    if probe.code < 300:
        return Finding(Level.OK, NAME, probe.address, _("%(host)s takes mail to %(address)s.", **values))
    said = _("%(host)s says %(code)d %(text)s to %(address)s.", **values)
    if probe.code < 500:
        advice = _("It may be greylisting: run the doctor again later.")
        return Finding(Level.WARNING, NAME, probe.address, said, advice)
    advice = _("Hand the domain's mail to the mailgate; mailgates/ has the configuration for Exim and Postfix.")
    return Finding(Level.FAILURE, NAME, probe.address, said, advice)
