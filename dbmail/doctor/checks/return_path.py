"""Bounces and unsubscribe mails reach us: what the MX says to their addresses."""

from ..facts import Probe
from ..finding import Finding, Level

NAME = "incoming"


def check(probes: tuple[Probe, ...], return_path: str) -> list[Finding]:
    about = return_path.rpartition("@")[2] or "return path"
    if not probes:
        title = "No server could be asked whether bounces and unsubscribe mails arrive."
        return [Finding(Level.WARNING, NAME, about, title, "Name the return path, and give it an MX.")]
    return [_one(probe) for probe in probes]


def _one(probe: Probe) -> Finding:
    if not probe.code:
        title = f"{probe.host} could not be asked about {probe.address}: {probe.text}"
        return Finding(Level.WARNING, NAME, probe.address, title, "Many networks close port 25: ask from another one.")
    if probe.code < 300:
        return Finding(Level.OK, NAME, probe.address, f"{probe.host} takes mail to {probe.address}.")
    said = f"{probe.host} says {probe.code} {probe.text} to {probe.address}."
    if probe.code < 500:
        return Finding(Level.WARNING, NAME, probe.address, said, "It may be greylisting: run the doctor again later.")
    advice = "Hand the domain's mail to the mailgate; mailgates/ has the configuration for Exim and Postfix."
    return Finding(Level.FAILURE, NAME, probe.address, said, advice)
