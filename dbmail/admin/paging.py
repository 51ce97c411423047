"""Lists that stay fast over tables of millions: nothing counts a table, nothing searches without an index."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..addresses import normalise, one_line
from ..models.choices import meaning_of, word_of

#: The most rows that can be reached by paging; those behind them, by a filter or a search.
REACHABLE = 10_000
#: The most rows that a search finds in one column; with more matches, choose a state as well.
FOUND = 1000


class BoundedPaginator(Paginator):
    """Counts no further than REACHABLE, so that the cost does not grow with the table."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by()[:REACHABLE].count()


def badge(row: Any, field: str = "state") -> str:
    """The choice in `field` as a coloured word, whose tooltip says what it means."""
    value, label = getattr(row, field), getattr(row, f"get_{field}_display")()
    said = value, meaning_of(label), word_of(label)
    return format_html('<span class="dbmail-state" data-state="{}" title="{}">{}</span>', *said)


def linked(table: str, key: Any, text: Any = None) -> str:
    """A link to the row `key` of `table` that reads `text`, or the key; "" if there is no key."""
    if key is None:
        return ""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:dbmail_{table}_change", args=[key]), text or key)


class WordFilter(admin.SimpleListFilter):
    """A filter by the choices of the field `parameter_name`, each in one word (the model's label up to its colon).

    An index must begin with that field: without one, the rows of a rare choice are looked for in the whole table.
    """

    #: Whether an index covers the columns of `search_ids` together with this one.
    beside_ids = False

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        choices = model_admin.model._meta.get_field(self.parameter_name).choices
        return [(value, word_of(label)) for value, label in choices]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if not self.value():
            return queryset
        if self.value() not in dict(self.lookup_choices):
            raise IncorrectLookupParameters
        wanted = Q(**{str(self.parameter_name): self.value()})
        term = request.GET.get(SEARCH_VAR, "").strip()
        # Written so that SQLite cannot use this column's index: it takes it for as good as the far better one of the
        # address.
        searched = bool(term) and not (self.beside_ids and "@" not in term)
        return queryset.exclude(~wanted) if searched else queryset.filter(wanted)


class StateFilter(WordFilter):
    beside_ids = True
    title = _("state")
    parameter_name = "state"


class LeanList(ChangeList):
    """Does not read the columns `not_listed`: bodies are most of what a table holds."""

    model_admin: "FastList"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> "QuerySet[Any]":
        return super().get_queryset(request, exclude_parameters).defer(*self.model_admin.not_listed)


#: The most characters of a search: room for the longest address, and far below the limit of a pattern in a database.
_LONGEST_SEARCH = 320


def search_text(search_term: str) -> str:
    """What was typed into a search box, in a shape that no database refuses."""
    return one_line(search_term)[:_LONGEST_SEARCH]


class OnlyOffered(admin.ModelAdmin):
    """A list that can only be filtered by the filters that it shows.

    With any other look-up in the address bar, the value of a hidden column could be guessed letter by letter.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        offered = {getattr(one, "parameter_name", one) for one in self.list_filter}
        return lookup.removesuffix("__exact").removesuffix("__isnull") in offered and "\0" not in value

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str) -> Any:
        return super().get_search_results(request, queryset, search_text(search_term))


class FastList(OnlyOffered):
    """A list without a full count, which is searched by exact key and exact address only."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    show_facets = admin.ShowFacets.NEVER  # they would count the whole table
    actions = None  # its confirmation would list every row deleted along
    #: Columns that a number is searched in. Each must have an index.
    search_ids: tuple[str, ...] = ("pk",)
    #: Columns that an address is searched in. Each must have an index.
    search_addresses: tuple[str, ...] = ()
    #: Long columns, also of joined tables, that the list does not show and so does not read.
    not_listed: tuple[str, ...] = ()
    #: Order when filtered by state: that of the index of state. In any other order the database sorts all these rows,
    #: or (PostgreSQL) reads the whole table in order of keys to find them.
    order_in_state: tuple[str, ...] = ()

    class Media:
        css = {"all": ["dbmail/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LeanList

    def get_ordering(self, request: HttpRequest) -> Any:
        one_state = StateFilter.parameter_name in request.GET and not request.GET.get(SEARCH_VAR)
        return self.order_in_state if self.order_in_state and one_state else super().get_ordering(request)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (*self.search_ids, *self.search_addresses)

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        """Find the keys first, by one index after the other, then fetch the rows of those keys.

        Asked for everything in one query, a database may read every mail of a broadcast or of a state.
        """
        term = search_text(search_term)
        if not term:
            return queryset, False
        if "@" in term:
            conditions: list[dict[str, Any]] = [{field: normalise(term)} for field in self.search_addresses]
        elif term.isdecimal() and len(term) < 19:
            conditions = [{field: int(term)} for field in self.search_ids]
        else:
            conditions = []
        found: set[Any] = set()
        for condition in conditions:
            found.update(queryset.filter(**condition).order_by().values_list("pk", flat=True)[:FOUND])
        rows = self.get_queryset(request).filter(pk__in=found).order_by(*queryset.query.order_by)
        related = self.get_list_select_related(request)
        return rows.select_related(*related) if isinstance(related, (list, tuple)) and related else rows, False
