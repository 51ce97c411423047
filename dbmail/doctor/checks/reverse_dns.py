"""Reverse DNS of the addresses that mail leaves from: a name that leads back to the address."""

from ..facts import Reverse
from ..finding import Finding, Level

NAME = "reverse DNS"


def check(reverse: tuple[Reverse, ...]) -> list[Finding]:
    if not reverse:
        title = "The addresses that mail leaves from are not known."
        advice = 'Nothing to do where a provider sends for you; else name them: DBMAIL["SENDS_FROM"], or --sends-from.'
        return [Finding(Level.WARNING, NAME, "relay", title, advice)]
    return [_one(each) for each in reverse]


def _one(reverse: Reverse) -> Finding:
    about = reverse.address
    if reverse.names.error:
        return Finding(Level.WARNING, NAME, about, reverse.names.error, "Run the doctor again.")
    if not reverse.names.values:
        advice = "Have whoever gave you the address (the hoster) enter the relay's name."
        return Finding(Level.FAILURE, NAME, about, "The address has no name (PTR).", advice)
    names = ", ".join(reverse.names.values)
    if not reverse.confirmed:
        advice = "Give that name an address record with this address, or enter another name."
        return Finding(Level.FAILURE, NAME, about, f"Its name {names} does not lead back to it.", advice)
    return Finding(Level.OK, NAME, about, f"Its name is {names}, and that leads back to it.")
