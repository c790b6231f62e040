"""The initial world: a company, two sites, a token and a menu with special cases.

The menu fits the sample orders: a flat white (7302, with oat milk 228) and a BLT toastie (5312). It
also has products for charges, tips and discounts, one that is at no site, one at another site only,
one hidden online, one unavailable, one without stock, one without a tax, an option set that
requires a choice, a product that mixes option sets with modifiers, and enough others for a second
page. Prices exclude tax.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from tillpost.models.money import exponent
from tillpost_simulators.kounta.clock import Clock
from tillpost_simulators.kounta.settings import KountaSettings
from tillpost_simulators.kounta.world import (
    AtSite,
    Behaviour,
    Choice,
    Customer,
    OptionSet,
    PriceList,
    Product,
    Register,
    Site,
    Tax,
    Token,
    World,
)

TAX_ID = 829
OTHER_TAX_ID = 844
REGISTER_ID = 1133132
OTHER_SITE_ID = 985

# Products that represent what has no field of its own.
SURCHARGE_ID = 9001
DELIVERY_ID = 9002
TIP_ID = 9003
DISCOUNT_ID = 9004
TICKET_ID = 9005

# Products that are special cases.
NOWHERE_ID = 8196213
ELSEWHERE_ID = 6104
HIDDEN_ID = 6106
UNAVAILABLE_ID = 6101
NO_STOCK_ID = 6102
NO_TAX_ID = 6103
BURGER_ID = 5320
MIXED_ID = 5330
TWO_TAXES_ID = 6108

# Categories.
_COFFEE = 1
_FOOD = 2
_OTHER = 3
_EXTRAS = 4
_DISHES = 5

# The first product of a large menu.
_FIRST_DISH_ID = 500_000


def new_world(settings: KountaSettings) -> World:
    """Return a world in its initial state. Without `stocked` its menu is empty."""
    clock = Clock(settings.utc_offset_hours)
    behaviour = Behaviour(
        order_lag_seconds=settings.order_lag_seconds,
        get_lag_seconds=settings.get_lag_seconds,
        created_body=settings.created_body,
        sends_location=settings.sends_location,
        error_style=settings.error_style,
    )
    world = World(settings, clock, behaviour)
    here = settings.site_id
    world.sites[here] = Site(
        here, "Cafe", "CAFE", price_list_id=236, pass_thru_register_id=REGISTER_ID
    )
    world.sites[OTHER_SITE_ID] = Site(OTHER_SITE_ID, "Kiosk", "KIOSK", price_list_id=201)
    for register in (
        Register(REGISTER_ID, "P1", "POS 1", here),
        Register(REGISTER_ID + 1, "P2", "POS 2", here),
        Register(9091, "T1", "Terminal 1", OTHER_SITE_ID),
    ):
        world.registers[register.id] = register
    world.taxes[TAX_ID] = Tax(TAX_ID, "GST", "GST", settings.tax_rate)
    world.payment_methods |= {1: "Cash", settings.payment_method_id: "Online", 13: "Card"}
    expires_at = clock.now() + timedelta(seconds=settings.token_lasts_seconds)
    world.tokens[settings.access_token] = Token(expires_at, settings.refresh_token)
    world.price_lists[201] = PriceList(201, "Store Prices")
    world.price_lists[236] = PriceList(236, "Online Prices", parent_id=201)
    world.customers[389427] = Customer(
        389427, "Jamie", "McDonald", "jamie@example.com", "+61287654321"
    )
    if settings.stocked:
        _stock(world, here)
    _add_dishes(world, settings.items)
    _convert_prices(world)
    return world


def _convert_prices(world: World) -> None:
    """Convert the stock's prices from a currency of hundredths to the company's.

    The number of minor units stays: 13.1818 AUD, 1318.18 JPY, 1.31818 KWD.
    """
    factor = Decimal(10) ** (2 - exponent(world.settings.currency))
    choices = [choice for product in world.products.values() for choice in product.modifiers]
    choices += [choice for each in world.option_sets.values() for choice in each.options]
    for product in world.products.values():
        product.unit_price *= factor
    for choice in choices:
        if choice.unit_price is not None:
            choice.unit_price *= factor
    for price_list in world.price_lists.values():
        for product_id in price_list.prices:
            price_list.prices[product_id] *= factor


def add_product(
    world: World,
    product_id: int,
    name: str,
    price: Decimal | str,
    code: str = "",
    *,
    category: int | None = None,
    sites: Sequence[int] | None = None,
    tax_ids: Sequence[int] | None = None,
) -> Product:
    """Add a product.

    `sites` None means the till's own site; `tax_ids` None means the company's tax.
    """
    at = [world.settings.site_id] if sites is None else sites
    product = Product(
        product_id,
        name,
        Decimal(price),
        code,
        tax_ids=[TAX_ID] if tax_ids is None else list(tax_ids),
        category_ids=[] if category is None else [category],
        sites={site_id: AtSite() for site_id in at},
    )
    world.products[product_id] = product
    return product


def _stock(world: World, here: int) -> None:
    world.categories |= {_COFFEE: "Coffee", _FOOD: "Food", _OTHER: "Other", _EXTRAS: "Extras"}
    world.taxes[OTHER_TAX_ID] = Tax(OTHER_TAX_ID, "WET", "Wine Equalisation Tax", Decimal("0.29"))
    both = [here, OTHER_SITE_ID]
    white = add_product(
        world, 7302, "Flat white, regular", "5", "FW-R", category=_COFFEE, sites=both
    )
    large = add_product(
        world, 7303, "Flat white, large", "5.9091", "FW-L", category=_COFFEE, sites=both
    )
    add_product(world, 7310, "Long black", "4.5455", "LB-R", category=_COFFEE, sites=both)
    add_product(world, 5312, "BLT toastie", "13.1818", "BLT", category=_FOOD)
    add_product(world, 6105, "Blueberry muffin", "4.5455", "MUF", category=_FOOD)
    # Dearer online than at the counter.
    world.price_lists[236].prices[6105] = Decimal("4.7273")
    _stock_modifiers(world, white, large)
    _stock_option_sets(world)
    _stock_oddities(world, here)
    _stock_amounts(world)
    for number in range(1, 21):
        price = Decimal(200 + 5 * number) / 110
        add_product(
            world,
            7400 + number,
            f"Tea no. {number}",
            round(price, 4),
            f"TEA-{number}",
            category=_OTHER,
        )


def _add_dishes(world: World, count: int) -> None:
    """Add products for a large menu: one in two with sides."""
    if not count:
        return
    world.categories[_DISHES] = "Dishes"
    sides = (
        add_product(world, _FIRST_DISH_ID - 2, "Chips", "4.5455", "SIDE-1", category=_DISHES),
        add_product(world, _FIRST_DISH_ID - 1, "Salad", "5.4545", "SIDE-2", category=_DISHES),
    )
    for number in range(1, count + 1):
        price = Decimal(1000 + number % 40 * 50) / 110
        dish = add_product(
            world,
            _FIRST_DISH_ID + number,
            f"Dish no. {number}",
            round(price, 4),
            f"D{number}",
            category=_DISHES,
        )
        if number % 2:
            dish.modifiers = [Choice(side.id) for side in sides]


def _stock_modifiers(world: World, *coffees: Product) -> None:
    for product_id, name, price, code in (
        (228, "Oat milk", "0.7273", "M-OAT"),
        (229, "Soy milk", "0.6364", "M-SOY"),
        (231, "Extra shot", "0.5455", "M-SHOT"),
        (3091, "Sugar", "0", "M-SUGAR"),
    ):
        add_product(world, product_id, name, price, code, category=_EXTRAS)
        for coffee in coffees:
            coffee.modifiers.append(Choice(product_id))


def _stock_option_sets(world: World) -> None:
    for product_id, name, price, code in (
        (240, "Medium", "0", "O-MED"),
        (241, "Well done", "0", "O-WELL"),
        (250, "Tomato sauce", "0", "O-TOM"),
        (251, "Aioli", "1.3636", "O-AIO"),
        (252, "Chilli sauce", "0.9091", "O-CHI"),
    ):
        add_product(world, product_id, name, price, code, category=_EXTRAS)
    world.option_sets[61] = OptionSet(61, "How cooked", 1, 1, [Choice(240), Choice(241)])
    world.option_sets[62] = OptionSet(
        62, "Sauces", 0, 2, [Choice(250), Choice(251), Choice(252, Decimal("0.4545"))]
    )
    burger = add_product(world, BURGER_ID, "Cheeseburger", "17.2727", "CB", category=_FOOD)
    burger.option_set_ids = [61, 62]
    mixed = add_product(world, MIXED_ID, "Chicken burger", "18.1818", "CHB", category=_FOOD)
    # Kounta doesn't support a product with both.
    mixed.option_set_ids = [62]
    mixed.modifiers = [Choice(231)]


def _stock_oddities(world: World, here: int) -> None:
    add_product(world, NOWHERE_ID, "Christmas pudding", "8.1818", "PUD", category=_FOOD, sites=[])
    add_product(
        world,
        ELSEWHERE_ID,
        "Avocado toast",
        "14.5455",
        "AVO",
        category=_FOOD,
        sites=[OTHER_SITE_ID],
    )
    hidden = add_product(world, HIDDEN_ID, "Staff meal", "5", "STAFF", category=_FOOD)
    hidden.sites[here].show_online = False
    unavailable = add_product(world, UNAVAILABLE_ID, "Lamington", "5.4545", "LAM", category=_FOOD)
    unavailable.sites[here].is_available = False
    none_left = add_product(world, NO_STOCK_ID, "Cheesecake", "7.2727", "CAKE", category=_FOOD)
    none_left.sites[here].stock = Decimal(0)
    add_product(world, NO_TAX_ID, "Bread loaf", "8", "LOAF", category=_FOOD, tax_ids=[])
    taxes = [TAX_ID, OTHER_TAX_ID]
    add_product(
        world, TWO_TAXES_ID, "Gruner Veltliner", "50", "WINE", category=_OTHER, tax_ids=taxes
    )


def _stock_amounts(world: World) -> None:
    """Add products for what has no field: charges, tips, discounts, notes to staff."""
    add_product(world, SURCHARGE_ID, "Weekend surcharge", "0", "X-SUR", category=_OTHER)
    add_product(world, DELIVERY_ID, "Delivery", "0", "X-DEL", category=_OTHER)
    add_product(world, TIP_ID, "Tip", "0", "X-TIP", category=_OTHER, tax_ids=[])
    add_product(world, DISCOUNT_ID, "Online discount", "0", "X-DIS", category=_OTHER)
    add_product(
        world, TICKET_ID, "Order needs attention", "0", "X-ATT", category=_OTHER, tax_ids=[]
    )
