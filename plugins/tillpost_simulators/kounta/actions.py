"""The actions on a simulated company.

Its menu changes, staff act, devices go offline.

Tests call an action as a method of the simulator, people by its name at the control address. Orders
are named by their id or by the caller's reference. Prices are decimal and exclude tax. An unknown
name or id raises LookupError. Where a site, token or register can be left out, it is the one of the
till's connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from tillpost.simulator import WorldSimulator, action
from tillpost_simulators.kounta import stock
from tillpost_simulators.kounta.access import grant_code
from tillpost_simulators.kounta.orders import delete, set_status
from tillpost_simulators.kounta.register import deliver, on_register
from tillpost_simulators.kounta.settings import CreatedBody, ErrorStyle
from tillpost_simulators.kounta.world import (
    AtSite,
    Choice,
    Event,
    OptionSet,
    Order,
    Product,
    Register,
    Site,
    Tax,
    Token,
    World,
)

T = TypeVar("T")


class CompanyActions(WorldSimulator[World]):
    """The actions of the Kounta simulator."""

    # --- the menu ---

    @action
    def add_product(
        self,
        product_id: int,
        name: str,
        price: Decimal,
        code: str = "",
        *,
        tax_ids: list[int] | None = None,
        site_ids: list[int] | None = None,
    ) -> None:
        """Add a product, by default at the till's own site and with the company's tax."""
        if self.world.find_product(product_id):
            raise ValueError(f"there is a product {product_id} already")
        stock.add_product(
            self.world, product_id, name, price, code, sites=site_ids, tax_ids=tax_ids
        )

    @action
    def remove_product(self, product_id: int) -> None:
        """Delete a product."""
        self._product(product_id).deleted = True

    @action
    def recreate_product(self, product_id: int, new_id: int | None = None) -> int:
        """Delete a product and create it again, as a stale menu meets it.

        Returns its new id. Code, name and price stay the same, and price lists and option sets
        follow.
        """
        world = self.world
        old = self._product(product_id)
        new = replace(
            old,
            id=new_id or world.new_id(),
            sites={site_id: replace(at_site) for site_id, at_site in old.sites.items()},
        )
        old.deleted = True
        world.products[new.id] = new
        for price_list in world.price_lists.values():
            if old.id in price_list.prices:
                price_list.prices[new.id] = price_list.prices.pop(old.id)
        for choice in self._choices():
            if choice.product_id == old.id:
                choice.product_id = new.id
        return new.id

    @action
    def rename_product(self, product_id: int, name: str) -> None:
        """Rename a product."""
        self._product(product_id).name = name

    @action
    def change_price(
        self, product_id: int, price: Decimal, price_list_id: int | None = None
    ) -> None:
        """Change a product's own price, or its price in a price list."""
        product = self._product(product_id)
        if price_list_id is None:
            product.unit_price = price
            return
        price_list = _get(self.world.price_lists, price_list_id, "price list")
        price_list.prices[product_id] = price

    @action
    def withdraw(self, product_id: int, withdrawn: bool = True, site_id: int | None = None) -> None:
        """Take a product off a site, or put it back."""
        product = self._product(product_id)
        site = self._site(site_id)
        if withdrawn:
            product.sites.pop(site.id, None)
        else:
            product.sites.setdefault(site.id, AtSite())

    @action
    def sell_out(self, product_id: int, sold_out: bool = True, site_id: int | None = None) -> None:
        """Mark a product as unavailable at a site, or as available again."""
        self._at_site(product_id, site_id).is_available = not sold_out

    @action
    def spoil_product(self, product_id: int, changes: dict[str, object]) -> None:
        """Answer a product with other fields than it should have.

        No changes make it whole again. Orders are priced as before.
        """
        self.world.oddities[self._product(product_id).id] = changes

    @action
    def hide_online(self, product_id: int, hidden: bool = True, site_id: int | None = None) -> None:
        """Take a product off the site's online menu (`show_online`), or put it back."""
        self._at_site(product_id, site_id).show_online = not hidden

    @action
    def set_stock(
        self, product_id: int, quantity: Decimal | None, site_id: int | None = None
    ) -> None:
        """Set a site's stock of a product; None stops counting it."""
        self._at_site(product_id, site_id).stock = quantity

    @action
    def add_option_set(
        self,
        set_id: int,
        name: str,
        options: list[int],
        minimum: int = 0,
        maximum: int = 0,
    ) -> None:
        """Add an option set of products. A maximum of 0 is no limit."""
        choices = [Choice(self._product(product_id).id) for product_id in options]
        self.world.option_sets[set_id] = OptionSet(set_id, name, minimum, maximum, choices)

    @action
    def set_options_of(
        self,
        product_id: int,
        option_set_ids: list[int] | None = None,
        modifier_ids: list[int] | None = None,
    ) -> None:
        """Set a product's option sets, its modifiers, or both.

        Kounta doesn't support a product with both.
        """
        product = self._product(product_id)
        if option_set_ids is not None:
            product.option_set_ids = [
                _get(self.world.option_sets, set_id, "option set").id for set_id in option_set_ids
            ]
        if modifier_ids is not None:
            product.modifiers = [
                Choice(self._product(modifier_id).id) for modifier_id in modifier_ids
            ]

    @action
    def add_tax(
        self,
        name: str,
        rate: Decimal,
        on_every_product: bool = True,
        tax_id: int | None = None,
    ) -> int:
        """Add a tax, by default to every product, as a store that sets up a surcharge.

        Return its id.
        """
        tax = Tax(
            id=tax_id or self.world.new_id(),
            code=name.upper()[:8],
            name=name,
            rate=rate,
        )
        self.world.taxes[tax.id] = tax
        if on_every_product:
            for product in self.world.products.values():
                product.tax_ids.append(tax.id)
        return tax.id

    @action
    def set_taxes_of(self, product_id: int, tax_ids: list[int]) -> None:
        """Set a product's taxes. A product without any is set up wrongly."""
        product = self._product(product_id)
        product.tax_ids = [_get(self.world.taxes, tax_id, "tax").id for tax_id in tax_ids]

    # --- access ---

    @action
    def expire_token(self, access_token: str | None = None) -> None:
        """Let an access token expire now. Its refresh token still gets a new one."""
        self._token(access_token).expires_at = self.world.clock.now()

    @action
    def revoke_token(self, access_token: str | None = None, revoked: bool = True) -> None:
        """Revoke an access token, or restore it."""
        self._token(access_token).revoked = revoked

    @action
    def revoke_authorisation(self) -> None:
        """Revoke the add-on's access: every access token and every refresh token."""
        for token in self.world.tokens.values():
            token.revoked = True
            self.world.dead_refresh_tokens.add(token.refresh_token)

    @action
    def take_permission(self, taken: bool = True, access_token: str | None = None) -> None:
        """Answer a token with 403, as after the user was demoted, or permit it again."""
        self._token(access_token).permitted = not taken

    @action
    def new_authorisation_code(self) -> str:
        """Return an authorisation code, valid for one exchange, as if a person had agreed."""
        return grant_code(self.world)

    # --- the platform ---

    @action
    def advance_clock(self, seconds: float) -> None:
        """Set the clock forward: orders become visible, budgets restart, tokens expire."""
        self.world.clock.advance(seconds)

    @action
    def age_orders(self, seconds: float) -> None:
        """Make the existing orders older by this many seconds."""
        age = timedelta(seconds=seconds)
        for order in self.world.orders.values():
            order.created -= age
            order.visible_at -= age
            order.gettable_at -= age

    @action
    def set_lag(self, list_seconds: float = 0.0, get_seconds: float = 0.0) -> None:
        """Set how long a new order is missing from lists, and from its own address."""
        self.world.behaviour.order_lag_seconds = list_seconds
        self.world.behaviour.get_lag_seconds = get_seconds

    @action
    def answer_created_with(self, body: CreatedBody, times: int | None = 1) -> None:
        """Set the body of the next 201s: `null`, `empty` or `resource`.

        `times` None sets it for all that follow.
        """
        behaviour = self.world.behaviour
        if times is None:
            behaviour.created_body = body
        else:
            behaviour.created_once.extend(body for _ in range(times))

    @action
    def leave_location_out(self, times: int = 1) -> None:
        """Send the next 201s without `Location`."""
        self.world.behaviour.location_missing_once = times

    @action
    def write_errors_as(self, style: ErrorStyle) -> None:
        """Set where refusals have their text."""
        self.world.behaviour.error_style = style

    # --- the site ---

    @action
    def switch_register(self, online: bool, register_id: int | None = None) -> None:
        """Switch a register, by default the pass-through one, offline or online.

        Back online, it fetches the orders that wait.
        """
        switched_id = register_id or self._site(None).pass_thru_register_id or 0
        _get(self.world.registers, switched_id, "register").online = online
        deliver(self.world)

    @action
    def switch_site(self, online: bool, site_id: int | None = None) -> None:
        """Switch all devices of a site offline or online."""
        site = self._site(site_id)
        for register in self.world.registers_of(site.id):
            register.online = online
        deliver(self.world)

    @action
    def stop_syncing(self, stopped: bool = True, site_id: int | None = None) -> None:
        """Let a site's devices stop fetching orders, or resume.

        They look online meanwhile (iOS).
        """
        self._site(site_id).syncing = not stopped
        deliver(self.world)

    @action
    def switch_ordering(self, online: bool, site_id: int | None = None) -> None:
        """Switch a site's online ordering off, as when it is overwhelmed, or on."""
        site = self._site(site_id)
        site.ordering = online
        self.world.events.append(Event("sites/updated", site.id))

    @action
    def set_pass_thru(self, register_id: int | None, site_id: int | None = None) -> None:
        """Set a site's pass-through printing register; None disables such printing."""
        if register_id is not None:
            _get(self.world.registers, register_id, "register")
        self._site(site_id).pass_thru_register_id = register_id

    @action
    def add_register(
        self,
        register_id: int,
        name: str,
        code: str = "",
        site_id: int | None = None,
    ) -> None:
        """Add a register to a site."""
        site = self._site(site_id)
        self.world.registers[register_id] = Register(register_id, code, name, site.id)

    # --- staff ---

    @action
    def staff_accept(self, order: str) -> None:
        """Let staff accept an order."""
        self._staff_set_status(order, "ACCEPTED")

    @action
    def staff_reject(self, order: str) -> None:
        """Let staff reject an order."""
        self._staff_set_status(order, "REJECTED")

    @action
    def staff_complete(self, order: str) -> None:
        """Let staff complete the sale."""
        self._staff_set_status(order, "COMPLETE")

    @action
    def staff_delete(self, order: str) -> None:
        """Let staff delete an order at the register."""
        delete(self.world, on_register(self._order(order)))

    # --- helpers ---

    def _staff_set_status(self, order: str, status: str) -> None:
        set_status(self.world, on_register(self._order(order)), status)

    def _order(self, name: str) -> Order:
        """Return the order with this id, or the latest one with this reference."""
        for order in reversed(self.world.orders.values()):
            if name in (str(order.id), order.sale_number):
                return order
        raise LookupError(f"no order {name!r}")

    def _product(self, product_id: int) -> Product:
        product = self.world.find_product(product_id)
        if product is None:
            raise LookupError(f"no product {product_id}")
        return product

    def _choices(self) -> Iterator[Choice]:
        """Yield every choice of every option set and product."""
        for option_set in self.world.option_sets.values():
            yield from option_set.options
        for product in self.world.products.values():
            yield from product.modifiers

    def _site(self, site_id: int | None) -> Site:
        return _get(self.world.sites, site_id or self.world.settings.site_id, "site")

    def _at_site(self, product_id: int, site_id: int | None) -> AtSite:
        product = self._product(product_id)
        site = self._site(site_id)
        return _get(product.sites, site.id, f"product {product_id} at site")

    def _token(self, access_token: str | None) -> Token:
        token = self.world.tokens.get(access_token or self.world.settings.access_token)
        if token is None:
            raise LookupError("no such access token")
        return token


def _get(found: dict[int, T], wanted: int, kind: str) -> T:
    if wanted not in found:
        raise LookupError(f"no {kind} {wanted}")
    return found[wanted]
