"""Orders and connections in Django's admin.

They are read-only, but for the acts of `OrderOperations`, which the command line uses too. Whoever
may view an order sees its journal, with requests and answers redacted; acting needs the permission
`operate_order`. Each act is in Tillpost's audit log with the user's name, and in Django's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.timezone import get_current_timezone
from django.views.decorators.http import require_POST

from tillpost.cli.commands.orders import (
    act_in_words,
    event_in_words,
    exchange_facts,
    facts_in_words,
    state_in_words,
)
from tillpost.models.local_time import local_time, times_in
from tillpost.outbox import DatabaseError, Outbox, StoredOrder
from tillpost.outbox.operations.connections import Connections
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost_django.models import Connection, Order
from tillpost_django.settings import load_settings
from tillpost_django.transactions import outbox

if TYPE_CHECKING:
    OrderModelAdmin = admin.ModelAdmin[Order]
    ConnectionModelAdmin = admin.ModelAdmin[Connection]
else:
    OrderModelAdmin = ConnectionModelAdmin = admin.ModelAdmin

__all__ = ["ConnectionAdmin", "OrderAdmin"]

EVEN_IN_DOUBT = "even_in_doubt"
"""The name of the field that takes an order over which the platform may have."""


class Act(NamedTuple):
    """What a person may do with an order.

    Attributes:
        label: The button's text.
        run: Does it to the order of an id, given the form; returns a docket to print, or "".
    """

    label: str
    run: Callable[[OrderOperations, str, Mapping[str, str]], str]


def _accept(operations: OrderOperations, order_id: str, _: Mapping[str, str]) -> str:
    operations.accept(order_id)
    return ""


def _resubmit(operations: OrderOperations, order_id: str, _: Mapping[str, str]) -> str:
    operations.resubmit(order_id)
    return ""


def _manual(operations: OrderOperations, order_id: str, form: Mapping[str, str]) -> str:
    return operations.manual(order_id, even_in_doubt=EVEN_IN_DOUBT in form).docket


def _cancel(operations: OrderOperations, order_id: str, _: Mapping[str, str]) -> str:
    operations.cancel(order_id)
    return ""


ACTS: Mapping[str, Act] = {
    "resubmit": Act("Send again", _resubmit),
    "accept": Act("Accept for the customer", _accept),
    "manual": Act("Enter by hand", _manual),
    "cancel": Act("Cancel", _cancel),
}
"""The acts by the name that Tillpost's audit log has."""


class NeedsPerson(admin.SimpleListFilter):
    """Filters the orders that a person has to act on."""

    title = "needs a person"
    parameter_name = "problem"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Return the only choice besides all."""
        return [("1", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Return the orders of the choice."""
        return queryset.filter(problem_at__isnull=False) if self.value() else queryset


class ReadOnly:
    """Denies every change that isn't one of our acts."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False


@admin.register(Order)
class OrderAdmin(ReadOnly, OrderModelAdmin):
    """Lists orders, shows one with its journal, and acts on them."""

    list_display = ("code", "customer", "connection", "state", "progress", "added", "needs_person")
    list_filter = (NeedsPerson, "state", "progress", "connection")
    search_fields = ("=id", "code", "customer")
    actions = ("resubmit_selected",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        """Return the orders of the outbox's database."""
        outbox().prepare()
        return super().get_queryset(request).using(load_settings().using)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may act on orders."""
        user: Any = request.user
        return bool(user.has_perm("tillpost_django.operate_order"))

    @admin.display(description="added", ordering="added_at")
    def added(self, order: Order) -> str:
        """Return when it was added, as the page of the order shows it."""
        with times_in(get_current_timezone()):
            return local_time(order.added_at)

    @admin.display(boolean=True, description="well")
    def needs_person(self, order: Order) -> bool:
        """Return whether nobody has to act: the admin shows False in red."""
        return order.problem_at is None

    @admin.action(description="Send again", permissions=["operate"])
    def resubmit_selected(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        """Resubmit each selected order."""
        for order in queryset:
            self._act(request, order, "resubmit")

    # Tillpost writes on a connection of its own, which a transaction of the request would block.
    @method_decorator(transaction.non_atomic_requests)
    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the list, or run an action on what is selected in it."""
        return super().changelist_view(request, *args, **kwargs)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show an order with its journal."""
        context: dict[str, Any] = {"title": "Order", "subtitle": None}
        order_id = unquote(object_id)
        stored = outbox().get(order_id)
        if stored:
            with times_in(get_current_timezone()):
                context |= _shown(outbox(), stored)
            if self.has_operate_permission(request):
                context["acts"] = ACTS
                context["act_url"] = self._url("act", object_id)
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the address that acts on an order."""
        act = transaction.non_atomic_requests(self.admin_site.admin_view(self.act_view))
        ours = path("<path:object_id>/act/", act, name="tillpost_django_order_act")
        return [ours, *super().get_urls()]

    @method_decorator(require_POST)
    def act_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Act on an order, and show its page or, of one to enter by hand, its docket."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        order = self.get_object(request, unquote(object_id))
        name = request.POST.get("act", "")
        if order is None or name not in ACTS:
            raise Http404
        docket = self._act(request, order, name)
        if docket:
            context = {
                **self.admin_site.each_context(request),
                "title": f"Order {order} is entered by hand",
                "docket": docket,
                "order_url": self._url("change", object_id),
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/tillpost_django/order/docket.html", context)
        return HttpResponseRedirect(self._url("change", object_id))

    def _url(self, view: str, object_id: str) -> str:
        name = f"{self.admin_site.name}:tillpost_django_order_{view}"
        return reverse(name, args=[quote(unquote(object_id))])

    def _act(self, request: HttpRequest, order: Order, name: str) -> str:
        """Act on an order and tell the user; return a docket, or ""."""
        act = ACTS[name]
        operations = OrderOperations(outbox(), who=request.user.get_username())
        try:
            docket = act.run(operations, order.id, request.POST)
        except (ActError, DatabaseError) as error:
            text = str(error).replace("--even-in-doubt", "the box ticked")
            self.message_user(request, text, messages.ERROR)
            return ""
        self.log_change(request, order, f"Tillpost: {name}")
        self.message_user(request, f"Order {order}: done ({act.label.lower()}).", messages.SUCCESS)
        return docket


@admin.register(Connection)
class ConnectionAdmin(ReadOnly, ConnectionModelAdmin):
    """Shows the state of each connection; their settings and tokens are nowhere."""

    def get_urls(self) -> list[URLPattern]:
        """Return the list's address alone."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="tillpost_django_connection_changelist")]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Connections",
            "states": Connections(outbox()).states(),
            "opts": self.opts,
            **(extra_context or {}),
        }
        template = "admin/tillpost_django/connection/change_list.html"
        return TemplateResponse(request, template, context)


def _shown(tillpost: Outbox, stored: StoredOrder) -> dict[str, Any]:
    """Return what the page of an order shows."""
    operations = OrderOperations(tillpost, who="")
    journal = [
        (
            local_time(entry.event.at),
            event_in_words(entry.event, stored),
            exchange_facts(entry.exchange),
        )
        for entry in tillpost.entries(stored.id)
    ]
    return {
        "state": state_in_words(stored),
        "facts": [(name, value) for name, value in facts_in_words(stored, full=True) if value],
        "taken_acts": [act_in_words(act) for act in operations.acts(stored.id)],
        "journal": journal,
    }
