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

#: Rows that can be reached by paging. Further ones are found by a filter or a search.
REACHABLE = 10_000
#: Rows that a search by number finds: whoever has more of them chooses a state besides.
FOUND = 1000


class BoundedPaginator(Paginator):
    """Counts no further than what can be reached, so that the cost does not grow with the table."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by()[:REACHABLE].count()


def badge(row: Any, field: str = "state") -> str:
    """A choice as a coloured word that says what it means when pointed at."""
    value, label = getattr(row, field), getattr(row, f"get_{field}_display")()
    said = value, meaning_of(label), word_of(label)
    return format_html('<span class="dbmail-state" data-state="{}" title="{}">{}</span>', *said)


def linked(table: str, key: Any, text: Any = None) -> str:
    """The way to another row: its number, or `text`."""
    if key is None:
        return ""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:dbmail_{table}_change", args=[key]), text or key)


class WordFilter(admin.SimpleListFilter):
    """By the field `parameter_name`, each choice in a word; the model explains its choices after a colon.

    The field must have an index that begins with it, or the rows of a rare word are looked for in the whole table.
    """

    #: Whether an index leads to the numbers that are searched for and to the word together.
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
        # Said in a way that SQLite has no index for: it takes one of a word to be as good as one of an address.
        searched = bool(term) and not (self.beside_ids and "@" not in term)
        return queryset.exclude(~wanted) if searched else queryset.filter(wanted)


class StateFilter(WordFilter):
    beside_ids = True
    title = _("state")
    parameter_name = "state"


class LeanList(ChangeList):
    """Reads only what it shows: bodies are most of what a table holds."""

    model_admin: "FastList"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> "QuerySet[Any]":
        return super().get_queryset(request, exclude_parameters).defer(*self.model_admin.not_listed)


#: Characters of a search: the longest address, and far below what a database takes as a pattern.
_LONGEST_SEARCH = 320


def wanted(search_term: str) -> str:
    """What was typed into a search box, as a database takes it."""
    return one_line(search_term)[:_LONGEST_SEARCH]


class OnlyOffered(admin.ModelAdmin):
    """A list that is filtered by what it offers and by nothing else: the value of any other column could be guessed
    at in the address bar, letter by letter."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        offered = {getattr(one, "parameter_name", one) for one in self.list_filter}
        return lookup.removesuffix("__exact").removesuffix("__isnull") in offered and "\0" not in value

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str) -> Any:
        return super().get_search_results(request, queryset, wanted(search_term))


class FastList(OnlyOffered):
    """A list without a full count, searched by exact key and exact address only.

    `search_ids` and `search_addresses` name the columns, which must have an index.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    show_facets = admin.ShowFacets.NEVER  # counts by filter are counts of the table
    actions = None  # deleting many at once would list every row that goes with them
    search_ids: tuple[str, ...] = ("pk",)
    search_addresses: tuple[str, ...] = ()
    #: Long columns, those of joined tables too, that the list has no use for.
    not_listed: tuple[str, ...] = ()
    #: Order among the rows of one state: that of its index. Else a database sorts them all, or, PostgreSQL, walks the
    #: whole table by key for those that all lie in one place.
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
        """The keys first, from one index after the other, then the rows of those keys and nothing else: a database
        that is asked for all at once may read every mail of a broadcast, or of a state."""
        term = wanted(search_term)
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
