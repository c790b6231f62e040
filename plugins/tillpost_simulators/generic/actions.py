"""The actions on a simulated store.

Its menu changes, staff act, access is revoked.

Tests call an action as a method of the simulator, people by its name at the control address.
Variations, options and taxes are named by their id, orders by their id or by the caller's
reference. Prices are in minor units. An unknown id raises LookupError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from tillpost.models.menu import GroupUse, Item, Menu, ModifierGroup, ModifierOption, Tax, Variation
from tillpost.models.order import PosState, Progress
from tillpost.simulator import WorldSimulator, action
from tillpost_simulators.generic.world import Refusal, World

__all__ = ["StoreActions"]


def _ids_on(menu: Menu) -> Iterator[str]:
    """Yield the id of each object of a menu."""
    for item in menu.items:
        yield item.id
        yield from (variation.id for variation in item.variations)
    for group in menu.groups:
        yield group.id
        yield from (option.id for option in group.options)
    yield from (tax.id for tax in menu.taxes)


class StoreActions(WorldSimulator[World]):
    """The actions of the generic simulator."""

    # --- the menu ---

    @action
    def add_item(self, variation_id: str, name: str, price: int | None, *, sku: str = "") -> None:
        """Add an item with one variation and with every tax of the store."""
        menu = self.world.menu
        item = Item(
            id=f"ITEM-{variation_id}",
            name=name,
            variations=(Variation(id=variation_id, sku=sku, price=price),),
            tax_ids=tuple(tax.id for tax in menu.taxes),
        )
        self._update_menu(items=(*menu.items, item))

    @action
    def remove_variation(self, variation_id: str) -> None:
        """Remove a variation, and with the last one its item."""
        self._change_variation(variation_id, lambda _: None)

    @action
    def recreate_variation(self, variation_id: str, new_id: str = "") -> str:
        """Give a variation another id, as a stale menu meets it. Return the new id.

        SKU, name and price stay the same.
        """
        new_id = new_id or f"{variation_id}-NEW"
        self._update_variation(variation_id, id=new_id)
        return new_id

    @action
    def remove_modifier(self, modifier_id: str) -> None:
        """Remove an option."""
        self._change_option(modifier_id, lambda _: None)

    @action
    def recreate_modifier(self, modifier_id: str, new_id: str = "") -> str:
        """Give an option another id, and return it. Name and price stay the same."""
        new_id = new_id or f"{modifier_id}-NEW"
        self._update_option(modifier_id, id=new_id)
        return new_id

    @action
    def rename_item(self, variation_id: str, name: str) -> None:
        """Rename the item of a variation."""
        item, _ = self._variation(variation_id)
        self._replace_item(item, item.model_copy(update={"name": name}))

    @action
    def spoil_object(self, object_id: str, changes: dict[str, object]) -> None:
        """Answer an object of the menu with other fields than it should have.

        That is an item, a variation, a group, an option or a tax. No changes make it whole again.
        Orders are priced as before.
        """
        if object_id not in _ids_on(self.world.menu):
            raise LookupError(f"the menu has no object {object_id!r}")
        self.world.oddities[object_id] = changes

    @action
    def change_price(self, object_id: str, price: int | None) -> None:
        """Change the price of a variation or an option.

        None is a price that is keyed in at the register.
        """
        self._update_variation_or_option(object_id, price=price)

    @action
    def sell_out(self, object_id: str, sold_out: bool = True, until: str | None = None) -> None:
        """Mark a variation or an option as sold out, or as available again.

        `until` is the RFC 3339 time when it is available again.
        """
        ends_at = datetime.fromisoformat(until) if until else None
        self._update_variation_or_option(object_id, sold_out=sold_out, sold_out_until=ends_at)

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
        """Set how many options of a group the item of a variation needs and allows.

        No maximum is no limit.
        """
        item, _ = self._variation(variation_id)
        use = GroupUse(group_id=group_id, minimum=minimum, maximum=maximum, once=once)
        others = [other for other in item.groups if other.group_id != group_id]
        self._replace_item(item, item.model_copy(update={"groups": (*others, use)}))

    @action
    def limit_quantity(self, variation_id: str, maximum: int | None) -> None:
        """Limit how many of a variation one order may have; None is no limit."""
        self._update_variation(variation_id, maximum=maximum)

    @action
    def add_table(self, name: str) -> None:
        """Add a table."""
        tables = self.world.menu.tables or ()
        self._update_menu(tables=(*tables, name))

    @action
    def remove_table(self, name: str) -> None:
        """Remove a table."""
        tables = self.world.menu.tables or ()
        if name not in tables:
            raise LookupError(f"no table {name!r}")
        self._update_menu(tables=tuple(table for table in tables if table != name))

    @action
    def add_tax(
        self,
        name: str,
        percentage: str,
        *,
        inclusive: bool = False,
        tax_id: str = "",
    ) -> str:
        """Add a tax to every item, as a store that sets up a surcharge. Return its id."""
        menu = self.world.menu
        tax = Tax(
            id=tax_id or f"TAX-{name}",
            name=name,
            rate=Decimal(percentage) / 100,
            included=inclusive,
        )
        items = [
            item.model_copy(update={"tax_ids": (*item.tax_ids, tax.id)}) for item in menu.items
        ]
        self._update_menu(taxes=(*menu.taxes, tax), items=tuple(items))
        return tax.id

    @action
    def remove_tax(self, tax_id: str) -> None:
        """Remove a tax."""
        taxes = self.world.menu.taxes
        left = tuple(tax for tax in taxes if tax.id != tax_id)
        if len(left) == len(taxes):
            raise LookupError(f"no tax {tax_id!r}")
        self._update_menu(taxes=left)

    # --- access, the store and the POS ---

    @action
    def revoke_token(self, revoked: bool = True) -> None:
        """Revoke the token, or restore it."""
        self.world.revoked = revoked

    @action
    def change_signing_key(self, key: str) -> None:
        """Replace the signing key."""
        self.world.signing_key = key

    @action
    def open_store(self, is_open: bool = True) -> None:
        """Open the store for online orders, or close it."""
        self.world.store_open = is_open

    @action
    def connect_register(self, online: bool = True) -> None:
        """Connect the register, or take it offline."""
        self.world.register_online = online

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
        order_field: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Refuse every new order with a problem of this kind; an empty kind ends that.

        With an `order_field`, orders without that field are taken.
        """
        if not kind:
            self.world.refusal = None
            return
        self.world.refusal = Refusal(
            kind,
            detail,
            status=status,
            lines=lines,
            item=item,
            reason=reason,
            order_field=order_field,
            retry_after=retry_after,
        )

    # --- staff ---

    @action
    def staff_accept(self, order: str) -> None:
        """Let staff accept an order."""
        self._move(order, PosState.ACCEPTED, Progress.ACCEPTED, "in the kitchen")

    @action
    def staff_reject(self, order: str) -> None:
        """Let staff reject an order."""
        self._move(order, PosState.REJECTED, Progress.CANCELLED, "turned down")

    @action
    def staff_prepare(self, order: str) -> None:
        """Let staff finish preparing an order."""
        self._move(order, PosState.ACCEPTED, Progress.READY, "on the counter")

    @action
    def staff_complete(self, order: str) -> None:
        """Let staff hand an order over."""
        self._move(order, PosState.ACCEPTED, Progress.COMPLETED, "handed over")

    @action
    def staff_change_total(self, order: str, total: int) -> None:
        """Let staff change the total of an order."""
        self.world.named(order).total = total

    # --- helpers ---

    def _update_menu(self, **fields: Any) -> None:
        self.world.menu = self.world.menu.model_copy(update=fields)

    def _replace_item(self, item: Item, changed: Item) -> None:
        items = [changed if other is item else other for other in self.world.menu.items]
        self._update_menu(items=tuple(items))

    def _variation(self, variation_id: str) -> tuple[Item, Variation]:
        found = self.world.menu.by_variation.get(variation_id)
        if found is None:
            raise LookupError(f"no variation {variation_id!r}")
        return found

    def _change_variation(
        self, variation_id: str, change: Callable[[Variation], Variation | None]
    ) -> None:
        """Replace a variation, or remove it when `change` returns None."""
        item, variation = self._variation(variation_id)
        variations: list[Variation] = []
        for other in item.variations:
            kept = change(other) if other is variation else other
            if kept is not None:
                variations.append(kept)
        self._replace_item(item, item.model_copy(update={"variations": tuple(variations)}))
        left = [other for other in self.world.menu.items if other.variations]
        self._update_menu(items=tuple(left))

    def _change_option(
        self, option_id: str, change: Callable[[ModifierOption], ModifierOption | None]
    ) -> None:
        """Replace an option in every group, or remove it when `change` returns None."""
        groups = self.world.menu.groups
        known = {option.id for group in groups for option in group.options}
        if option_id not in known:
            raise LookupError(f"no variation or option {option_id!r}")
        changed = [_with_option_changed(group, option_id, change) for group in groups]
        self._update_menu(groups=tuple(changed))

    def _update_variation(self, variation_id: str, **fields: object) -> None:
        self._change_variation(variation_id, lambda found: found.model_copy(update=fields))

    def _update_option(self, option_id: str, **fields: object) -> None:
        self._change_option(option_id, lambda found: found.model_copy(update=fields))

    def _update_variation_or_option(self, object_id: str, **fields: object) -> None:
        if object_id in self.world.menu.by_variation:
            self._update_variation(object_id, **fields)
        else:
            self._update_option(object_id, **fields)

    def _move(self, name: str, state: PosState, progress: Progress, status: str) -> None:
        stored = self.world.named(name)
        if stored.state is PosState.CANCELLED:
            raise LookupError(f"the register doesn't show the order {stored.id}")
        stored.state = state
        stored.progress = progress
        stored.status = status


def _with_option_changed(
    group: ModifierGroup,
    option_id: str,
    change: Callable[[ModifierOption], ModifierOption | None],
) -> ModifierGroup:
    options: Sequence[ModifierOption | None] = [
        change(option) if option.id == option_id else option for option in group.options
    ]
    kept = tuple(option for option in options if option is not None)
    return group.model_copy(update={"options": kept})
