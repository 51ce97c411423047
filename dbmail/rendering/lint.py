"""What is wrong with a subject and body before they are sent."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from ..exceptions import TemplateRejected
from ..suppression import tokens
from .engine import CompiledTemplate, Use, compile_template, in_line
from .guard import has_name
from .text import is_html

_ALWAYS = frozenset(["user", "request", "EMAIL_HOST_SENDER", tokens.NAME])


_FILTERED_LINK = re.compile(r"\{\{\s*unsubscribe_url\s*\|[^}]*\}\}")


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is "subject" or "msgtext"; line (from 1) and token are None where the place is not known."""

    field: str
    message: str
    line: int | None = None
    token: str | None = None


def template_problems(subject: str, body: str, variable_names: Collection[str]) -> list[Problem]:
    """Everything that can be known to be wrong without a recipient; [] means that both can be sent."""
    known = _ALWAYS | frozenset(variable_names)
    return [
        *_problems("subject", subject or "", False, known),
        *_problems("msgtext", body or "", is_html(body or ""), known),
    ]


def _problems(field: str, source: str, html: bool, known: frozenset[str]) -> list[Problem]:
    try:
        compiled = compile_template(source, html=html)
    except TemplateRejected as error:
        return [Problem(field, str(error), error.line, error.token)]
    return [
        *(
            Problem(field, in_line(use.line, message), use.line, use.token)
            for use in compiled.uses
            if (message := _unknown(use, compiled, known))
        ),
        *_filtered_links(field, source),
    ]


def _filtered_links(field: str, source: str) -> Iterator[Problem]:
    """The link is put in after the filters have worked on what stands for it."""
    for found in _FILTERED_LINK.finditer(source):
        line = source.count("\n", 0, found.start()) + 1
        message = in_line(line, _("{{ unsubscribe_url }} takes no filter."))
        yield Problem(field, message, line, found[0])


def _unknown(use: Use, compiled: CompiledTemplate, known: frozenset[str]) -> str:
    """What of a look-up does not exist, in words; "" if nothing is known to be wrong."""
    root = use.path[0]
    if root in compiled.bound:
        return ""
    if root not in known:
        return _("there is no variable “%(name)s”. Known: %(known)s.") % {
            "name": root,
            "known": ", ".join(sorted(known)),
        }
    if root == "user" and len(use.path) > 1 and not has_name(get_user_model(), use.path[1]):
        return _("a recipient has no “%(name)s”.") % {"name": use.path[1]}
    return ""
