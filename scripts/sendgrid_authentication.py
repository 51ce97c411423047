#!/usr/bin/env python3
"""Sets up SendGrid domain authentication: SPF, DKIM, DMARC and link branding, from SendGrid into DNS."""

import argparse
import logging
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from a checkout

try:
    from dbmail.dns import dmarc
    from dbmail.dns.client import Dns
    from dbmail.dns.errors import DomainsError, NotConfigured
    from dbmail.dns.records import domain_name
    from dbmail.domains import gandi, sendgrid
    from dbmail.domains.authenticate import DomainStatus, Wishes, finish, set_up
    from dbmail.domains.errors import WrongKey
    from dbmail.domains.registrar import ByHand, Registrar
    from dbmail.domains.route53 import Route53
except ModuleNotFoundError as error:
    print(f"{error}. This Python has not what dbmail needs: pip install dbmail, or use one that has.", file=sys.stderr)
    sys.exit(2)

ROOT = Path(__file__).resolve().parent.parent
#: Exit codes; EPILOG says what each means.
DONE, LEFT, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
EPILOG = """\
examples:
  %(prog)s --dry-run example.org
      shows what would be created at SendGrid and what is in DNS now; changes nothing
  %(prog)s --registrar gandi example.org news.example.org
      sets both up at SendGrid, posts their records to Gandi LiveDNS, asking before each step
  %(prog)s --registrar route53 --yes --dmarc-reports dmarc@example.org example.org
      the same at Amazon Route 53, without asking
  %(prog)s --registrar print example.org
      shows the records to enter anywhere else; run it again when they are in

keys, from the environment or a .env file (the environment wins), never from the command line:
  SENDGRID_API_KEY              with Full Access to Sender Authentication
  GANDI_PERSONAL_ACCESS_TOKEN   may manage the technical configuration of the domains
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, ...   as boto3 reads them; pip install 'dbmail[route53]'
also read: DNS_REGISTRAR (default of --registrar), SENDGRID_API_URL (https://api.eu.sendgrid.com for subusers
  in the EU), GANDI_API_URL, ROUTE53_ZONE_ID (where several zones have the same name)

exit codes:
  0    every domain is set up and valid (with --dry-run: everything could be looked at)
  1    something is left: DNS or SendGrid need time, records to enter by hand, or a question answered with no
  2    wrong usage or configuration: nothing was done
  3    at least one domain failed; the others were still done
  130  interrupted: run it again, it goes on where it stopped
"""


class Terminal:
    """The person at the terminal, a `Person` for `authenticate`. No key is ever shown, whatever a service answers."""

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes

    def say(self, text: str) -> None:
        for name in ("SENDGRID_API_KEY", "GANDI_PERSONAL_ACCESS_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            key = os.environ.get(name, "").strip()
            text = text.replace(key, "***") if key else text
        print("".join(c if c.isprintable() or c == "\n" else "?" for c in text), flush=True)

    def agrees(self, question: str) -> bool:
        if self._yes:
            return True
        try:
            return input(f"  {question} [y/N] ").strip().lower() in ("y", "yes")
        except (EOFError, RuntimeError):  # RuntimeError: there is no standard input at all
            self.say("\n  Nobody is there to ask; --yes makes the changes without asking.")
            return False


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = result.add_argument
    add("domains", metavar="DOMAIN", nargs="+", help="domain or subdomain that stands in From addresses")
    add("--registrar", choices=("route53", "gandi", "print"), help="where the DNS is (default: print)")
    add("--dry-run", action="store_true", help="show every change, make none")
    add("--yes", action="store_true", help="do not ask before changes")
    add("--replace", action="store_true", help="replace records in the way that were not made for SendGrid")
    add("--subdomain", default="", metavar="LABEL", help="label of the return path (default: SendGrid chooses)")
    add("--link-subdomain", default="", metavar="LABEL", help="label of links (default: SendGrid chooses)")
    add("--no-links", action="store_true", help="no link branding")
    add("--spf", default="sendgrid.net", metavar="HOST", help="what SPF includes, or none (default: %(default)s)")
    add(
        "--dmarc",
        default="none",
        choices=(*dmarc.POLICIES, "off"),
        metavar="POLICY",
        help="policy for a domain without DMARC: none, quarantine, reject; off leaves DMARC alone (default: none)",
    )
    add("--dmarc-reports", default="", metavar="ADDRESS", help="address for aggregate reports in that record")
    add("--ttl", type=int, default=3600, metavar="SECONDS", help="of new records (default: %(default)s)")
    add("--wait", type=float, metavar="SECONDS", help="for DNS to answer (default: 600; 0 with print)")
    add(
        "--resolver",
        action="append",
        default=[],
        metavar="ADDRESS[:PORT]",
        help="ask this DNS server; may be repeated (default: the name servers of each zone)",
    )
    add("--env-file", type=Path, metavar="PATH", help="(default: .env in the checkout)")
    return result  # fmt: skip


def read_env(path: Path | None) -> None:
    """Put into the environment what a .env file has and the environment has not. Raises NotConfigured.

    `path` must be there; None is for the one in the checkout, which may be missing.
    """
    if path and not path.is_file():
        raise NotConfigured(f"--env-file {path}: there is no such file.")
    path = path or ROOT / ".env"
    if not path.is_file():
        return
    try:
        import environ
    except ImportError:
        raise NotConfigured(f"Reading {path} needs django-environ: pip install django-environ.") from None
    logging.getLogger("environ").setLevel(logging.CRITICAL)  # it logs lines that it cannot read, keys and all
    environ.Env.read_env(path)


def required(name: str) -> str:
    """The value of an environment variable. Raises NotConfigured."""
    if not os.environ.get(name, "").strip():
        raise NotConfigured(f"{name} is not set. Put it into the environment or into .env.")
    return os.environ[name]


def registrar_named(name: str, dns: Dns) -> Registrar:
    """The registrar that --registrar or DNS_REGISTRAR asks for. Raises NotConfigured."""
    if name == "gandi":
        return gandi.Gandi(required("GANDI_PERSONAL_ACCESS_TOKEN"), url=os.environ.get("GANDI_API_URL", gandi.URL))
    if name == "route53":
        return Route53(zone_id=os.environ.get("ROUTE53_ZONE_ID", ""))
    if name == "print":
        return ByHand(dns)
    raise NotConfigured(f"DNS_REGISTRAR={name!r} is none of route53, gandi, print.")


def wishes_from(options: argparse.Namespace) -> Wishes:
    """The options as Wishes. Raises NotConfigured for those that cannot be carried out."""
    for label in filter(None, (options.subdomain, options.link_subdomain)):
        domain_name(f"{label}.example.org")
    if not gandi.MIN_TTL <= options.ttl <= gandi.MAX_TTL:
        raise NotConfigured(f"--ttl {options.ttl} is not between {gandi.MIN_TTL} and {gandi.MAX_TTL} seconds.")
    if options.subdomain and options.subdomain == options.link_subdomain:
        raise NotConfigured("--subdomain and --link-subdomain must differ: each becomes a name of its own.")
    if options.wait is not None and not 0 <= options.wait <= 86400:
        raise NotConfigured(f"--wait {options.wait} is not between 0 and 86400 seconds.")
    reports = options.dmarc_reports.strip()
    if reports and (reports.count("@") != 1 or any(c in reports for c in ',;!% \t\r\n"')):
        raise NotConfigured(f"--dmarc-reports {reports!r} is not an address like dmarc@example.org.")
    return Wishes(
        subdomain=options.subdomain.lower(),
        link_subdomain=options.link_subdomain.lower(),
        links=not options.no_links,
        spf_include="" if options.spf == "none" else domain_name(options.spf),
        dmarc="" if options.dmarc == "off" else dmarc.record(options.dmarc, reports),
        replace=options.replace,
        ttl=options.ttl,
        dry_run=options.dry_run,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command with these arguments, or the process's own; the exit code."""
    options = parser().parse_args(arguments)
    terminal = Terminal(yes=options.yes)
    try:
        read_env(options.env_file)
        domains = list(dict.fromkeys(domain_name(text) for text in options.domains))
        wishes = wishes_from(options)
        dns = Dns(options.resolver)
        account = sendgrid.SendGrid(required("SENDGRID_API_KEY"), url=os.environ.get("SENDGRID_API_URL", sendgrid.URL))
        registrar = registrar_named(options.registrar or os.environ.get("DNS_REGISTRAR", "print"), dns)
    except NotConfigured as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    seconds = options.wait if options.wait is not None else (600 if registrar.posts else 0)
    try:
        return run(domains, wishes, seconds, account, registrar, dns, terminal)
    except KeyboardInterrupt:
        terminal.say("\nInterrupted. Run it again: it goes on where it stopped.")
        return INTERRUPTED


def run(
    domains: list[str],
    wishes: Wishes,
    seconds: float,
    account: sendgrid.SendGrid,
    registrar: Registrar,
    dns: Dns,
    terminal: Terminal,
) -> int:
    """Set all domains up, then wait for all of them, `seconds` together; the exit code.

    A domain that fails does not stop the others.
    """
    statuses: dict[str, DomainStatus] = {}
    failed: dict[str, str] = {}
    for domain in domains:
        terminal.say(f"{domain}")
        try:
            statuses[domain] = set_up(domain, wishes, sendgrid=account, registrar=registrar, dns=dns, person=terminal)
        except (NotConfigured, WrongKey) as error:  # no other domain can do better
            failed.update(dict.fromkeys(domains[len(statuses) + len(failed) :], str(error)))
            terminal.say(f"  FAILED: {error}")
            break
        except Exception as error:
            failed[domain] = failure(error, terminal)
    deadline = time.monotonic() + seconds  # of all domains together
    for domain, status in statuses.items():
        if wishes.dry_run or not status.end:  # nothing was made, or nothing agreed to
            continue
        terminal.say(f"{domain}: checking")
        try:
            statuses[domain] = finish(
                status, max(0, deadline - time.monotonic()), sendgrid=account, dns=dns, person=terminal
            )
        except Exception as error:
            failed[domain] = failure(error, terminal)
    report(domains, statuses, failed, wishes.dry_run, terminal)
    if failed:
        return FAILED
    return LEFT if not wishes.dry_run and any(s.left for s in statuses.values()) else DONE


def failure(error: Exception, terminal: Terminal) -> str:
    """Say and return why a domain failed. What is not an error of ours is a bug: its traceback is shown too."""
    text = str(error) if isinstance(error, DomainsError) else f"unexpected {type(error).__name__}: {error}"
    if not isinstance(error, DomainsError):
        terminal.say("".join(traceback.format_exception(error)))
    terminal.say("\n".join(f"  FAILED: {line}" for line in text.splitlines()))
    return text


def report(
    domains: list[str], statuses: dict[str, DomainStatus], failed: dict[str, str], dry_run: bool, terminal: Terminal
) -> None:
    """Show a line for each domain, and below it what is left to do."""
    terminal.say("")
    for domain in domains:
        if domain in failed:
            terminal.say(f"{domain}: FAILED: {failed[domain].splitlines()[0]}")
            continue
        status = statuses[domain]
        state = "left to do" if status.left else "done, SendGrid holds it valid"
        if dry_run:
            state = "changes shown, none made" if status.changed else "nothing to change"
        terminal.say(f"{domain}: {state}")
        for text in status.left:
            terminal.say(f"  - {text}")
        for text in status.notes:
            terminal.say(f"  note: {text}")


if __name__ == "__main__":
    sys.exit(main())
