"""Every setting of dbmail, with its type, default, check, help and example.

To add one, add a field: to `Config`, or in groups.py to the dict that it belongs to.

    pause: timedelta = setting(
        kinds.duration(),         # what it may be: see kinds.py, network.py and kinds.py beside this file
        timedelta(minutes=5),     # what it is where nobody says
        "How long a worker rests between two passes.",
        example="timedelta(minutes=1)",
    )

and run scripts/document_settings, which writes it into docs/settings.md. `DBMAIL = {"PAUSE": timedelta(minutes=1)}`
is then read as `config().pause`, a wrong value is told by `manage.py check`, and a misspelt name too. A setting that
moves or goes gets a line in `MOVED` or `GONE` of reading.py.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..rates import Rates
from . import kinds, network
from .groups import (
    BounceRest,
    Breaker,
    Dkim,
    Dns,
    Group,
    Incoming,
    LargeAudience,
    Retry,
    TextLimits,
    group,
    setting,
)


@dataclass(frozen=True, slots=True)
class Config(Group):
    """`DBMAIL` as it is in force. The key is the name of the field in capitals."""

    # Who we are
    from_domains: tuple[str, ...] = setting(
        kinds.listed(network.domain(or_below=True), "domains"),
        (),
        'The domains that may stand in From; ".example.org" also admits those below it.',
        example='["example.org", ".example.net"]',
        otherwise="the domain of DEFAULT_FROM_EMAIL",
    )
    site_url: str = setting(
        network.url(),
        "",
        '"https://" and the host of your site, in front of the links to unsubscribe and of public pages.',
        example='"https://example.org"',
        otherwise="the current site of django.contrib.sites, where that is installed",
    )
    bounces: str = setting(
        network.mailbox(),
        "",
        "The address that bounces go to: it gives signed return paths their domain, and gets copies of failure "
        "reports.",
        example='"bounces@example.org"',
        otherwise='DEFAULT_EMAIL_ADDRESSES["bounces"], else DEFAULT_FROM_EMAIL',
    )
    support: str = setting(
        network.mailbox(),
        "",
        "The address that people are told to write to.",
        example='"help@example.org"',
        otherwise='DEFAULT_EMAIL_ADDRESSES["support"], else BOUNCES',
    )

    # What the project knows of its people
    contacts: str = setting(
        kinds.dotted_path(),
        "",
        "Finds guardians and emergency contacts: "
        '`contacts(users) -> {user.pk: {"guardian": (address, name), "emergency": (address, name)}}`.',
        example='"myproject.mail.contacts"',
    )
    rosters: str = setting(
        kinds.dotted_path(),
        "",
        "Finds who is on the list of a class: `roster(code, section, kind)`.",
        example='"myproject.mail.roster"',
    )
    user_aliases: str = setting(
        kinds.dotted_path(),
        "",
        "Says who gets mail at username@: `has_alias(user) -> bool`.",
        example='"myproject.mail.has_alias"',
        otherwise="staff do",
    )
    handlers: tuple[str, ...] = setting(
        kinds.listed(kinds.dotted_path("class"), "dotted paths"),
        (),
        "Handlers of incoming mail of your own; a row names the last part.",
        example='["myproject.mail.Parents"]',
    )
    unsubscribe_hook: str = setting(
        kinds.dotted_path(),
        "",
        "Is called after a person unsubscribed or came back: `hook(suppression)`.",
        example='"myproject.mail.unsubscribed"',
    )
    audience_fields: tuple[str, ...] = setting(
        kinds.listed(kinds.word(), "look-ups"),
        (),
        "The look-ups from the user that people may build an audience from in the admin.",
        example='["date_joined", "studentinfo__program"]',
        otherwise="the fields of the user and of your tables that point at users, no addresses",
    )

    # What mails look like
    categories: dict[str, Any] = setting(
        kinds.categories(),
        {},
        "What people may leave one by one. A broadcast names one of them, and so may `send_mail`.",
        example='{"news": "Monthly news"}',
    )
    layouts: dict[str, tuple[Any, str]] = setting(
        kinds.layouts(),
        {},
        "What the body of a broadcast can be set in: a template of your own that has `{{ body }}` in it, with or "
        "without a title.",
        example='{"newsletter": ("Monthly newsletter", "mail/newsletter.html")}',
    )
    template_libraries: tuple[str, ...] = setting(
        kinds.listed(kinds.dotted_path("module"), "dotted paths"),
        (),
        "The template libraries whose tags and filters mail may use besides Django's built-in ones.",
        example='["myproject.templatetags.mail"]',
    )
    template_relations: tuple[str, ...] = setting(
        kinds.listed(kinds.word(), "relations"),
        (),
        "The relations to many rows that texts may follow, each app_label.Model.relation. What one row points to, "
        "and a model's own properties and methods, need no entry.",
        example='["school.Student.lessons"]',
    )
    template_closed: tuple[str, ...] = setting(
        kinds.listed(kinds.word(), "apps and models"),
        (),
        "The apps and models that no text reads, whatever leads there, besides those that are closed always.",
        example='["payroll", "school.Mark"]',
    )
    secret_names: tuple[str, ...] = setting(
        kinds.listed(kinds.word(), "str"),
        (),
        "The names of attributes that templates never show, on any object, besides password and the like.",
        example='["medical_notes"]',
    )
    merge_families: bool = setting(
        kinds.truth(),
        True,
        "Whether several recipients at one address get one copy where their mails are equal.",
        example="False",
    )
    text_limits: TextLimits = group(
        TextLimits,
        "How much a template may make.",
        bare="CHARACTERS",
    )

    # How mail leaves
    connections: int = setting(
        kinds.whole(),
        1,
        "The SMTP connections of one process.",
        example="8",
    )
    rates: Rates = setting(
        kinds.rates(),
        Rates(),
        "How many mails may go in how long, for all workers together: see [sending](sending.md).",
        example='{"all": "14/s", "sender:example.org": "500/h", "domain:*": "100/min"}',
    )
    retry: Retry = group(
        Retry,
        "What happens after a temporary refusal.",
        bare="TRIES",
    )
    lease: timedelta = setting(
        kinds.duration(),
        timedelta(minutes=10),
        "How long a worker may keep a claimed mail before another one takes it over: several times the time-out of "
        "the mail backend.",
        example="timedelta(minutes=30)",
    )
    in_doubt: str = setting(
        kinds.choice("resend", "hold"),
        "resend",
        "What happens to a mail whose worker died after the last byte and before the relay's answer was written down: "
        '"resend" (it may arrive twice) or "hold" (a person decides).',
        example='"hold"',
    )
    expire_after: timedelta = setting(
        kinds.duration(),
        timedelta(weeks=1),
        "The age at which a broadcast that is not processed, or a mail that is not sent, expires.",
        example="timedelta(days=3)",
    )
    dkim: Dkim = group(
        Dkim,
        "Signs here with DKIM, where neither relay nor provider does.",
    )

    # What comes back, and who is spared
    breaker: Breaker = group(
        Breaker,
        "When a broadcast that is refused too often is stopped before the rest of it leaves.",
        bare="SHARE",
    )
    bounce_rest: BounceRest = group(
        BounceRest,
        "How long an address is spared after bounces.",
        bare="HARD",
    )
    large_audience: LargeAudience = group(
        LargeAudience,
        "What it takes to write to very many people.",
        bare="PEOPLE",
    )
    sendgrid_webhook_key: str = setting(
        kinds.text(),
        "",
        "The public key of SendGrid's signed event webhook; two with a blank between them while it is being changed.",
        example='"MFkwEwYH..."',
    )

    # Incoming mail, and what the doctor is told
    incoming: Incoming = group(
        Incoming,
        "What incoming mail may be, and how long it is kept.",
    )
    dns: Dns = group(
        Dns,
        "Whom the doctor and the check of From ask, and what they cannot find out by themselves.",
        bare="RESOLVERS",
    )


@dataclass(frozen=True, slots=True)
class Outside(Group):
    """Settings of Django and of the reference that stand outside of DBMAIL and count here too."""

    default_from_email: str = setting(
        network.mailbox(needed=True),
        "webmaster@localhost",
        "Who notices come from; stands in for FROM_DOMAINS and BOUNCES.",
        example='"Outreach <info@example.org>"',
    )
    default_email_addresses: dict[str, str] = setting(
        network.addresses("bounces", "support"),
        {},
        "Its `bounces` and `support` stand in for BOUNCES and SUPPORT.",
        example='{"bounces": "bounces@example.org", "support": "help@example.org"}',
    )
    emailretries: int = setting(
        kinds.whole(),
        0,
        'How many tries a mail has; wins over RETRY["TRIES"].',
        example="5",
        otherwise='`RETRY["TRIES"]`',
    )
    email_host_sender: str = setting(
        kinds.text(),
        "",
        "What `{{ EMAIL_HOST_SENDER }}` shows in a template.",
        example='"example.org"',
        otherwise="the domain of DEFAULT_FROM_EMAIL",
    )
