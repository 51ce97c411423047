"""Who gets a broadcast: a query over users, stored as JSON."""

from typing import Any

from django.db import models
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .verbs import alters_data


class PersistentQueryFilter(models.Model):
    """A Q object kept in the database. Equal Qs over one model are one row."""

    item_model = models.CharField(
        _("item model"), max_length=255, help_text=_("The model that is queried, as app_label.ModelName.")
    )
    q_filter = models.TextField(_("query"), help_text=_("The conditions as JSON."))
    sha1_hash = models.CharField(_("hash"), max_length=40, editable=False)
    create_ts = models.DateTimeField(_("created"), auto_now_add=True)
    useful_name = models.CharField(
        _("name"), max_length=1024, blank=True, default="", help_text=_("What people call this audience.")
    )

    class Meta:
        verbose_name = _("audience")
        verbose_name_plural = _("audiences")
        constraints = [
            models.UniqueConstraint(fields=["item_model", "sha1_hash"], name="dbmail_filter_unique"),
        ]

    def __str__(self) -> str:
        return self.useful_name or gettext("Audience %(number)s") % {"number": self.pk}

    @staticmethod
    @alters_data
    def create_from_Q(item_model: type[Model], q_filter: Q, description: str = "") -> "PersistentQueryFilter":
        """The row for `q_filter` over `item_model`, made if there is none yet.

        A description that is not empty replaces the stored one. Raises UnstorableQuery for what JSON
        cannot hold (F, Subquery, functions).
        """
        from ..audience.stored_query import create_from_q

        return create_from_q(item_model, q_filter, description)

    @staticmethod
    @alters_data
    def getFilterFromQ(q_filter: Q, model: type[Model], description: str = "") -> "PersistentQueryFilter":
        """create_from_Q with the arguments in the reference's other order."""
        return PersistentQueryFilter.create_from_Q(model, q_filter, description)

    @staticmethod
    def getFilterFromID(id: Any, model: type[Model]) -> "PersistentQueryFilter":
        """The row with this id. Raises DoesNotExist, also when it is a filter over another model."""
        return PersistentQueryFilter.objects.get(pk=id, item_model=model._meta.label)

    def get_Q(self, restrict_to_active: bool = True) -> Q:
        """The stored Q; for users, `is_active=True` is added unless told otherwise.

        Raises UnresolvableQuery where the stored conditions cannot be read.
        """
        from ..audience.stored_query import get_q

        return get_q(self, restrict_to_active)

    @alters_data
    def set_Q(self, q_filter: Q, description: str = "") -> None:
        """Store `q_filter` in this row (and the description, unless empty); does not save."""
        from ..audience.stored_query import set_q

        set_q(self, q_filter, description)

    def getList(self, model: type[Model]) -> "QuerySet[Any]":
        """The objects that match now, each once, inactive users left out.

        Raises UnresolvableQuery if `model` is not the filter's own or a look-up no longer exists.
        """
        from ..audience.stored_query import matching

        return matching(self, model)
