"""What every handler of incoming mail is: it says who gets a message, and nothing else."""

from email.message import Message
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...models import EmailList


class BaseHandler:
    """Decides whether a message for an address is sent on, and to whom.

    A subclass implements `process`, which sets `recipients` and `send`. Recipients come from the address and
    the database, never from the message's own fields.
    """

    #: Set by `process`: whether this handler takes the message.
    send: bool = False
    #: Aliases of one person keep the message as its author signed it; lists rewrite From, Reply-To, To, Subject.
    preserve_headers: bool = False
    #: Stands in brackets before the subject, once; empty for none.
    emailcode: str = ""
    #: Who may post where the row does not say: one of EmailList.WhoMayPost.
    who_may_post: str = "anyone"
    #: Whether recipients are hidden from each other even where the row says cc_all (lists with minors).
    hide_recipients: bool = False

    def __init__(self, handler: "EmailList", message: Message) -> None:
        """`handler` is the row; `message` has the header fields, for reading only."""
        self.handler = handler
        self.message = message
        #: (address, name) of everyone who gets a copy, or strings `"Name" <address>`.
        self.recipients: list[tuple[str, str] | str] = []
        #: Addresses that count as staff of this list, for instance a class's teachers.
        self.owners: list[str] = []
        #: The domain that the message came for; the gate sets it.
        self.domain: str = ""

    def process(self, user: str, *groups: str | None, **named: str | None) -> None:
        """`user` is the local part; unnamed groups of the row's expression, and the named ones by name."""
        raise NotImplementedError
