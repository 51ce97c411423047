"""Reverse DNS of the addresses that mail leaves from: a name that leads back to the address."""

from ...dns.sentence import Sentence as _
from ..facts import ReverseDns
from ..finding import Finding, Level

NAME = _("reverse DNS")


def check(reverse: tuple[ReverseDns, ...]) -> list[Finding]:
    if not reverse:
        title = _("The addresses that mail leaves from are not known.")
        advice = _(
            "Nothing to do where a provider sends for you; else name them: "
            'DBMAIL["DNS"]["SENDS_FROM"], or --sends-from.'
        )
        return [Finding(Level.WARNING, NAME, _("relay"), title, advice)]
    return [_one(each) for each in reverse]


def _one(reverse: ReverseDns) -> Finding:
    about = reverse.address
    if reverse.names.error:
        return Finding(Level.WARNING, NAME, about, reverse.names.error, _("Run the doctor again."))
    if not reverse.names.values:
        advice = _("Have whoever gave you the address (the hoster) enter the relay's name.")
        return Finding(Level.FAILURE, NAME, about, _("The address has no name (PTR)."), advice)
    names = ", ".join(reverse.names.values)
    if not reverse.confirmed:
        advice = _("Give that name an address record with this address, or enter another name.")
        return Finding(
            Level.FAILURE, NAME, about, _("Its name %(names)s does not lead back to it.", names=names), advice
        )
    return Finding(Level.OK, NAME, about, _("Its name is %(names)s, and that leads back to it.", names=names))
