"""What can happen to a merchant at Square between two requests: the menu drifts, staff act, a token goes.

Every action can be called on the simulator in a test, and by name on its control address.
Variations, modifiers and taxes are named by their id, orders by their id or by the caller's
reference. Prices are in minor units. An id that isn't known raises LookupError.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from tillpost.simulator import Simulator, action
from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square.access import grant_code
from tillpost_simulators.square.register import staff_move
from tillpost_simulators.square.stock import add_item, add_modifier_list
from tillpost_simulators.square.wire import FulfilmentState
from tillpost_simulators.square.world import StoredOrder, Token, World


class MerchantActions(Simulator):
    """The actions, over the world that the simulator holds."""

    @property
    @abstractmethod
    def world(self) -> World:
        """The present state. Hold `lock` while reading it from another thread."""

    # --- the menu ---

    @action
    def add_item(
        self,
        variation_id: str,
        name: str,
        price: int | None,
        *,
        sku: str = "",
        variation_name: str = "Regular",
        item_id: str | None = None,
        tax_ids: list[str] | None = None,
        modifier_list_ids: list[str] | None = None,
    ) -> str:
        """Adds an item with one variation, and returns the item's id. `tax_ids` None: every tax there is."""
        catalogue = self.world.catalogue
        item = c.Item(
            item_id or f"ITEM-{variation_id}",
            name=name,
            tax_ids=[tax.id for tax in catalogue.of(c.Tax)] if tax_ids is None else tax_ids,
            modifier_limits=[c.ModifierLimits(list_id) for list_id in modifier_list_ids or ()],
        )
        return add_item(
            catalogue, item, c.Variation(variation_id, name=variation_name, sku=sku, price=price)
        ).id

    @action
    def add_variation(
        self, item_id: str, variation_id: str, name: str, price: int | None, sku: str = ""
    ) -> None:
        """Adds a variation to an item."""
        item = self.world.catalogue.get(c.Item, item_id)
        item.variation_ids.append(variation_id)
        ordinal = len(item.variation_ids) - 1
        self.world.catalogue.add(
            c.Variation(
                variation_id,
                0,
                "",
                False,
                item_id=item_id,
                name=name,
                sku=sku,
                price=price,
                ordinal=ordinal,
            )
        )

    @action
    def add_modifier_list(
        self,
        list_id: str,
        name: str,
        modifiers: dict[str, tuple[str, int]],
        *,
        minimum: int = 0,
        maximum: int = 0,
        allow_quantities: bool = False,
    ) -> None:
        """Adds a modifier list: `modifiers` maps each id to a name and a price. A limit of 0 is none."""
        made = [
            c.Modifier(modifier_id, name=label, price=price)
            for modifier_id, (label, price) in modifiers.items()
        ]
        new = c.ModifierList(
            list_id, name=name, minimum=minimum, maximum=maximum, allow_quantities=allow_quantities
        )
        add_modifier_list(self.world.catalogue, new, *made)

    @action
    def remove_variation(self, variation_id: str) -> None:
        """Deletes a variation; the item goes with its last one."""
        catalogue = self.world.catalogue
        variation = catalogue.get(c.Variation, variation_id)
        item = catalogue.get(c.Item, variation.item_id)
        catalogue.delete(variation)
        if not catalogue.variations_of(item):
            catalogue.delete(item)

    @action
    def recreate_variation(self, variation_id: str, new_id: str | None = None) -> str:
        """Deletes a variation and makes it again with the same SKU, name and price: the drift. Returns its new id."""
        catalogue = self.world.catalogue
        old = catalogue.get(c.Variation, variation_id)
        item = catalogue.get(c.Item, old.item_id)
        new = replace(
            old, id=new_id or self.world.new_id("variation", 24), overrides=dict(old.overrides)
        )
        item.variation_ids[item.variation_ids.index(old.id)] = new.id
        catalogue.add(new)
        catalogue.delete(old)
        return new.id

    @action
    def remove_modifier(self, modifier_id: str) -> None:
        """Deletes a modifier."""
        self.world.catalogue.delete(self.world.catalogue.get(c.Modifier, modifier_id))

    @action
    def recreate_modifier(self, modifier_id: str, new_id: str | None = None) -> str:
        """Deletes a modifier and makes it again with the same name and price. Returns its new id."""
        catalogue = self.world.catalogue
        old = catalogue.get(c.Modifier, modifier_id)
        modifier_list = catalogue.get(c.ModifierList, old.modifier_list_id)
        new = replace(
            old, id=new_id or self.world.new_id("modifier", 24), overrides=dict(old.overrides)
        )
        modifier_list.modifier_ids[modifier_list.modifier_ids.index(old.id)] = new.id
        catalogue.add(new)
        catalogue.delete(old)
        return new.id

    @action
    def rename_item(self, item_id: str, name: str) -> None:
        """Gives an item another name. Takes the item's id or that of one of its variations."""
        catalogue = self.world.catalogue
        variation = catalogue.find(c.Variation, item_id)
        item = catalogue.get(c.Item, variation.item_id if variation else item_id)
        item.name = name
        catalogue.touch(item)

    @action
    def change_price(self, object_id: str, price: int, location_id: str | None = None) -> None:
        """Changes the price of a variation or a modifier, everywhere or at one location."""
        entry = self._variation_or_modifier(object_id)
        if location_id is None:
            entry.price = price
        else:
            entry.overrides.setdefault(location_id, c.Override()).price = price
        self.world.catalogue.touch(entry)

    @action
    def sell_out(
        self,
        object_id: str,
        sold_out: bool = True,
        until: str | None = None,
        location_id: str | None = None,
    ) -> None:
        """Marks a variation or a modifier as sold out at a location (the till's own), or as back.

        `until` is the RFC 3339 time when it is back by itself; a modifier has none.
        """
        entry = self._variation_or_modifier(object_id)
        override = entry.overrides.setdefault(
            location_id or self.world.settings.location_id, c.Override()
        )
        override.sold_out, override.sold_out_until = sold_out, until
        self.world.catalogue.touch(entry)

    @action
    def withdraw(
        self, object_id: str, withdrawn: bool = True, location_id: str | None = None
    ) -> None:
        """Takes any catalogue object off a location (the till's own), or puts it back."""
        entry = self.world.catalogue.get(c.Entry, object_id)
        here = location_id or self.world.settings.location_id
        if withdrawn:
            entry.absent_at.add(here)
            entry.present_at.discard(here)
        else:
            entry.absent_at.discard(here)
            entry.present_at.add(here)
        self.world.catalogue.touch(entry)

    @action
    def archive_item(self, item_id: str, archived: bool = True) -> None:
        """Archives an item, or takes it out of the archive."""
        item = self.world.catalogue.get(c.Item, item_id)
        item.is_archived = archived
        self.world.catalogue.touch(item)

    @action
    def set_modifier_limits(
        self, list_id: str, minimum: int, maximum: int, item_id: str | None = None
    ) -> None:
        """Sets a modifier list's limits, or those of one item for it. A maximum of 0 is none."""
        catalogue = self.world.catalogue
        if item_id is None:
            modifier_list = catalogue.get(c.ModifierList, list_id)
            modifier_list.minimum, modifier_list.maximum = minimum, maximum
            catalogue.touch(modifier_list)
            return
        item = catalogue.get(c.Item, item_id)
        for limits in item.modifier_limits:
            if limits.modifier_list_id == list_id:
                limits.minimum, limits.maximum = minimum, maximum
        catalogue.touch(item)

    def _variation_or_modifier(self, object_id: str) -> c.Variation | c.Modifier:
        catalogue = self.world.catalogue
        return catalogue.find(c.Variation, object_id) or catalogue.get(c.Modifier, object_id)

    # --- taxes ---

    @action
    def add_tax(
        self,
        name: str,
        percentage: str,
        *,
        inclusive: bool = False,
        on_every_item: bool = True,
        on_custom_amounts: bool = True,
        tax_id: str | None = None,
    ) -> str:
        """Adds a tax, by default to every item as well: a surcharge in disguise. Returns its id."""
        catalogue = self.world.catalogue
        tax = c.Tax(
            tax_id or self.world.new_id("tax", 24),
            name=name,
            percentage=percentage,
            inclusive=inclusive,
            on_custom_amounts=on_custom_amounts,
        )
        catalogue.add(tax)
        if on_every_item:
            for item in catalogue.of(c.Item):
                item.tax_ids.append(tax.id)
                catalogue.touch(item)
        return tax.id

    @action
    def enable_tax(self, tax_id: str, enabled: bool = True) -> None:
        """Enables a tax, or disables it."""
        tax = self.world.catalogue.get(c.Tax, tax_id)
        tax.enabled = enabled
        self.world.catalogue.touch(tax)

    @action
    def remove_tax(self, tax_id: str) -> None:
        """Deletes a tax, also from the items that carry it."""
        self.world.catalogue.delete(self.world.catalogue.get(c.Tax, tax_id))

    # --- access ---

    @action
    def revoke_token(self, access_token: str | None = None, revoked: bool = True) -> None:
        """Revokes an access token (the till's own), or restores it."""
        self._token(access_token).revoked = revoked

    @action
    def expire_token(self, access_token: str | None = None) -> None:
        """Makes an access token (the till's own) expire now. A refresh token still gets a new one."""
        self._token(access_token).expires_at = self.world.clock.now()

    @action
    def revoke_authorisation(self) -> None:
        """Withdraws the application's access altogether: every access token and every refresh token."""
        for token in self.world.tokens.values():
            token.revoked = True
            self.world.revoked_refresh_tokens.add(token.refresh_token)

    @action
    def drop_scope(self, scope: str, access_token: str | None = None) -> None:
        """Takes a scope from a token (the till's own), as when the admin who connected was demoted."""
        self._token(access_token).scopes.discard(scope)

    @action
    def grant_scope(self, scope: str, access_token: str | None = None) -> None:
        """Gives a scope back."""
        self._token(access_token).scopes.add(scope)

    @action
    def new_authorisation_code(self, scopes: list[str] | None = None) -> str:
        """An authorisation code, as if a seller had agreed; good for one exchange."""
        return grant_code(self.world, scopes or ())

    def _token(self, access_token: str | None) -> Token:
        token = self.world.tokens.get(access_token or self.world.settings.access_token)
        if token is None:
            raise LookupError("no such access token")
        return token

    # --- the store and the platform ---

    @action
    def activate_location(self, active: bool = True, location_id: str | None = None) -> None:
        """Opens a location (the till's own) for business, or deactivates it."""
        self.world.locations[location_id or self.world.settings.location_id].active = active

    @action
    def set_outage(self, down: bool = True) -> None:
        """Puts the platform out of order, so that everything is answered with 503, or back."""
        self.world.outage = down

    @action
    def advance_clock(self, seconds: float) -> None:
        """Sets the platform's clock forward: tokens expire, searches catch up."""
        self.world.clock.advance(seconds)

    @action
    def age_orders(self, seconds: float) -> None:
        """Lets the orders that are there have been made that much earlier."""
        for stored in self.world.orders.values():
            stored.created -= timedelta(seconds=seconds)

    # --- staff ---

    @action
    def staff_accept(self, order: str) -> None:
        """Staff mark an order as in progress: RESERVED, with `accepted_at`."""
        staff_move(self.world, self._order(order), "RESERVED")

    @action
    def staff_reject(self, order: str, state: Literal["FAILED", "CANCELED"] = "FAILED") -> None:
        """Staff turn a paid order down."""
        rejected: FulfilmentState = state
        staff_move(self.world, self._order(order), rejected)

    @action
    def staff_prepare(self, order: str) -> None:
        """Staff mark an order as ready: PREPARED, with `ready_at`."""
        staff_move(self.world, self._order(order), "PREPARED")

    @action
    def staff_complete(self, order: str) -> None:
        """Staff hand an order over: COMPLETED, and the order closes."""
        staff_move(self.world, self._order(order), "COMPLETED")

    def _order(self, order: str) -> StoredOrder:
        """The order under an id, or the latest on the register that carries a reference."""
        stored = self.world.orders.get(order)
        if stored is None:
            named = [
                stored
                for stored in self.world.orders.values()
                if stored.order.reference_id == order
            ]
            stored = next(
                (one for one in reversed(named) if one.settled), named[-1] if named else None
            )
        if stored is None:
            raise LookupError(f"no order {order!r}")
        return stored
