"""What is wrong with a subject and body before they are sent."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db.models import Model
from django.utils.translation import gettext as _

from ..exceptions import TemplateRejected
from ..suppression import tokens
from .engine import CompiledTemplate, Use, compile_template, in_line
from .guard import has_name
from .relations import closed, is_closed, refusal_on_path
from .text import is_html

_ALWAYS = frozenset(["user", "request", "EMAIL_HOST_SENDER", tokens.VARIABLE])
_NO_MODELS: Mapping[str, type[Model]] = {}

_FILTERED_LINK = re.compile(r"\{\{\s*unsubscribe_url\s*\|[^}\n]*\}\}")


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is "subject" or "msgtext"; line (from 1) and token are None where the place is not known."""

    field: str
    message: str
    line: int | None = None
    token: str | None = None


def template_problems(
    subject: str, body: str, variable_names: Collection[str], models: Mapping[str, type[Model]] = _NO_MODELS
) -> list[Problem]:
    """Everything that can be known to be wrong without a recipient; [] means that both can be sent.

    `models` are those of the variables that are model instances.
    """
    known = _ALWAYS | frozenset(variable_names)
    models = {**models, "user": get_user_model()}
    return [
        *_problems("subject", subject or "", False, known, models),
        *_problems("msgtext", body or "", is_html(body or ""), known, models),
    ]


def _problems(
    field: str, source: str, html: bool, known: frozenset[str], models: Mapping[str, type[Model]]
) -> list[Problem]:
    try:
        compiled = compile_template(source, html=html)
    except TemplateRejected as error:
        return [Problem(field, str(error), error.line, error.token)]
    return [
        *(
            Problem(field, in_line(use.line, message), use.line, use.token)
            for use in compiled.uses
            if (message := _wrong(use, compiled, known, models))
        ),
        *_filtered_links(field, source),
    ]


def _filtered_links(field: str, source: str) -> Iterator[Problem]:
    """The link is put in after the filters have worked on what stands for it."""
    for found in _FILTERED_LINK.finditer(source):
        line = source.count("\n", 0, found.start()) + 1
        message = in_line(line, _("{{ unsubscribe_url }} takes no filter."))
        yield Problem(field, message, line, found[0])


def _wrong(use: Use, compiled: CompiledTemplate, known: frozenset[str], models: Mapping[str, type[Model]]) -> str:
    """What of a look-up does not exist or is refused, in words; "" if nothing is known to be wrong."""
    root = use.path[0]
    if root in compiled.bound:
        return ""
    if root not in known:
        return _("there is no variable “%(name)s”. Known: %(known)s.") % {
            "name": root,
            "known": ", ".join(sorted(known)),
        }
    model = models.get(root)
    if model and not hasattr(model, "get_msg_vars"):  # that would answer for names of its own
        if is_closed(model):
            return closed(model)
        if said := refusal_on_path(model, use.path[1:]):
            return said
    if root == "user" and len(use.path) > 1 and not has_name(get_user_model(), use.path[1]):
        return _("a recipient has no “%(name)s”.") % {"name": use.path[1]}
    return ""
