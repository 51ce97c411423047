"""The mark of methods that do something, for whatever calls methods without knowing them."""

from collections.abc import Callable
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])


def alters_data(method: _Method) -> _Method:
    """Django's mark: no template calls this method, neither a mail's nor a page's."""
    method.alters_data = True  # type: ignore[attr-defined]
    return method
