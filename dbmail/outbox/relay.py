"""Whether the relay takes mail at all: what this worker hears of it, and what it tells the other workers."""

import logging
from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..delivery.smtp import Reply, Stage
from ..models import RelayTrouble

log = logging.getLogger(__name__)

#: So many replies in a row, over all connections, that no mail is to blame for: the relay takes nothing now.
IN_A_ROW = 5
_BEFORE_ANY_RECIPIENT = (Stage.CONNECT, Stage.LOGIN, Stage.MAIL)


@dataclass(frozen=True, slots=True)
class Run:
    """Replies in a row for which the relay may be to blame and the mails are not."""

    length: int = 0
    domains: frozenset[str] = frozenset()

    def after(self, reply: Reply, domain: str) -> "Run":
        """The run after `reply` to a mail for `domain`. A reply that says that the relay works ends it.

        Once the recipient is known, its domain may be what the relay waits for: so each domain counts once.
        """
        if not _temporary(reply):
            return Run()
        if reply.stage in _BEFORE_ANY_RECIPIENT:
            return Run(self.length + 1, self.domains)
        if not (reply.lost or reply.code == 421 or reply.enhanced.startswith("4.3.")):  # RFC 3463, 3.4: the system
            return Run()
        return self if domain in self.domains else Run(self.length + 1, self.domains | {domain})


def _temporary(reply: Reply) -> bool:
    return reply.lost or 400 <= reply.code < 500


class RelayWatch:
    """While `probing`, the relay was in trouble when a worker last asked: it gets one mail at a time."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.probing = RelayTrouble.objects.filter(host=host).exists()
        self._run = Run()

    def hear(self, reply: Reply, domain: str) -> str:
        """Take note of a reply; why nothing more should be sent now, or ""."""
        if self._run.length or not reply.accepted:
            self._run = self._run.after(reply, domain)
        if not self._run.length:
            if self.probing:
                self._over()
            return ""
        if self._run.length >= IN_A_ROW:
            said = _("%(host)s took nothing %(times)d times in a row, the last time: %(reply)s")
            return said % {"host": self.host, "times": self._run.length, "reply": reply}
        if self.probing and reply.stage in _BEFORE_ANY_RECIPIENT:
            return _("%(host)s still takes nothing: %(reply)s") % {"host": self.host, "reply": reply}
        return ""

    def trouble(self, reason: str) -> None:
        """Tell all workers: the next pass of each begins with one mail."""
        row, created = RelayTrouble.objects.get_or_create(host=self.host, defaults={"reason": reason})
        if not created:
            RelayTrouble.objects.filter(pk=row.pk).update(reason=reason)

    def _over(self) -> None:
        self.probing = False
        RelayTrouble.objects.filter(host=self.host).delete()
        log.info("%s takes mail again", self.host)
