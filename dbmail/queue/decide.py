"""What follows from a relay's answer (RFC 5321, 4.2.1; RFC 3463): a decision apart from the engine that obeys it."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..conf import Config
from ..delivery.smtp import Reply, Stage


class Fate(Enum):
    """What becomes of a mail after an answer."""

    SENT = "the relay has taken it"
    RETRY = "refused for now: a try is spent, the next one is later"
    POSTPONE = "not the mail's fault: no try is spent, it is due again later, or at once"
    FAIL = "refused for good, or out of tries"
    IN_DOUBT = "it may have been taken: a person decides"
    STOP = "the relay takes nothing from us: no try is spent, the pass ends"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What becomes of one mail.

    `reason`: why, in words for people. `wait`: until the next try (RETRY, POSTPONE, STOP). `suppress`: mail to the
    address will never arrive.
    """

    fate: Fate
    reason: str
    wait: timedelta = timedelta(0)
    suppress: bool = False


#: A bad address of the sender's (RFC 3463, 3.2), told at RCPT by relays that check it late.
_BAD_SENDER = re.compile(r"5\.1\.[78]")
#: No such mailbox, or no such domain: mail to the address will never arrive.
_NO_SUCH_ADDRESS = re.compile(r"5\.1\.(1|2|3|6|10)")


def decide(
    reply: Reply, tries: int, config: Config, jitter: float = 1.0, *, others_first: bool = False
) -> RetryDecision:
    """What to do after `reply`, for a mail that failed `tries` times before.

    `others_first`: it may be this very mail that the relay breaks off at; it waits where it would be due at once.
    `jitter` (about 1) spreads the waits, so that a thousand mails that failed together do not come back together.
    """
    if reply.accepted:
        return RetryDecision(Fate.SENT, str(reply))
    if reply.stage in (Stage.CONNECT, Stage.LOGIN):
        return RetryDecision(Fate.STOP, str(reply))
    if reply.lost and reply.stage is Stage.END and config.in_doubt == "hold":
        return RetryDecision(Fate.IN_DOUBT, _("%(reply)s; the relay may have taken it.") % {"reply": reply})
    if reply.stage is Stage.MAIL and (reply.lost or reply.code == 421) and not others_first:
        return RetryDecision(Fate.POSTPONE, str(reply))
    if reply.code >= 500 and reply.code != 552 and _sender_is_refused(reply):
        # It waits: were it first in the next pass too, a mail that alone is refused would keep all others for ever.
        said = _("The relay refuses our envelope sender: %(reply)s")
        return RetryDecision(Fate.STOP, said % {"reply": reply}, wait=config.retry.wait * jitter)
    if reply.code >= 500:
        return RetryDecision(Fate.FAIL, str(reply), suppress=bool(_NO_SUCH_ADDRESS.fullmatch(reply.enhanced)))
    if reply.stage is Stage.MAIL and reply.enhanced != "4.3.4":  # too big is the mail's own fault
        return RetryDecision(Fate.POSTPONE, str(reply), wait=config.retry.wait * jitter)
    if tries + 1 >= config.retry.tries:
        said = ngettext("%(reply)s; %(tries)d try has failed.", "%(reply)s; %(tries)d tries have failed.", tries + 1)
        return RetryDecision(Fate.FAIL, said % {"reply": reply, "tries": tries + 1})
    return RetryDecision(Fate.RETRY, str(reply), wait=config.retry.wait * 2**tries * jitter)


def _sender_is_refused(reply: Reply) -> bool:
    if reply.stage is Stage.MAIL:  # too big, or what it needs of SMTPUTF8 and 8BITMIME, is the mail's own fault
        return reply.code != 555 and reply.enhanced != "5.3.4" and not reply.enhanced.startswith("5.6.")
    return reply.stage is Stage.RCPT and bool(_BAD_SENDER.fullmatch(reply.enhanced))
