"""The actions on a simulated merchant.

Its menu changes, staff act, access is revoked.

Tests call an action as a method of the simulator, people by its name at the control address.
Variations, modifiers and taxes are named by their id, orders by their id or by the caller's
reference. Prices are in minor units. An unknown id raises LookupError. Where a location or a token
can be left out, it is the one of the till's connection, unless stated otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

from tillpost.simulator import WorldSimulator, action
from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square import webhooks
from tillpost_simulators.square.access import grant_code
from tillpost_simulators.square.register import staff_move
from tillpost_simulators.square.stock import add_item, add_modifier_list
from tillpost_simulators.square.wire import FulfilmentState
from tillpost_simulators.square.world import StoredOrder, Token, World


class MerchantActions(WorldSimulator[World]):
    """The actions of the Square simulator."""

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
        """Add an item with one variation, and return the item's id.

        `tax_ids` None means every tax of the merchant.
        """
        catalogue = self.world.catalogue
        if tax_ids is None:
            tax_ids = [tax.id for tax in catalogue.of(c.Tax)]
        limits = [c.ModifierLimits(list_id) for list_id in modifier_list_ids or ()]
        item = c.Item(
            item_id or f"ITEM-{variation_id}",
            name=name,
            tax_ids=tax_ids,
            modifier_limits=limits,
        )
        variation = c.Variation(variation_id, name=variation_name, sku=sku, price=price)
        return add_item(catalogue, item, variation).id

    @action
    def add_variation(
        self,
        item_id: str,
        variation_id: str,
        name: str,
        price: int | None,
        sku: str = "",
    ) -> None:
        """Add a variation to an item."""
        catalogue = self.world.catalogue
        item = catalogue.get(c.Item, item_id)
        variation = c.Variation(
            variation_id,
            item_id=item_id,
            name=name,
            sku=sku,
            price=price,
            ordinal=len(item.variation_ids),
        )
        item.variation_ids.append(variation_id)
        catalogue.add(variation)

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
        """Add a modifier list.

        `modifiers` maps ids to name and price; a limit of 0 is none.
        """
        modifier_list = c.ModifierList(
            list_id,
            name=name,
            minimum=minimum,
            maximum=maximum,
            allow_quantities=allow_quantities,
        )
        entries = [
            c.Modifier(modifier_id, name=modifier_name, price=price)
            for modifier_id, (modifier_name, price) in modifiers.items()
        ]
        add_modifier_list(self.world.catalogue, modifier_list, *entries)

    @action
    def remove_variation(self, variation_id: str) -> None:
        """Delete a variation, and with the last one its item."""
        catalogue = self.world.catalogue
        variation = catalogue.get(c.Variation, variation_id)
        item = catalogue.get(c.Item, variation.item_id)
        catalogue.delete(variation)
        if not catalogue.variations_of(item):
            catalogue.delete(item)

    @action
    def recreate_variation(self, variation_id: str, new_id: str | None = None) -> str:
        """Delete a variation and create it again, as a stale menu meets it.

        Returns its new id. SKU, name and price stay the same.
        """
        catalogue = self.world.catalogue
        old = catalogue.get(c.Variation, variation_id)
        item = catalogue.get(c.Item, old.item_id)
        new = replace(
            old,
            id=new_id or self.world.new_id("variation", 24),
            overrides=dict(old.overrides),
        )
        index = item.variation_ids.index(old.id)
        item.variation_ids[index] = new.id
        catalogue.add(new)
        catalogue.delete(old)
        return new.id

    @action
    def remove_modifier(self, modifier_id: str) -> None:
        """Delete a modifier."""
        catalogue = self.world.catalogue
        catalogue.delete(catalogue.get(c.Modifier, modifier_id))

    @action
    def recreate_modifier(self, modifier_id: str, new_id: str | None = None) -> str:
        """Delete a modifier and create it again with the same name and price.

        Return its new id.
        """
        catalogue = self.world.catalogue
        old = catalogue.get(c.Modifier, modifier_id)
        modifier_list = catalogue.get(c.ModifierList, old.modifier_list_id)
        new = replace(
            old,
            id=new_id or self.world.new_id("modifier", 24),
            overrides=dict(old.overrides),
        )
        index = modifier_list.modifier_ids.index(old.id)
        modifier_list.modifier_ids[index] = new.id
        catalogue.add(new)
        catalogue.delete(old)
        return new.id

    @action
    def rename_item(self, item_id: str, name: str) -> None:
        """Rename an item, named by its id or by that of one of its variations."""
        catalogue = self.world.catalogue
        variation = catalogue.find(c.Variation, item_id)
        item = catalogue.get(c.Item, variation.item_id if variation else item_id)
        item.name = name
        catalogue.touch(item)

    @action
    def change_price(self, object_id: str, price: int, location_id: str | None = None) -> None:
        """Change the price of a variation or a modifier, everywhere or at one location."""
        entry = self._variation_or_modifier(object_id)
        if location_id is None:
            entry.price = price
        else:
            override = entry.overrides.setdefault(location_id, c.Override())
            override.price = price
        self.world.catalogue.touch(entry)

    @action
    def sell_out(
        self,
        object_id: str,
        sold_out: bool = True,
        until: str | None = None,
        location_id: str | None = None,
    ) -> None:
        """Mark a variation or a modifier as sold out at a location, or as available again.

        `until` is the RFC 3339 time when a variation is available again; a modifier has none.
        """
        entry = self._variation_or_modifier(object_id)
        override = entry.overrides.setdefault(self._location_id(location_id), c.Override())
        override.sold_out = sold_out
        override.sold_out_until = until
        self.world.catalogue.touch(entry)

    @action
    def withdraw(
        self, object_id: str, withdrawn: bool = True, location_id: str | None = None
    ) -> None:
        """Take any catalogue object off a location, or put it back."""
        entry = self.world.catalogue.get(c.Entry, object_id)
        location_id = self._location_id(location_id)
        if withdrawn:
            entry.absent_at.add(location_id)
            entry.present_at.discard(location_id)
        else:
            entry.absent_at.discard(location_id)
            entry.present_at.add(location_id)
        self.world.catalogue.touch(entry)

    @action
    def spoil_object(self, object_id: str, changes: dict[str, object]) -> None:
        """Answer an object of the catalogue with other fields than it should have.

        `changes` are merged into its JSON, at any depth; None removes a field. Orders are priced as
        before. No changes make it whole again.
        """
        self.world.catalogue.get(c.Entry, object_id)
        self.world.catalogue.oddities[object_id] = changes

    @action
    def archive_item(self, item_id: str, archived: bool = True) -> None:
        """Archive an item, or restore it."""
        item = self.world.catalogue.get(c.Item, item_id)
        item.is_archived = archived
        self.world.catalogue.touch(item)

    @action
    def set_modifier_limits(
        self,
        list_id: str,
        minimum: int,
        maximum: int,
        item_id: str | None = None,
    ) -> None:
        """Set a modifier list's limits, or one item's limits for it.

        A maximum of 0 is none.
        """
        catalogue = self.world.catalogue
        if item_id is None:
            modifier_list = catalogue.get(c.ModifierList, list_id)
            modifier_list.minimum = minimum
            modifier_list.maximum = maximum
            catalogue.touch(modifier_list)
            return
        item = catalogue.get(c.Item, item_id)
        for limits in item.modifier_limits:
            if limits.modifier_list_id == list_id:
                limits.minimum = minimum
                limits.maximum = maximum
        catalogue.touch(item)

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
        """Add a tax, by default to every item, as a store that sets up a surcharge.

        Return its id.
        """
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
        """Enable a tax, or disable it."""
        tax = self.world.catalogue.get(c.Tax, tax_id)
        tax.enabled = enabled
        self.world.catalogue.touch(tax)

    @action
    def remove_tax(self, tax_id: str) -> None:
        """Delete a tax, also from the items that have it."""
        catalogue = self.world.catalogue
        catalogue.delete(catalogue.get(c.Tax, tax_id))

    # --- access ---

    @action
    def revoke_token(self, access_token: str | None = None, revoked: bool = True) -> None:
        """Revoke an access token, or restore it."""
        self._token(access_token).revoked = revoked

    @action
    def expire_token(self, access_token: str | None = None) -> None:
        """Let an access token expire now. Its refresh token still gets a new one."""
        self._token(access_token).expires_at = self.world.clock.now()

    @action
    def revoke_authorisation(self) -> None:
        """Revoke the application's access: every access token and every refresh token."""
        self.world.revoke_all_tokens()

    @action
    def drop_scope(self, scope: str, access_token: str | None = None) -> None:
        """Remove a scope from a token, as after the admin who connected was demoted."""
        self._token(access_token).scopes.discard(scope)

    @action
    def grant_scope(self, scope: str, access_token: str | None = None) -> None:
        """Grant a token a scope."""
        self._token(access_token).scopes.add(scope)

    @action
    def new_authorisation_code(self, scopes: list[str] | None = None) -> str:
        """Return an authorisation code, valid for one exchange, as if a seller had agreed."""
        return grant_code(self.world, scopes or ())

    # --- the store and the platform ---

    @action
    def activate_location(self, active: bool = True, location_id: str | None = None) -> None:
        """Activate a location, or deactivate it."""
        self.world.locations[self._location_id(location_id)].active = active

    @action
    def advance_clock(self, seconds: float) -> None:
        """Set the clock forward: tokens expire, searches find recent orders."""
        self.world.clock.advance(seconds)

    @action
    def age_orders(self, seconds: float) -> None:
        """Make the existing orders older by this many seconds."""
        age = timedelta(seconds=seconds)
        for stored in self.world.orders.values():
            stored.created -= age

    @action
    def refuse_contact(self, text: str, refused: bool = True) -> None:
        """Refuse a phone number or e-mail address, however well formed, or take it again."""
        if refused:
            self.world.refused_contacts.add(text)
        else:
            self.world.refused_contacts.discard(text)

    # --- webhooks ---

    @action
    def send_webhooks_to(self, url: str) -> None:
        """Send webhooks about what changes from now on to this address."""
        webhooks.announce(self.world)
        self.world.webhooks.url = url
        self.world.webhooks.catalogue_time = self.world.catalogue.latest_time
        for stored in self.world.orders.values():
            webhooks.note_announced(self.world, stored.order)

    @action
    def sell_at_counter(self) -> str:
        """Sell something at the counter for cash, and return the order's id."""
        return webhooks.sell_at_counter(self.world)

    # --- staff ---

    @action
    def staff_accept(self, order: str) -> None:
        """Let staff start an order: RESERVED, with `accepted_at`."""
        staff_move(self.world, self._order(order), "RESERVED")

    @action
    def staff_reject(self, order: str, state: Literal["FAILED", "CANCELED"] = "FAILED") -> None:
        """Let staff reject a paid order."""
        rejected: FulfilmentState = state
        staff_move(self.world, self._order(order), rejected)

    @action
    def staff_prepare(self, order: str) -> None:
        """Let staff mark an order as ready: PREPARED, with `ready_at`."""
        staff_move(self.world, self._order(order), "PREPARED")

    @action
    def staff_complete(self, order: str) -> None:
        """Let staff hand an order over: COMPLETED, and the order closes."""
        staff_move(self.world, self._order(order), "COMPLETED")

    # --- helpers ---

    def _location_id(self, location_id: str | None) -> str:
        return location_id or self.world.settings.location_id

    def _variation_or_modifier(self, object_id: str) -> c.Variation | c.Modifier:
        catalogue = self.world.catalogue
        variation = catalogue.find(c.Variation, object_id)
        return variation or catalogue.get(c.Modifier, object_id)

    def _token(self, access_token: str | None) -> Token:
        token = self.world.tokens.get(access_token or self.world.settings.access_token)
        if token is None:
            raise LookupError("no such access token")
        return token

    def _order(self, name: str) -> StoredOrder:
        """Return the order with this id, or the latest one with this reference.

        Of several with the reference, settled ones come first.
        """
        orders = self.world.orders
        if name in orders:
            return orders[name]
        with_reference = [stored for stored in orders.values() if stored.order.reference_id == name]
        settled = [stored for stored in with_reference if stored.settled]
        candidates = settled or with_reference
        if not candidates:
            raise LookupError(f"no order {name!r}")
        return candidates[-1]
