"""What can go wrong when DNS is asked. Each message says what was wrong and what to do."""


class DomainsError(Exception):
    """Base of all errors about a domain: those below, and those of the services in `domains.errors`."""

    @property
    def sentence(self) -> str:
        """The message: a Sentence, which can be translated, where a screen may show it; else a plain string."""
        return self.args[0] if self.args else ""


class NotConfigured(DomainsError):
    """A key, an option or a package is missing or cannot be used. Nothing was tried."""


class BadSpf(DomainsError):
    """An SPF record is not valid, cannot be merged, or needs too many look-ups (RFC 7208)."""


class DnsUnavailable(DomainsError):
    """DNS gave no usable answer: a time-out, SERVFAIL or REFUSED. (That a name does not exist is an answer.)"""
