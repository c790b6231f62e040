"""The state of one simulated company: everything that a request can see or change.

Prices are decimal, in major units, and exclude tax, as Kounta's do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tillpost_simulators.kounta.clock import Clock
from tillpost_simulators.kounta.settings import CreatedBody, ErrorStyle, KountaSettings

ZERO = Decimal(0)


@dataclass
class Tax:
    """A tax. A rate of 0.1 is ten per cent."""

    id: int
    code: str
    name: str
    rate: Decimal


@dataclass
class AtSite:
    """A product at one site. A stock of None isn't counted."""

    show_online: bool = True
    is_available: bool = True
    stock: Decimal | None = Decimal(100)


@dataclass
class Choice:
    """A product that is offered with another one.

    A price of None means the offered product's own price.
    """

    product_id: int
    unit_price: Decimal | None = None


@dataclass
class OptionSet:
    """An option set with its limits. A maximum of 0 is no limit."""

    id: int
    name: str
    minimum: int = 0
    maximum: int = 0
    options: list[Choice] = field(default_factory=list[Choice])


@dataclass
class Product:
    """A product or a modifier, which Kounta doesn't distinguish.

    A product at no site can't be ordered. A deleted one is kept for its orders.
    """

    id: int
    name: str
    unit_price: Decimal
    code: str = ""
    description: str = ""
    barcode: str = ""
    tags: list[str] = field(default_factory=list[str])
    cost_price: Decimal = ZERO
    tax_ids: list[int] = field(default_factory=list[int])
    category_ids: list[int] = field(default_factory=list[int])
    sites: dict[int, AtSite] = field(default_factory=dict[int, AtSite])
    modifiers: list[Choice] = field(default_factory=list[Choice])
    option_set_ids: list[int] = field(default_factory=list[int])
    deleted: bool = False


@dataclass
class PriceList:
    """A price list.

    A product without a price here has its price in the parent list, and finally its own.
    """

    id: int
    name: str
    parent_id: int | None = None
    prices: dict[int, Decimal] = field(default_factory=dict[int, Decimal])


@dataclass
class Register:
    """A register: a device that runs the app."""

    id: int
    code: str
    name: str
    site_id: int
    online: bool = True


@dataclass
class Site:
    """A site.

    `syncing` says whether its devices fetch new online orders, `ordering` whether it accepts any.
    """

    id: int
    name: str
    code: str
    price_list_id: int | None = None
    ordering: bool = True
    syncing: bool = True
    pass_thru_register_id: int | None = None


@dataclass
class Customer:
    """A customer of the company."""

    id: int
    first_name: str
    last_name: str = ""
    email: str = ""
    phone: str = ""
    reference_id: str = ""


@dataclass
class Token:
    """An access token, with the refresh token that was issued with it."""

    expires_at: datetime
    refresh_token: str
    revoked: bool = False
    permitted: bool = True


@dataclass
class Window:
    """One minute in which a token's requests are counted."""

    started: datetime
    count: int = 0


@dataclass
class Line:
    """A line of an order.

    `unit_price` is the price that was sent or found, for one unit without its modifiers.
    """

    id: int
    number: int
    product: Product
    quantity: Decimal
    unit_price: Decimal
    price_sent: bool = False
    notes: str | None = None
    price_variation: Decimal | None = None
    modifiers: list[int] = field(default_factory=list[int])


@dataclass
class Payment:
    """A payment for an order."""

    id: int
    number: int
    method_id: int
    amount: Decimal
    created: datetime
    ref: str | None = None


@dataclass
class Order:
    """An order.

    `sale_id` is Kounta's short name for it, `sale_number` the caller's. `sent_paid` is the sum of
    the payments that it was sent with. `reached` is set once a register has fetched it.
    """

    id: int
    sale_id: str
    site_id: int
    register_id: int
    status: str
    created: datetime
    updated: datetime
    visible_at: datetime
    gettable_at: datetime
    placed_at: str
    lines: list[Line]
    payments: list[Payment]
    sent_paid: Decimal
    sale_number: str = ""
    order_type: str | None = None
    guests: int | None = None
    customer_id: int | None = None
    notes: str | None = None
    price_variation: Decimal | None = None
    callback_uri: str | None = None
    fulfil_at: str | None = None
    lock: list[str] = field(default_factory=list[str])
    complete_when_paid: bool = False
    reached: bool = False
    deleted: bool = False
    stock_taken: bool = False

    @property
    def paid(self) -> Decimal:
        """The sum of its payments, tax included."""
        return sum((payment.amount for payment in self.payments), ZERO)


@dataclass
class Webhook:
    """A subscription to a topic."""

    id: int
    topic: str
    address: str
    format: str
    created: datetime
    updated: datetime
    filter: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class Event:
    """A change of an order or a site for which no webhook was sent yet."""

    topic: str
    site_id: int
    order_id: int | None = None


@dataclass
class Behaviour:
    """How Kounta behaves at the moment.

    `created_once` holds the bodies of the next 201s; `created_body` is for those after them.
    """

    order_lag_seconds: float
    get_lag_seconds: float
    created_body: CreatedBody
    sends_location: bool
    error_style: ErrorStyle
    created_once: list[CreatedBody] = field(default_factory=list[CreatedBody])
    location_missing_once: int = 0


@dataclass
class World:
    """The state of one company at Kounta.

    `oddities` are fields with which products are answered instead of their own, by product id.
    """

    settings: KountaSettings
    clock: Clock
    behaviour: Behaviour
    sites: dict[int, Site] = field(default_factory=dict[int, Site])
    registers: dict[int, Register] = field(default_factory=dict[int, Register])
    taxes: dict[int, Tax] = field(default_factory=dict[int, Tax])
    categories: dict[int, str] = field(default_factory=dict[int, str])
    products: dict[int, Product] = field(default_factory=dict[int, Product])
    oddities: dict[int, dict[str, object]] = field(default_factory=dict[int, dict[str, object]])
    option_sets: dict[int, OptionSet] = field(default_factory=dict[int, OptionSet])
    price_lists: dict[int, PriceList] = field(default_factory=dict[int, PriceList])
    payment_methods: dict[int, str] = field(default_factory=dict[int, str])
    customers: dict[int, Customer] = field(default_factory=dict[int, Customer])
    orders: dict[int, Order] = field(default_factory=dict[int, Order])
    webhooks: dict[int, Webhook] = field(default_factory=dict[int, Webhook])
    tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    codes: set[str] = field(default_factory=set[str])
    dead_refresh_tokens: set[str] = field(default_factory=set[str])
    windows: dict[str, Window] = field(default_factory=dict[str, Window])
    events: list[Event] = field(default_factory=list[Event])
    outage: bool = False
    made: int = 0

    def new_id(self) -> int:
        """Return a new id, the same in every run."""
        self.made += 1
        return 70_000_000 + self.made

    def find_product(self, product_id: int) -> Product | None:
        """Return the product with this id, or None if there is none or it is deleted."""
        product = self.products.get(product_id)
        return None if product is None or product.deleted else product

    def taxes_of(self, product: Product) -> list[Tax]:
        """Return the taxes of a product."""
        return [self.taxes[tax_id] for tax_id in product.tax_ids if tax_id in self.taxes]

    def tax_rate_of(self, product: Product) -> Decimal:
        """Return the sum of a product's tax rates.

        unconfirmed: that two taxes are added up and not compounded; a product with two would show.
        """
        return sum((tax.rate for tax in self.taxes_of(product)), ZERO)

    def price_of(self, product: Product, site: Site) -> Decimal:
        """Return a product's price at a site.

        It is the price in the nearest price list that has one, otherwise the product's own.
        """
        seen: set[int] = set()
        list_id = site.price_list_id
        while list_id in self.price_lists and list_id not in seen:
            seen.add(list_id)
            price_list = self.price_lists[list_id]
            if product.id in price_list.prices:
                return price_list.prices[product.id]
            list_id = price_list.parent_id
        return product.unit_price

    def choice_price(self, product: Product, modifier: Product, site: Site) -> Decimal:
        """Return the price of a modifier with a product.

        The product or its option sets may set it; otherwise it is the modifier's own.
        """
        choices = list(product.modifiers)
        for option_set in self.option_sets_of(product):
            choices += option_set.options
        for choice in choices:
            if choice.product_id == modifier.id and choice.unit_price is not None:
                return choice.unit_price
        return self.price_of(modifier, site)

    def option_sets_of(self, product: Product) -> list[OptionSet]:
        """Return a product's option sets."""
        known = self.option_sets
        return [known[set_id] for set_id in product.option_set_ids if set_id in known]

    def registers_of(self, site_id: int) -> list[Register]:
        """Return a site's registers."""
        return [register for register in self.registers.values() if register.site_id == site_id]

    def has_device_online(self, site_id: int) -> bool:
        """Return whether at least one device of a site is online."""
        return any(register.online for register in self.registers_of(site_id))
