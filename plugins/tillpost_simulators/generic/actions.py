"""What can happen to a store between two requests: the menu drifts, staff act, access goes.

Every action can be called on the simulator in a test, and by name on its control address.
Variations, options and taxes are named by their id, orders by their id or by the caller's
reference. Prices are in minor units. An id that isn't known raises LookupError.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tillpost.models.menu import GroupUse, Item, ModifierOption, Tax, Variation
from tillpost.models.order import PosState, Progress
from tillpost.simulator import Simulator, action
from tillpost_simulators.generic.world import Refusal, StoredOrder, World

__all__ = ["StoreActions"]


class StoreActions(Simulator):
    """The actions, over the world that the simulator holds."""

    @property
    @abstractmethod
    def world(self) -> World:
        """The present state. Hold `lock` while reading it from another thread."""

    # --- the menu ---

    @action
    def add_item(self, variation_id: str, name: str, price: int | None, *, sku: str = "") -> None:
        """Adds an item with one variation, under every tax there is."""
        made = Item(
            id=f"ITEM-{variation_id}",
            name=name,
            variations=(Variation(id=variation_id, sku=sku, price=price),),
            tax_ids=tuple(tax.id for tax in self.world.menu.taxes),
        )
        self._set(items=(*self.world.menu.items, made))

    @action
    def remove_variation(self, variation_id: str) -> None:
        """Takes a variation off the menu; the item goes with its last one."""
        self._on_variation(variation_id, lambda _: None)

    @action
    def recreate_variation(self, variation_id: str, new_id: str = "") -> str:
        """Gives a variation another id, its SKU, name and price as they were: the drift. Returns the new id."""
        made = new_id or f"{variation_id}-NEW"
        self._on_variation(variation_id, lambda found: found.model_copy(update={"id": made}))
        return made

    @action
    def remove_modifier(self, modifier_id: str) -> None:
        """Takes an option off the menu."""
        self._on_option(modifier_id, lambda _: None)

    @action
    def recreate_modifier(self, modifier_id: str, new_id: str = "") -> str:
        """Gives an option another id, its name and price as they were. Returns the new id."""
        made = new_id or f"{modifier_id}-NEW"
        self._on_option(modifier_id, lambda found: found.model_copy(update={"id": made}))
        return made

    @action
    def rename_item(self, variation_id: str, name: str) -> None:
        """Gives the item of a variation another name."""
        item, _ = self._variation(variation_id)
        renamed = item.model_copy(update={"name": name})
        self._set(items=tuple(renamed if one is item else one for one in self.world.menu.items))

    @action
    def change_price(self, object_id: str, price: int | None) -> None:
        """Changes the price of a variation or an option; None has it keyed in at the register."""
        self._on_either(object_id, price=price)

    @action
    def sell_out(self, object_id: str, sold_out: bool = True) -> None:
        """Marks a variation or an option as sold out, or as back."""
        self._on_either(object_id, sold_out=sold_out)

    @action
    def set_modifier_limits(
        self,
        variation_id: str,
        group_id: str,
        minimum: int,
        maximum: int | None = None,
        *,
        once: bool = False,
    ) -> None:
        """Sets how many of a group must and may be chosen on the item of a variation. No maximum is no limit."""
        item, _ = self._variation(variation_id)
        use = GroupUse(group_id=group_id, minimum=minimum, maximum=maximum, once=once)
        groups = (*(other for other in item.groups if other.group_id != group_id), use)
        changed = item.model_copy(update={"groups": groups})
        self._set(items=tuple(changed if one is item else one for one in self.world.menu.items))

    @action
    def limit_quantity(self, variation_id: str, maximum: int | None) -> None:
        """Sets how many of a variation one order may have; None is no limit."""
        self._on_variation(
            variation_id, lambda found: found.model_copy(update={"maximum": maximum})
        )

    @action
    def add_table(self, name: str) -> None:
        """Adds a table."""
        self._set(tables=(*(self.world.menu.tables or ()), name))

    @action
    def remove_table(self, name: str) -> None:
        """Takes a table away."""
        tables = self.world.menu.tables or ()
        if name not in tables:
            raise LookupError(f"no table {name!r}")
        self._set(tables=tuple(table for table in tables if table != name))

    @action
    def add_tax(
        self, name: str, percentage: str, *, inclusive: bool = False, tax_id: str = ""
    ) -> str:
        """Adds a tax to every item: a surcharge in disguise. Returns its id."""
        made = Tax(
            id=tax_id or f"TAX-{name}",
            name=name,
            rate=Decimal(percentage) / 100,
            included=inclusive,
        )
        menu = self.world.menu
        items = tuple(
            item.model_copy(update={"tax_ids": (*item.tax_ids, made.id)}) for item in menu.items
        )
        self._set(taxes=(*menu.taxes, made), items=items)
        return made.id

    @action
    def remove_tax(self, tax_id: str) -> None:
        """Deletes a tax."""
        left = tuple(tax for tax in self.world.menu.taxes if tax.id != tax_id)
        if len(left) == len(self.world.menu.taxes):
            raise LookupError(f"no tax {tax_id!r}")
        self._set(taxes=left)

    def _set(self, **parts: Any) -> None:
        self.world.menu = self.world.menu.model_copy(update=parts)

    def _variation(self, variation_id: str) -> tuple[Item, Variation]:
        found = self.world.menu.by_variation.get(variation_id)
        if found is None:
            raise LookupError(f"no variation {variation_id!r}")
        return found

    def _on_variation(
        self, variation_id: str, change: Callable[[Variation], Variation | None]
    ) -> None:
        item, found = self._variation(variation_id)
        kept = (change(v) if v is found else v for v in item.variations)
        variations = tuple(v for v in kept if v)
        changed = item.model_copy(update={"variations": variations})
        items = tuple(changed if one is item else one for one in self.world.menu.items)
        self._set(items=tuple(one for one in items if one.variations))

    def _on_option(
        self, option_id: str, change: Callable[[ModifierOption], ModifierOption | None]
    ) -> None:
        groups = self.world.menu.groups
        if not any(option.id == option_id for group in groups for option in group.options):
            raise LookupError(f"no variation or option {option_id!r}")
        made = (
            group.model_copy(
                update={
                    "options": tuple(
                        new
                        for o in group.options
                        if (new := change(o) if o.id == option_id else o) is not None
                    )
                }
            )
            for group in groups
        )
        self._set(groups=tuple(made))

    def _on_either(self, object_id: str, **changes: object) -> None:
        if object_id in self.world.menu.by_variation:
            self._on_variation(object_id, lambda found: found.model_copy(update=changes))
        else:
            self._on_option(object_id, lambda found: found.model_copy(update=changes))

    # --- access, the store and the POS ---

    @action
    def revoke_token(self, revoked: bool = True) -> None:
        """Takes the token back, or restores it."""
        self.world.revoked = revoked

    @action
    def change_signing_key(self, key: str) -> None:
        """Lets only another signing key count from now on."""
        self.world.signing_key = key

    @action
    def open_store(self, is_open: bool = True) -> None:
        """Opens the store for online orders, or closes it."""
        self.world.store_open = is_open

    @action
    def connect_register(self, online: bool = True) -> None:
        """Connects the register, or lets it go offline."""
        self.world.register_online = online

    @action
    def set_outage(self, down: bool = True) -> None:
        """Puts the POS out of order, so that everything is answered with 503, or back."""
        self.world.outage = down

    @action
    def refuse_orders(
        self,
        kind: str,
        detail: str = "refused on purpose",
        *,
        status: int = 0,
        lines: tuple[int, ...] = (),
        item: str = "",
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Answers every new order with this problem, of any kind; an empty kind ends it."""
        more: dict[str, Any] = {"status": status, "lines": lines, "item": item, "reason": reason}
        self.world.refusal = (
            Refusal(kind, detail, retry_after=retry_after, **more) if kind else None
        )

    # --- staff ---

    @action
    def staff_accept(self, order: str) -> None:
        """Staff take an order on."""
        self._move(order, PosState.ACCEPTED, Progress.ACCEPTED, "in the kitchen")

    @action
    def staff_reject(self, order: str) -> None:
        """Staff turn an order down."""
        self._move(order, PosState.REJECTED, Progress.CANCELLED, "turned down")

    @action
    def staff_prepare(self, order: str) -> None:
        """Staff have an order ready."""
        self._move(order, PosState.ACCEPTED, Progress.READY, "on the counter")

    @action
    def staff_complete(self, order: str) -> None:
        """Staff hand an order over."""
        self._move(order, PosState.ACCEPTED, Progress.COMPLETED, "handed over")

    @action
    def staff_change_total(self, order: str, total: int) -> None:
        """Staff change what an order comes to."""
        self.world.named(order).total = total

    def _move(self, name: str, state: PosState, progress: Progress, status: str) -> None:
        stored: StoredOrder = self.world.named(name)
        if stored.state is PosState.CANCELLED:
            raise LookupError(f"the register doesn't show the order {stored.id}")
        stored.state, stored.progress, stored.status = state, progress, status
