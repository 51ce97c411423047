"""What can go wrong while a domain is set up. Each message says what was wrong and what to do; none holds a key."""


class DomainsError(Exception):
    """Base of all of them: this domain could not be set up."""

    @property
    def sentence(self) -> str:
        """What it says; a Sentence where a screen may show it."""
        return self.args[0] if self.args else ""


class NotConfigured(DomainsError):
    """A key, an option or a package is missing or cannot be used: nothing was tried."""


class ServiceError(DomainsError):
    """SendGrid or the registrar refused a request or could not be understood. `status` is the HTTP code, or None."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WrongKey(ServiceError):
    """The key is not valid: no request with it can work."""


class AccessDenied(ServiceError):
    """The key is valid but may not do this."""


class NotFound(ServiceError):
    """There is no such thing at the service."""


class Unavailable(ServiceError):
    """The service did not answer, or only with errors of its own, however often it was asked."""


class OutcomeUnknown(Unavailable):
    """A request that must not be repeated blindly broke off: it may or may not have been carried out."""


class ZoneNotOurs(DomainsError):
    """The registrar's account holds no zone that the name lies in."""


class RecordConflict(DomainsError):
    """A record is in the way that only its owner can decide about."""


class ChangedMeanwhile(DomainsError):
    """The registrar's records are no longer those that the plan was made from: plan again."""


class BadSpf(DomainsError):
    """An SPF record that is not valid, cannot be merged or needs too many look-ups (RFC 7208)."""


class DnsUnavailable(DomainsError):
    """DNS gave no usable answer: a time-out, SERVFAIL or REFUSED. (That a name does not exist is an answer.)"""
