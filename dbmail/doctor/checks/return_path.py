"""Bounces and unsubscribe mails reach us: what the MX says to their addresses."""

from ...dns.sentence import Sentence as _
from ..facts import MxReply
from ..finding import Finding, Level

NAME = _("incoming")


def check(replies: tuple[MxReply, ...], return_path: str) -> list[Finding]:
    about = return_path.rpartition("@")[2] or _("return path")
    if not replies:
        title = _("No server could be asked whether bounces and unsubscribe mails arrive.")
        return [Finding(Level.WARNING, NAME, about, title, _("Name the return path, and give it an MX."))]
    return [_one(reply) for reply in replies]


def _one(reply: MxReply) -> Finding:
    values = {"host": reply.host, "address": reply.address, "code": reply.code, "text": reply.text}
    if not reply.code:
        title = _("%(host)s could not be asked about %(address)s: %(text)s", **values)
        advice = _("Many networks close port 25: ask from another one.")
        return Finding(Level.WARNING, NAME, reply.address, title, advice)
    if reply.code < 300:
        return Finding(Level.OK, NAME, reply.address, _("%(host)s takes mail to %(address)s.", **values))
    said = _("%(host)s says %(code)d %(text)s to %(address)s.", **values)
    if reply.code < 500:
        advice = _("It may be greylisting: run the doctor again later.")
        return Finding(Level.WARNING, NAME, reply.address, said, advice)
    advice = _("Hand the domain's mail to the mailgate; mailgates/ has the configuration for Exim and Postfix.")
    return Finding(Level.FAILURE, NAME, reply.address, said, advice)
