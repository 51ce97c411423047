"""What can go wrong at SendGrid and at registrars. Each message says what to do; none shows a key."""

from ..dns.errors import DomainsError


class ServiceError(DomainsError):
    """A service refused a request, or its answer could not be understood. `status`: the HTTP code, or None."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WrongKey(ServiceError):
    """The key is not valid: no request with it can work."""


class AccessDenied(ServiceError):
    """The key is valid but may not do this."""


class NotFound(ServiceError):
    """The service has no such thing."""


class Unavailable(ServiceError):
    """The service did not answer, or only with errors of its own, however often it was asked."""


class OutcomeUnknown(Unavailable):
    """A request that must not simply be repeated broke off: it may or may not have been carried out."""


class ZoneNotOurs(DomainsError):
    """The registrar's account has no zone that the name lies in."""


class RecordConflict(DomainsError):
    """A record is in the way, and only its owner can decide what becomes of it."""


class ChangedMeanwhile(DomainsError):
    """The registrar's records are no longer those that the changes were made from: look again."""
