"""Which numbers and errors a person is told: without the right to see recipients, none that gives a person away.

| rights | the size of a draft's audience | numbers of mails sent |
|-|-|-|
| see recipients | exact | exact |
| neither see recipients nor write | rough | rough |
| write, but not see recipients | none if it is chosen by conditions, which they wrote; otherwise rough | rough |

A rough number has two significant digits, or is "fewer than 20". Rounding does not help against somebody who chooses
the conditions or the text: they can choose an audience at which one person decides to which side it is rounded. So
they are told no number.
"""

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..audience.builder import tree_of
from ..exceptions import DbmailError, UnresolvableQuery
from ..models import MessageRequest
from .permissions import may_compose, may_see_recipients

#: Below this number, people who may not see recipients are only told that it is below it.
FEW = 20


def rough(number: int) -> int:
    """`number` rounded down to two significant digits; 0 below FEW."""
    if number < FEW:
        return 0
    unit: int = 10 ** max(len(str(number)) - 2, 1)
    return number // unit * unit


def shown(number: int, exact: bool = True) -> str:
    """`number` in words for the page: rough unless `exact`."""
    if exact:
        return number_format(number, force_grouping=True)
    if number < FEW:
        return _("fewer than %(number)s") % {"number": FEW}
    return _("about %(number)s") % {"number": number_format(rough(number), force_grouping=True)}


def is_withheld(user: Any, draft: MessageRequest) -> bool:
    """Whether `user` is told no size of this audience at all, because they may have written its conditions."""
    if may_see_recipients(user) or not may_compose(user):
        return False
    tree = tree_of(draft.recipients.q_filter)
    return bool(tree and tree["match"] not in ("nobody", "everyone"))


def withheld() -> str:
    """What stands in place of a number that is not told."""
    return _("Who may see recipients sees how many people this is.")


def audience_error(error: DbmailError, user: Any) -> str:
    """The words of `error` as `user` may read them: one about the audience may quote a condition with an address."""
    if isinstance(error, UnresolvableQuery) and not may_see_recipients(user):
        return _("The audience cannot be read any more. Who may see recipients sees why; you can choose another.")
    return str(error)


def handler_error(error: Exception, user: Any) -> str:
    """The words of an error from the project's own code as `user` may read them: it may quote anything, an address
    too."""
    if isinstance(error, DbmailError) or may_see_recipients(user):
        return f"{type(error).__name__}: {error}"
    return _("%(error)s. Who may see recipients sees the rest.") % {"error": type(error).__name__}
