"""`python -m dbmail.doctor DOMAIN...`: the doctor without a project.

examples:
  python -m dbmail.doctor example.org --return-path bounces@example.org --selector s1 --selector s2
  python -m dbmail.doctor example.org --relay smtp.example.org:587 --starttls --sends-from 192.0.2.25 --json

exit codes: 0 all well, 1 warnings, 2 failures, 64 wrong arguments
"""

import argparse
import ipaddress
import sys
from collections.abc import Sequence

from ..dns.client import Dns
from ..dns.errors import DomainsError
from ..dns.records import domain_name
from .checks import examine
from .facts import Encryption, Relay, Setup
from .finding import as_json, as_text, worst
from .gather import gather

#: sysexits.h: wrong arguments.
EX_USAGE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or the process's own; the exit code."""
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
    except SystemExit as end:
        return EX_USAGE if end.code else 0
    try:
        setup = _setup(given)
        findings = examine(gather(setup, Dns(given.resolver), network=not given.dns_only))
    except (DomainsError, ValueError) as error:
        print(error, file=sys.stderr)
        return EX_USAGE
    print(as_json(findings) if given.json else as_text(findings))
    return worst(findings).exit_code


def _parser() -> argparse.ArgumentParser:
    text, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m dbmail.doctor",
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("domain", nargs="+", help="A domain that stands in From.")
    add("--return-path", default="", help="The address that bounces go to.")
    add("--selector", action="append", default=[], help="A DKIM selector; may be given several times.")
    add("--relay", default="", metavar="HOST[:PORT]", help="The server that takes your mail; port 25 if not given.")
    add("--starttls", action="store_true", help="You talk to it by STARTTLS (port 587).")
    add("--tls", action="store_true", help="You talk to it by TLS from the first byte (port 465).")
    add("--sends-from", action="append", default=[], metavar="ADDRESS", help="An address that mail leaves from.")
    add("--unsubscribe-url", default="", help="The unsubscribe address of a test mail to yourself. It unsubscribes!")
    add("--resolver", action="append", default=[], help="A DNS server to ask: 192.0.2.53[:5353].")
    add("--dns-only", action="store_true", help="Ask DNS alone: no relay, no MX, no page.")
    add("--json", action="store_true", help="For a program.")
    return parser


def _setup(given: argparse.Namespace) -> Setup:
    """The arguments as a Setup. Raises ValueError or NotConfigured for those that cannot be looked at."""
    relay = None
    if given.relay:
        host, _, port = given.relay.partition(":")
        encryption = Encryption.TLS if given.tls else Encryption.STARTTLS if given.starttls else Encryption.NONE
        if port and not port.isdigit():
            raise ValueError(f"--relay {given.relay!r} must be HOST or HOST:PORT.")
        relay = Relay(host, int(port or 25), encryption)
    return_path = given.return_path
    if return_path:
        local, _, domain = return_path.rpartition("@")
        if not local:
            raise ValueError(f"--return-path {return_path!r} must be an address.")
        return_path = f"{local}@{domain_name(domain)}"
    return Setup(
        from_domains=tuple(domain_name(domain) for domain in given.domain),
        return_path=return_path,
        selectors=tuple(given.selector),
        relay=relay,
        sends_from=tuple(str(ipaddress.ip_address(address)) for address in given.sends_from),
        unsubscribe_url=given.unsubscribe_url,
    )


if __name__ == "__main__":
    sys.exit(main())
