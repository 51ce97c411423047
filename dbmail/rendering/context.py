"""The handler behind which templates find the objects of a message."""

from typing import Any

from .guard import Shown, call, find


class ActionHandler(Shown):
    """`obj` as a template sees it when the mail goes to `user`.

    An object that has `get_msg_vars(user, key)` answers with it; where that is None, and on every other
    object, the attribute `key` counts. Its text is the object's own. Secret and private names do not exist.
    """

    __slots__ = ("_user",)

    def __init__(self, obj: Any, user: Any) -> None:
        super().__init__(obj)
        self._user = user

    def _find(self, name: str) -> Any:
        answer = getattr(self._object, "get_msg_vars", None)
        if answer is not None:
            value = answer(self._user, name)
            if value is not None:
                return call(value)
        return find(self._object, name)
