"""The variables of a request: kept as JSON, read back, and made into the context of a template."""

import math
from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from ..addresses import domain_of, parse_mailbox
from ..exceptions import MissingVariable, UnstorableVariable
from ..models.broadcast import MessageRequest, MessageVars
from ..suppression import tokens
from .guard import Shown, as_seen, call, find
from .names import is_hidden

#: Longest name of a variable, in characters: that of its column.
_MAX_NAME = 128


class ActionHandler(Shown):
    """`obj` as a template sees it when the mail goes to `user`.

    An object that has `get_msg_vars(user, key)` answers with it; where that is None, and on every other
    object, the attribute `key` counts. Its text is the object's own. Secret and private names do not exist.
    """

    __slots__ = ("_user",)

    def __init__(self, obj: Any, user: Any) -> None:
        super().__init__(as_seen(obj))
        self._user = user

    def _find(self, name: str) -> Any:
        answer = getattr(self._object, "get_msg_vars", None)
        if answer is not None:
            value = answer(self._user, name)
            if value is not None:
                return call(value)
        return find(self._object, name)


def store_variables(msgrequest: MessageRequest, var_dict: Mapping[str, Any]) -> list[MessageVars]:
    """A row for each variable; one that the request has already is replaced. All are stored or none.

    Raises UnstorableVariable, which names the variable and what it is.
    """
    providers = {_name(name): _provider(name, value) for name, value in var_dict.items()}
    with transaction.atomic():
        return [
            MessageVars.objects.update_or_create(
                messagerequest=msgrequest, provider_name=name, defaults={"provider": provider}
            )[0]
            for name, provider in providers.items()
        ]


def load_variables(msgrequest: MessageRequest) -> dict[str, Any]:
    """The variables by name, with one query for each model. Raises MissingVariable."""
    found: dict[str, Any] = {}
    keys: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in MessageVars.objects.filter(messagerequest=msgrequest).order_by("pk"):
        if "model" in row.provider:
            keys[row.provider["model"]][row.provider_name] = row.provider["pk"]
        else:
            found[row.provider_name] = row.provider.get("value")
    for label, key_of in keys.items():
        found.update(_instances(label, key_of))
    return found


def variable_models(msgrequest: MessageRequest) -> dict[str, type[Model]]:
    """The models of those variables that are model instances, without a look at the instances."""
    rows = MessageVars.objects.filter(messagerequest=msgrequest.pk, provider__has_key="model")
    found = {}
    for name, label in rows.values_list("provider_name", "provider__model"):
        try:
            found[name] = apps.get_model(label)
        except (AttributeError, LookupError, ValueError):
            continue  # processing says so
    return found


def request_context(
    msgrequest: MessageRequest, user: Any, variables: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the template of this request finds when it is rendered for `user`, who wins over a variable `user`.

    `variables` are those of `load_variables`, loaded here if None (which can raise MissingVariable).
    """
    given = load_variables(msgrequest) if variables is None else variables
    context = {
        name: ActionHandler(value, user) if isinstance(value, Model) else value for name, value in given.items()
    }
    context.setdefault(tokens.VARIABLE, tokens.PLACEHOLDER)
    context["user"] = ActionHandler(user, user)
    context["request"] = ActionHandler(msgrequest, user)
    context["EMAIL_HOST_SENDER"] = email_host_sender()
    return context


def email_host_sender() -> str:
    """The domain that the organisation's mail comes from."""
    return getattr(settings, "EMAIL_HOST_SENDER", "") or _domain_of_mailbox(settings.DEFAULT_FROM_EMAIL)


@lru_cache(maxsize=8)
def _domain_of_mailbox(text: str) -> str:
    return domain_of(parse_mailbox(text).address)


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier() or len(name) > _MAX_NAME:
        raise UnstorableVariable(f"{name!r} cannot name a variable: use letters, digits and underscores.")
    if is_hidden(name):
        raise UnstorableVariable(f"The variable {name!r} could not be shown: its name is private or secret.")
    return name


def _provider(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Model):
        return {"value": _plain(name, value)}
    if value.pk is None or value._state.adding:
        raise UnstorableVariable(f"The variable {name!r} is a {value._meta.label} that is not saved; save it first.")
    if isinstance(value.pk, tuple):
        raise UnstorableVariable(f"The variable {name!r} is a {value._meta.label}, which has a composite key.")
    pk = value.pk if isinstance(value.pk, int) else str(value.pk)
    return {"model": value._meta.label, "pk": pk}


def _plain(name: str, value: Any) -> Any:
    """`value` as JSON data. `name` is the place of the value in words of Python, for the error."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnstorableVariable(f"The variable {name!r} is {value!r}, which JSON does not have.")
        return value
    if isinstance(value, str | Promise):
        text = str(value)
        # PostgreSQL keeps neither in JSON.
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise UnstorableVariable(f"The variable {name!r} holds a NUL or half a character; take it out.")
        return text
    if isinstance(value, list | tuple):
        return [_plain(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(f"{name}[{key!r}]", item) for key, item in value.items()}
    raise UnstorableVariable(
        f"The variable {name!r} is a {type(value).__name__}, which cannot be stored: give a saved model instance, "
        "or text, numbers, lists and dicts with text keys (a date as formatted text, or the object that has it)."
    )


def _instances(label: str, key_of: dict[str, Any]) -> dict[str, Model]:
    names = ", ".join(sorted(key_of))
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        gone = _("The variable %(name)s is a %(model)s, a model that does not exist any more.")
        raise MissingVariable(gone % {"name": names, "model": label}) from None
    try:
        pks = {name: model._meta.pk.to_python(key) for name, key in key_of.items()}
    except ValidationError as error:
        wrong = _("The variable %(name)s has a key that is none of %(model)s: %(error)s")
        raise MissingVariable(wrong % {"name": names, "model": label, "error": error}) from error
    rows = model._base_manager.in_bulk(set(pks.values()))
    for name, pk in pks.items():
        if pk not in rows:
            deleted = _("The variable %(name)s is %(model)s %(key)s, which has been deleted since.")
            raise MissingVariable(deleted % {"name": name, "model": label, "key": pk})
    return {name: rows[pk] for name, pk in pks.items()}
