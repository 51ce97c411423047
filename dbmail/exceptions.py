"""Every error that dbmail raises on purpose. Each message says what was wrong and what to do."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured


class DbmailError(Exception):
    """Base of dbmail's own errors."""


class SettingError(DbmailError, ImproperlyConfigured):
    """A value in settings.DBMAIL (or a setting that it defaults to) cannot be used.

    `hint` says what to write instead. It is part of the text, and apart for `manage.py check`.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".rstrip())
        self.message = message
        self.hint = hint


class WrongValue(DbmailError, ValueError):
    """A value that a setting cannot have. It does not know which setting that is: dbmail.conf says so.

    `write`: what to write instead, as Python. `at`: the keys that lead to the mistake, where it lies inside the value.
    """

    def __init__(self, message: str, write: str = "", at: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.write = write
        self.at = at


class UnstorableQuery(DbmailError, TypeError):
    """A Q holds something that cannot be kept as JSON (an F, a Subquery, a function)."""


class UnresolvableQuery(DbmailError):
    """A stored Q no longer fits the models, for instance after a field was renamed."""


class UnstorableVariable(DbmailError, TypeError):
    """A message variable is neither a saved model instance nor plain JSON data."""


class MissingVariable(DbmailError):
    """A message variable refers to an object that has been deleted since."""


class TemplateRejected(DbmailError):
    """A subject or body is not a valid template, or uses what templates of mail may not.

    `line` (counted from 1) and `token` name the place; both are None where it is not known.
    """

    def __init__(self, message: str, *, line: int | None = None, token: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.token = token


class RenderFailed(DbmailError):
    """A valid template failed for one recipient, or went over the limits of size or time."""


class LayoutError(DbmailError, ValueError):
    """A layout that DBMAIL["LAYOUTS"] does not declare, that cannot be rendered, or that does not fit the body."""


class UnknownSendTo(DbmailError, ValueError):
    """A send-to name that is none of MessageRequest's constants."""


class AddressError(DbmailError, ValueError):
    """A string that should hold one e-mail address does not."""


class SenderNotAllowed(DbmailError, ValueError):
    """The From address is outside DBMAIL["FROM_DOMAINS"]."""


class HeaderNotAllowed(DbmailError, ValueError):
    """A special header that dbmail sets itself, or that could be used to forge mail."""


class UnknownCategory(DbmailError, ValueError):
    """A category that DBMAIL["CATEGORIES"] does not declare: nobody could leave it, or has."""


class NotApproved(DbmailError):
    """What would go out is not what a second person let go (DBMAIL["LARGE_AUDIENCE"]["APPROVAL"])."""


class InvalidToken(DbmailError, ValueError):
    """A signed token (unsubscribe, return path) is not one of ours."""


class RelayUnavailable(DbmailError):
    """No mail can go out at all: no connection, or TLS, login or the sender is refused.

    No message is to blame, so none loses a try; the pass ends and the next one starts again.
    """


class CannotSign(RelayUnavailable, SettingError):
    """DBMAIL["DKIM"] names a key that cannot be used: no mail goes out at all, since none leaves unsigned."""


class MailRefused(DbmailError):
    """The relay did not take a mail; `reply` is what it said (delivery.smtp.Reply), None where nothing was asked."""

    def __init__(self, message: str, reply: object = None) -> None:
        super().__init__(message)
        self.reply = reply
