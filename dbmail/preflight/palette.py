"""The palette: the variables that a broadcast's text can use, with the values that they have for one recipient."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from ..exceptions import DbmailError
from ..models import MessageRequest
from ..rendering.engine import compile_template
from ..rendering.names import is_hidden
from ..rendering.variables import load_variables, request_context
from ..suppression.tokens import PLACEHOLDER, example

#: The most characters of a value that are shown.
_MAX_SAMPLE = 80


@dataclass(frozen=True, slots=True)
class Swatch:
    """One variable of the palette."""

    #: As it stands between the braces.
    name: str
    #: Its value for the recipient; "" if it is empty.
    sample: str


def palette(request: MessageRequest, user: Any) -> list[tuple[str, list[Swatch]]]:
    """Groups of variables with their titles: of the recipient, of each object of `request`, of the broadcast itself.

    Raises MissingVariable.
    """
    variables = load_variables(request)
    context = request_context(request, user, variables)
    groups = [("user", list(_fields("user", user)))]
    for name, value in variables.items():
        groups.append((name, list(_fields(name, value)) if isinstance(value, Model) else [name, *_keys(name, value)]))
    groups.append(("request", ["unsubscribe_url", "request.subject", "request.public_url", "EMAIL_HOST_SENDER"]))
    return [(title, [Swatch(name, _sample(name, context)) for name in names]) for title, names in groups if names]


def _fields(name: str, instance: Model) -> Iterator[str]:
    if hasattr(instance, "get_full_name"):
        yield f"{name}.get_full_name"
    for field in instance._meta.fields:
        useful = not field.is_relation and not field.primary_key and not is_hidden(field.name)
        if useful and field.get_internal_type() not in ("BooleanField", "JSONField", "BinaryField"):
            yield f"{name}.{field.name}"
    if not hasattr(instance, "get_full_name"):
        yield name


def _keys(name: str, value: Any) -> list[str]:
    return [f"{name}.{key}" for key in value if key.isidentifier()] if isinstance(value, dict) else []


def _sample(name: str, context: dict[str, Any]) -> str:
    try:
        shown = compile_template("{{ %s }}" % name, html=False).render(context).strip()  # noqa: UP031
        shown = shown.replace(PLACEHOLDER, example())
        return "" if shown == "None" else shown[:_MAX_SAMPLE]
    except DbmailError as error:
        return f"({error})"[:_MAX_SAMPLE]
