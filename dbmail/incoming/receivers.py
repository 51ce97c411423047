"""Handlers of incoming mail: each says who gets a message, and nothing else. Rows name them."""

from email.message import Message
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ..addresses import domain_of, normalise, parse_mailbox
from ..conf import config, load
from ..conf.suggest import what_to_write
from ..exceptions import SettingError
from ..people import active_accounts, address_of, is_staff, name_of

if TYPE_CHECKING:
    from ..models import EmailList

#: The kinds of roster that DBMAIL["ROSTERS"] is asked for.
KINDS = ("students", "teachers", "class")
#: Local parts that every domain must have (RFC 5321, 4.5.1; RFC 2142). Without a redirect: to DBMAIL["SUPPORT"].
_ALWAYS = ("postmaster", "abuse")


class BaseHandler:
    """Decides whether a message for an address is sent on, and to whom.

    A subclass implements `process`, which sets `recipients` and `send`. Recipients come from the address and
    the database, never from the message's own fields.
    """

    #: Set by `process`: whether this handler takes the message.
    send: bool = False
    #: True for aliases of one person: the message stays as its author signed it. False for lists, which rewrite From,
    #: Reply-To, To and Subject.
    preserve_headers: bool = False
    #: Put in brackets in front of the subject, unless it is there already; empty for none.
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
        """Set `recipients` and `send`.

        `user` is the local part; `groups` and `named` are what the unnamed and the named groups of the row's
        expression caught (None for a group that took no part).
        """
        raise NotImplementedError


class ClassList(BaseHandler):
    """s123-students, s123-teachers, s123-class. Groups of the row: (code, kind) or by name."""

    def process(  # type: ignore[override]  # the groups that it knows, so that others are found out before
        self, user: str, code: str | None = None, kind: str | None = None, *, section: str | None = None
    ) -> None:
        # With one group only, ^(.+)-students@, the kind is the local part's suffix.
        self.use_roster(code, section, kind or user.rpartition("-")[2])

    def use_roster(self, code: str | None, section: str | None, kind: str) -> None:
        """Take the roster of this class or section as recipients, if it exists and is not empty."""
        kind = kind.strip().lower()
        if not code or kind not in KINDS or not config().rosters:
            return
        number = None
        if section is not None:
            if not section.isdecimal():
                return
            number = int(section)
        roster = load("ROSTERS", config().rosters)
        found = roster(code, number, kind)
        if not found or not found.get("recipients"):
            return
        self.recipients = list(found["recipients"])
        self.emailcode = found.get("emailcode") or ""
        if kind != "teachers":
            self.who_may_post = "staff"
            self.hide_recipients = True
        teachers = found if kind == "teachers" else roster(code, number, "teachers")
        self.owners = [address for address, _name in (teachers or {}).get("recipients", ())]
        self.send = True


class SectionList(ClassList):
    """s123s2-students and so on. Groups of the row: (code, section, kind) or by name."""

    def process(  # type: ignore[override]  # another order of groups
        self, user: str, code: str | None = None, section: str | None = None, kind: str | None = None
    ) -> None:
        if section is not None:
            self.use_roster(code, section, kind or user.rpartition("-")[2])


class PlainList(BaseHandler):
    """directors@ goes to the addresses of the redirect called "directors"."""

    def process(self, user: str, *_groups: str | None, **_named: str | None) -> None:
        self.recipients = list(_destinations(user, self.domain)) if user else []
        self.send = bool(self.recipients)


def _destinations(user: str, domain: str) -> list[str]:
    """Where `user` leads, each address once. A redirect to a redirect of this domain is followed here:
    its copy would come back as mail of our own domain that no signature vouches for."""
    seen = {normalise(f"{user}@{domain}")}
    found: list[str] = []
    waiting = _of_redirect(user, domain) or _of_necessity(user, domain)
    while waiting:
        address = waiting.pop(0)
        normal = normalise(address)
        if normal in seen:
            continue
        seen.add(normal)
        local_part, _, address_domain = normal.rpartition("@")
        further = _of_redirect(local_part, domain) if address_domain == domain.lower() else []
        waiting += further
        if not further:
            found.append(address)
    return found


def _of_redirect(user: str, domain: str) -> list[str]:
    from ..models import PlainRedirect

    named = PlainRedirect.objects.filter(Q(original__iexact=user) | Q(original__iexact=f"{user}@{domain}"))
    return [address for redirect in named for address in redirect.destinations()]


def _of_necessity(user: str, domain: str) -> list[str]:
    """Where postmaster@ and abuse@ go without a redirect: to support, or nowhere if that leads back here."""
    if user.lower() not in _ALWAYS:
        return []
    support = parse_mailbox(config().support).address
    comes_back = domain_of(support) == domain.lower() and not _of_redirect(support.rpartition("@")[0], domain)
    return [] if comes_back else [support]


class UserEmail(BaseHandler):
    """username@ goes to that user, with the author's own From and signature.

    Only for users whom DBMAIL["USER_ALIASES"] admits; by default staff. A student's alias would be an
    address that anyone can guess.
    """

    preserve_headers = True

    def process(self, user: str, *_groups: str | None, **_named: str | None) -> None:
        named = Q(**{f"{get_user_model().USERNAME_FIELD}__iexact": user})
        account = next(iter(active_accounts(named)), None) if user else None
        if account is None or not _has_alias(account):
            return
        address = address_of(account)
        if address:
            self.recipients = [(address, name_of(account))]
            self.send = True


def _has_alias(user: Any) -> bool:
    if config().user_aliases:
        return bool(load("USER_ALIASES", config().user_aliases)(user))
    return is_staff(user)


_BUILT_IN: dict[str, type[BaseHandler]] = {
    "ClassList": ClassList,
    "class_mailman": ClassList,  # the reference documentation's name for it
    "SectionList": SectionList,
    "PlainList": PlainList,
    "UserEmail": UserEmail,
}


def handler_class(name: str) -> type[BaseHandler]:
    """The class that a row means by `name`: built in, one of DBMAIL["HANDLERS"], or a dotted path.

    A name in DBMAIL["HANDLERS"] (the part after the last dot) wins over a built-in one. Raises SettingError.
    """
    for path in config().handlers:
        if name == path.rpartition(".")[2]:
            return imported(path)
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if "." in name:
        return imported(name)
    said = _("There is no handler %(name)r. Known: %(known)s, or a dotted path.")
    raise SettingError(said % {"name": name, "known": ", ".join(handler_names())})


def handler_names() -> list[str]:
    """The handlers that a row may name without a dotted path, for the choices of a form."""
    return [path.rpartition(".")[2] for path in config().handlers] + list(_BUILT_IN)


def imported(path: str) -> type[BaseHandler]:
    """The handler at a dotted path. Raises SettingError."""
    try:
        found = import_string(path)
    except Exception as error:  # the project's module may raise anything while it is imported
        said = _("The handler %(path)r cannot be imported: %(error)s.")
        raise SettingError(said % {"path": path, "error": str(error).rstrip(".")}, what_to_write(path)) from error
    if not (isinstance(found, type) and issubclass(found, BaseHandler)):
        said = _("%(path)r is not a subclass of dbmail.incoming.receivers.BaseHandler.")
        raise SettingError(said % {"path": path})
    return found
