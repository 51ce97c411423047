"""Sending the copies of one incoming message while the mail server that brought it still waits for our answer.

They are rows of the queue like all others, claimed like all others: what is not sent here, the next pass sends.
"""

import logging
import time

from ..broadcasts.notices import SendReport, report_failures
from ..delivery.header_block import split
from ..exceptions import RelayUnavailable
from ..models import Forward
from ..queue.deliver import Sender

log = logging.getLogger(__name__)


def send_at_once(forward: int, seconds: float) -> SendReport:
    """Send copies of the Forward with the key `forward` for `seconds`, then finish the mail under way and stop.

    A relay that cannot be reached within that time costs nothing: the copies stay in the queue.
    """
    deadline = time.monotonic() + seconds
    with Sender(stop=lambda: time.monotonic() >= deadline, connect_within=seconds) as sender:
        try:
            sender.drain(forward)
        except RelayUnavailable as error:
            log.warning("The copies of forward %s wait for the next pass: %s", forward, error)
    tell_of_refusals(forward, sender.report)
    log.info("Forward %s at once: %s", forward, sender.report.summary())
    return sender.report


def tell_of_refusals(forward: int, report: SendReport) -> None:
    """Report copies that were refused for good, as a pass would.

    Not for mail written by a machine: the report may itself come to an address of ours and be refused again.
    """
    if not report.failures:
        return
    row = Forward.objects.filter(pk=forward).first()
    if row is None:
        return  # somebody has deleted it meanwhile
    said = split(bytes(row.headers), is_ours=True)[0].first("auto-submitted")
    if row.sender != Forward.NULL_SENDER and (said is None or said.text.strip().lower() == "no"):
        report_failures(report)
