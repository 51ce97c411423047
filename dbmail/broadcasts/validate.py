"""Everything that can be known to be wrong with a broadcast before it is processed."""

import re
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from ..audience.sendto import send_to_function
from ..conf import check_category
from ..delivery.from_address import author
from ..delivery.headers import request_headers
from ..exceptions import DbmailError
from ..models import MessageRequest, MessageVars
from ..rendering.engine import in_line
from ..rendering.layout import layout_of
from ..rendering.lint import template_problems
from ..rendering.variables import variable_models

#: MessageRequest field -> what is wrong with it
Errors = dict[str, list[Any]]


def request_errors(request: MessageRequest) -> Errors:
    """What keeps `request` from being sent, by field; {} if nothing does."""
    errors: Errors = {}

    def check(field: str, what: Any) -> None:
        try:
            what()
        except DbmailError as error:
            errors.setdefault(field, []).append(ValidationError(str(error), code="invalid"))

    if not (request.msgtext or "").strip():
        errors["msgtext"] = [ValidationError(_("Write a body: an empty mail is not sent."), code="required")]
    if not (request.subject or "").strip():
        errors["subject"] = [ValidationError(_("Write a subject."), code="required")]
    if re.search(r"[\r\n]", (request.subject or "").strip()):
        errors["subject"] = [ValidationError(_("A subject is one line."), code="invalid")]
    check("category", lambda: check_category(request.category))
    check("layout", lambda: layout_of(request.layout, request.msgtext or ""))
    check("sendto_fn_name", lambda: send_to_function(request.sendto_fn_name))
    for field in ("processed_by", "not_after", "created_at"):
        moment = getattr(request, field)
        if moment is not None and settings.USE_TZ and timezone.is_naive(moment):
            said = _("This time has no time zone: is it the site's, or yours?")
            errors[field] = [ValidationError(said, code="naive")]
    if request.not_after and "not_after" not in errors and "processed_by" not in errors:
        if request.processed_by and request.not_after <= request.processed_by:
            said = _("“Not after” must be later than “not before”.")
            errors["not_after"] = [ValidationError(said, code="order")]
        elif request.not_after <= timezone.now():
            said = _("“Not after” is over already: nothing would be sent.")
            errors["not_after"] = [ValidationError(said, code="past")]
    if request.creator_id:
        check("sender", lambda: author(request))
        if "sender" not in errors:
            check("special_headers", lambda: request_headers(request))
    if request.recipients_id:
        check("recipients", lambda: request.recipients.getList(get_user_model()))
    variables = set(MessageVars.objects.filter(messagerequest=request.pk).values_list("provider_name", flat=True))
    models = variable_models(request)
    for problem in template_problems(request.subject or "", request.msgtext or "", variables, models):
        errors.setdefault(problem.field, []).append(
            ValidationError(
                _located(problem.message, problem.line),
                code="template",
                params={"line": problem.line, "token": problem.token},
            )
        )
    return errors


def _located(message: str, line: int | None) -> str:
    if line and not message.startswith(in_line(line, "").strip()):
        message = in_line(line, message)
    return message.replace("%", "%%")
