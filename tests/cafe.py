"""A small known menu: coffee in two sizes with a milk, and a toastie. Prices are cents."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tillpost.models.menu import GroupUse, Item, Menu, ModifierGroup, ModifierOption, Tax, Variation
from tillpost.models.order import Line, Modifier, Order, Payment

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OAT = ModifierOption(id="oat", sku="M-OAT", name="Oat milk", price=80)
SOY = ModifierOption(id="soy", sku="M-SOY", name="Soy milk", price=80)
MILK = ModifierGroup(id="milk", name="Milk", options=(OAT, SOY))
BREAD = ModifierGroup(
    id="bread", name="Bread", options=(ModifierOption(id="rye", sku="RYE", name="Rye", price=50),)
)
GST = Tax(id="gst", name="GST", rate=Decimal("0.1"), included=True)
WHITE = Item(
    id="white",
    name="Flat white",
    variations=(
        Variation(id="fw-r", sku="FW-R", name="regular", price=550),
        Variation(id="fw-l", sku="FW-L", name="large", price=650),
    ),
    groups=(GroupUse(group_id="milk", maximum=1),),
    tax_ids=("gst",),
)
TOASTIE = Item(
    id="toastie",
    name="BLT toastie",
    variations=(Variation(id="blt", price=1450),),
    tax_ids=("gst",),
)
MENU = Menu(
    site="cafe",
    currency="AUD",
    imported_at=NOON,
    items=(WHITE, TOASTIE),
    groups=(MILK, BREAD),
    taxes=(GST,),
)

COFFEE = Line(item_id="fw-r", sku="FW-R", name="Flat white, regular", quantity=2, unit_price=550)
BLT = Line(item_id="blt", name="BLT toastie", quantity=1, unit_price=1450)
OAT_MILK = Modifier(modifier_id="oat", sku="M-OAT", name="Oat milk", unit_price=80)
GONE = Line(item_id="old", name="Pumpkin soup", quantity=1, unit_price=1200)


def order_of(*lines: Line, prices_include_tax: bool = True) -> Order:
    """Return a paid order of these lines and nothing else."""
    return Order(
        id="order-1",
        code="B42",
        placed_at=NOON,
        currency="AUD",
        prices_include_tax=prices_include_tax,
        lines=lines,
        payments=(Payment(method="card", amount=sum(line.total for line in lines)),),
    )


def menu_with(item: Item, *more: Item, **changes: object) -> Menu:
    """Return the café's menu with only these items, and other changes."""
    return MENU.model_copy(update={"items": (item, *more), **changes})
