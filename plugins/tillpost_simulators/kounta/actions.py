"""What can happen to a company at Kounta between two requests: the menu drifts, staff act, devices stop.

Every action can be called on the simulator in a test, and by name on its control address. Orders
are named by their id or by the caller's reference; prices are decimal and exclude tax. A name or id
that isn't known raises LookupError.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from tillpost.simulator import Simulator, action
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


class CompanyActions(Simulator):
    """The actions, over the world that the simulator holds."""

    @property
    @abstractmethod
    def world(self) -> World:
        """The present state. Hold `lock` while reading it from another thread."""

    @abstractmethod
    def tell(self) -> None:
        """Sends what the world has to tell."""

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
        """Adds a product, at the till's own site and with the company's tax unless told otherwise."""
        if self.world.find(product_id):
            raise ValueError(f"there is a product {product_id} already")
        stock.add_product(
            self.world, product_id, name, price, code, sites=site_ids, tax_ids=tax_ids
        )

    @action
    def remove_product(self, product_id: int) -> None:
        """Deletes a product."""
        self._product(product_id).deleted = True

    @action
    def recreate_product(self, product_id: int, new_id: int | None = None) -> int:
        """Deletes a product and makes it again with the same code, name and price: the drift. Returns its new id."""
        old, world = self._product(product_id), self.world
        new = replace(
            old,
            id=new_id or world.new_id(),
            sites={key: replace(at) for key, at in old.sites.items()},
        )
        old.deleted, world.products[new.id] = True, new
        for prices in world.price_lists.values():
            if old.id in prices.prices:
                prices.prices[new.id] = prices.prices.pop(old.id)
        sets = [each.options for each in world.option_sets.values()]
        for choices in (*sets, *(product.modifiers for product in world.products.values())):
            for choice in choices:
                choice.product_id = new.id if choice.product_id == old.id else choice.product_id
        return new.id

    @action
    def rename_product(self, product_id: int, name: str) -> None:
        """Gives a product another name."""
        self._product(product_id).name = name

    @action
    def change_price(
        self, product_id: int, price: Decimal, price_list_id: int | None = None
    ) -> None:
        """Changes a product's own price, or that in a price list."""
        product = self._product(product_id)
        if price_list_id is None:
            product.unit_price = price
        else:
            _of(self.world.price_lists, price_list_id, "price list").prices[product_id] = price

    @action
    def withdraw(self, product_id: int, withdrawn: bool = True, site_id: int | None = None) -> None:
        """Takes a product off a site (the till's own), or puts it back."""
        product, here = self._product(product_id), self._site(site_id).id
        if withdrawn:
            product.sites.pop(here, None)
        else:
            product.sites.setdefault(here, AtSite())

    @action
    def sell_out(self, product_id: int, sold_out: bool = True, site_id: int | None = None) -> None:
        """Marks a product as unavailable at a site (the till's own), or as back."""
        self._at(product_id, site_id).is_available = not sold_out

    @action
    def hide_online(self, product_id: int, hidden: bool = True, site_id: int | None = None) -> None:
        """Takes a product out of the site's online menu (`show_online`), or puts it back."""
        self._at(product_id, site_id).show_online = not hidden

    @action
    def set_stock(
        self, product_id: int, quantity: Decimal | None, site_id: int | None = None
    ) -> None:
        """Sets what a site has of a product; None: it isn't counted."""
        self._at(product_id, site_id).stock = quantity

    @action
    def add_option_set(
        self, set_id: int, name: str, options: list[int], minimum: int = 0, maximum: int = 0
    ) -> None:
        """Adds an option set of products. A maximum of 0 is none."""
        choices = [Choice(self._product(product_id).id) for product_id in options]
        self.world.option_sets[set_id] = OptionSet(set_id, name, minimum, maximum, choices)

    @action
    def set_options_of(
        self,
        product_id: int,
        option_set_ids: list[int] | None = None,
        modifier_ids: list[int] | None = None,
    ) -> None:
        """Sets a product's option sets, its modifiers, or both, which is a setup that Kounta doesn't support."""
        product = self._product(product_id)
        if option_set_ids is not None:
            product.option_set_ids = [
                _of(self.world.option_sets, each, "option set").id for each in option_set_ids
            ]
        if modifier_ids is not None:
            product.modifiers = [Choice(self._product(each).id) for each in modifier_ids]

    @action
    def add_tax(
        self, name: str, rate: Decimal, on_every_product: bool = True, tax_id: int | None = None
    ) -> int:
        """Adds a tax, by default to every product as well: a surcharge in disguise. Returns its id."""
        tax = Tax(tax_id or self.world.new_id(), name.upper()[:8], name, rate)
        self.world.taxes[tax.id] = tax
        if on_every_product:
            for product in self.world.products.values():
                product.tax_ids.append(tax.id)
        return tax.id

    @action
    def set_taxes_of(self, product_id: int, tax_ids: list[int]) -> None:
        """Sets a product's taxes; none at all is a fault of setup."""
        self._product(product_id).tax_ids = [
            _of(self.world.taxes, tax_id, "tax").id for tax_id in tax_ids
        ]

    # --- access ---

    @action
    def expire_token(self, access_token: str | None = None) -> None:
        """Makes an access token (the till's own) expire now. A refresh token still gets a new one."""
        self._token(access_token).expires_at = self.world.clock.now()

    @action
    def revoke_token(self, access_token: str | None = None, revoked: bool = True) -> None:
        """Revokes an access token (the till's own), or restores it."""
        self._token(access_token).revoked = revoked

    @action
    def revoke_authorisation(self) -> None:
        """Withdraws the add-on's access altogether: every access token and every refresh token."""
        for token in self.world.tokens.values():
            token.revoked = True
            self.world.dead_refresh_tokens.add(token.refresh_token)

    @action
    def take_permission(self, taken: bool = True, access_token: str | None = None) -> None:
        """Answers a token (the till's own) with 403, as when who connected was demoted, or lets it in again."""
        self._token(access_token).permitted = not taken

    @action
    def new_authorisation_code(self) -> str:
        """An authorisation code, as if a person had agreed; good for one exchange."""
        return grant_code(self.world)

    # --- the platform ---

    @action
    def set_outage(self, down: bool = True) -> None:
        """Puts the platform out of order, so that everything is answered with 503, or back."""
        self.world.outage = down

    @action
    def advance_clock(self, seconds: float) -> None:
        """Sets the platform's clock forward: orders become visible, budgets start anew, tokens expire."""
        self.world.clock.advance(seconds)

    @action
    def age_orders(self, seconds: float) -> None:
        """Lets the orders that are there have been made that much earlier."""
        for order in self.world.orders.values():
            order.created -= timedelta(seconds=seconds)
            order.visible_at -= timedelta(seconds=seconds)
            order.gettable_at -= timedelta(seconds=seconds)

    @action
    def set_lag(self, list_seconds: float = 0.0, get_seconds: float = 0.0) -> None:
        """How long each new order stays out of lists, and out of its own address."""
        self.world.behaviour.order_lag_seconds = list_seconds
        self.world.behaviour.get_lag_seconds = get_seconds

    @action
    def answer_created_with(self, body: CreatedBody, times: int | None = 1) -> None:
        """What the next 201s hold: `null`, `empty` or `resource`. `times` None: from now on."""
        if times is None:
            self.world.behaviour.created_body = body
        else:
            self.world.behaviour.created_once.extend(body for _ in range(times))

    @action
    def leave_location_out(self, times: int = 1) -> None:
        """Lets the next 201s go without `Location`."""
        self.world.behaviour.location_missing_once = times

    @action
    def write_errors_as(self, style: ErrorStyle) -> None:
        """Where the text of refusals sits from now on."""
        self.world.behaviour.error_style = style

    # --- the site ---

    @action
    def switch_register(self, online: bool, register_id: int | None = None) -> None:
        """Takes a register (the site's pass-through one) offline, or back online: it then fetches what waits."""
        wanted = register_id or self._site(None).pass_thru_register_id or 0
        _of(self.world.registers, wanted, "register").online = online
        deliver(self.world)

    @action
    def switch_site(self, online: bool, site_id: int | None = None) -> None:
        """Takes all of a site's devices (the till's own) out of use, or puts them back."""
        for register in self.world.registers_of(self._site(site_id).id):
            register.online = online
        deliver(self.world)

    @action
    def stop_syncing(self, stopped: bool = True, site_id: int | None = None) -> None:
        """Lets a site's devices stop fetching online orders while they look fine (iOS), or start again."""
        self._site(site_id).syncing = not stopped
        deliver(self.world)

    @action
    def switch_ordering(self, online: bool, site_id: int | None = None) -> None:
        """Lets a site (the till's own) switch online ordering off, as when it is overwhelmed, or on."""
        site = self._site(site_id)
        site.ordering = online
        self.world.events.append(Event("sites/updated", site.id))
        self.tell()

    @action
    def set_pass_thru(self, register_id: int | None, site_id: int | None = None) -> None:
        """Names a site's pass-through printing register, or with None disables such printing."""
        if register_id is not None:
            _of(self.world.registers, register_id, "register")
        self._site(site_id).pass_thru_register_id = register_id

    @action
    def add_register(
        self, register_id: int, name: str, code: str = "", site_id: int | None = None
    ) -> None:
        """Adds a register to a site."""
        self.world.registers[register_id] = Register(
            register_id, code, name, self._site(site_id).id
        )

    # --- staff ---

    @action
    def staff_accept(self, order: str) -> None:
        """Staff accept an order that the register shows."""
        self._staff(order, "ACCEPTED")

    @action
    def staff_reject(self, order: str) -> None:
        """Staff turn an order down."""
        self._staff(order, "REJECTED")

    @action
    def staff_complete(self, order: str) -> None:
        """Staff finish the sale."""
        self._staff(order, "COMPLETE")

    @action
    def staff_delete(self, order: str) -> None:
        """Staff delete an order at the register."""
        delete(self.world, on_register(self._order(order)))
        self.tell()

    def _staff(self, order: str, status: str) -> None:
        set_status(self.world, on_register(self._order(order)), status)
        self.tell()

    def _order(self, order: str) -> Order:
        """The order under an id, or the latest that carries a reference."""
        for one in reversed(self.world.orders.values()):
            if order in (str(one.id), one.sale_number):
                return one
        raise LookupError(f"no order {order!r}")

    def _product(self, product_id: int) -> Product:
        product = self.world.find(product_id)
        if product is None:
            raise LookupError(f"no product {product_id}")
        return product

    def _site(self, site_id: int | None) -> Site:
        return _of(self.world.sites, site_id or self.world.settings.site_id, "site")

    def _at(self, product_id: int, site_id: int | None) -> AtSite:
        return _of(
            self._product(product_id).sites, self._site(site_id).id, f"product {product_id} at site"
        )

    def _token(self, access_token: str | None) -> Token:
        token = self.world.tokens.get(access_token or self.world.settings.access_token)
        if token is None:
            raise LookupError("no such access token")
        return token


def _of(things: dict[int, T], thing_id: int, kind: str) -> T:
    if thing_id not in things:
        raise LookupError(f"no {kind} {thing_id}")
    return things[thing_id]
