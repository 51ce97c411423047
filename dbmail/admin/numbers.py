"""How many, said to whom: who may not see recipients learns nothing that depends on a single person.

| who | of a draft | of what was sent |
|-|-|-|
| may see recipients | exact | exact |
| may neither see them nor write | rough | rough |
| writes, and may not see them | nothing where conditions choose it: the question is theirs; else rough | rough |

Rough: "fewer than 20", else two figures. A number that who asks can steer, by conditions or by the text, tells of one
person whatever it is rounded to: at some audience it changes with that person. So there is none.
"""

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..audience.builder import tree_of
from ..exceptions import DbmailError, UnresolvableQuery
from ..models import MessageRequest
from .permissions import may_compose, may_see_recipients

#: Fewer people than this are not told apart for who may not see them.
FEW = 20


def rough(number: int) -> int:
    """Two figures of it, 0 below FEW."""
    if number < FEW:
        return 0
    unit: int = 10 ** max(len(str(number)) - 2, 1)
    return number // unit * unit


def shown(number: int, exact: bool = True) -> str:
    """As a person reads it."""
    if exact:
        return number_format(number, force_grouping=True)
    if number < FEW:
        return _("fewer than %(number)s") % {"number": FEW}
    return _("about %(number)s") % {"number": number_format(rough(number), force_grouping=True)}


def is_withheld(user: Any, draft: MessageRequest) -> bool:
    """Whether `user` is told no number of the audience at all, since they may have chosen whom it asks about."""
    if may_see_recipients(user) or not may_compose(user):
        return False
    tree = tree_of(draft.recipients.q_filter)
    return bool(tree and tree["match"] not in ("nobody", "everyone"))


def withheld() -> str:
    return _("Who may see recipients sees how many people this is.")


def said(error: DbmailError, user: Any) -> str:
    """What an error says: those of an audience may quote its conditions, which may hold addresses."""
    if isinstance(error, UnresolvableQuery) and not may_see_recipients(user):
        return _("The audience cannot be read any more. Who may see recipients sees why; you can choose another.")
    return str(error)
