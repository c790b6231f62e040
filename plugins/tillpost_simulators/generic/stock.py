"""The menu that the simulated store starts with, a small café's.

Prices are in minor units. The menu fits the sample orders: a flat white (7302, with oat milk 228)
and a BLT toastie (5312). It also has one item for each special case: one that is sold out, one that
is free, one that is priced at the register, a burger that requires a choice, and 20 tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from tillpost.models.menu import GroupUse, Item, Menu, ModifierGroup, ModifierOption, Tax, Variation

__all__ = ["TAX_ID", "stocked_menu"]

TAX_ID = "TAX-GST"


class _Settings(Protocol):
    @property
    def currency(self) -> str: ...
    @property
    def tax_inclusive(self) -> bool: ...
    @property
    def tax_percentage(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def items(self) -> int: ...


def stocked_menu(settings: _Settings) -> Menu:
    """Return the menu. Every item has the one tax of the store."""
    rate = Decimal(settings.tax_percentage) / 100
    return Menu(
        site=settings.site,
        currency=settings.currency,
        imported_at=datetime.now(UTC),
        items=(*_ITEMS, *_dishes(settings.items)),
        groups=(*_GROUPS, _SIDES) if settings.items else _GROUPS,
        taxes=(Tax(id=TAX_ID, name="GST", rate=rate, included=settings.tax_inclusive),),
        tables=tuple(str(number) for number in range(1, 21)),
    )


def _item(
    item_id: str,
    name: str,
    category: str,
    *variations: Variation,
    groups: tuple[GroupUse, ...] = (),
) -> Item:
    return Item(
        id=item_id,
        name=name,
        categories=(category,),
        variations=variations,
        groups=groups,
        tax_ids=(TAX_ID,),
    )


def _variation(
    variation_id: str,
    sku: str,
    price: int | None,
    *,
    name: str = "Regular",
    sold_out: bool = False,
) -> Variation:
    return Variation(id=variation_id, sku=sku, name=name, price=price, sold_out=sold_out)


def _option(
    option_id: str,
    name: str,
    price: int,
    *,
    sku: str = "",
    sold_out: bool = False,
) -> ModifierOption:
    return ModifierOption(id=option_id, sku=sku, name=name, price=price, sold_out=sold_out)


def _dishes(count: int) -> Iterator[Item]:
    """Yield items for a large menu: one in three in two sizes, one in two with sides."""
    sides = GroupUse(group_id=_SIDES.id, maximum=2)
    for number in range(1, count + 1):
        price = 1000 + number % 40 * 50
        sizes = (
            _variation(f"DISH-{number}", f"D{number}", price),
            _variation(f"DISH-{number}-L", f"D{number}-L", price + 400, name="Large"),
        )
        yield _item(
            f"ITEM-DISH-{number}",
            f"Dish no. {number}",
            "Dishes",
            *sizes[: 1 if number % 3 else 2],
            groups=(sides,) if number % 2 else (),
        )


_MILK = GroupUse(group_id="MILK", maximum=1)
_EXTRAS = GroupUse(group_id="EXTRAS", maximum=3)

_GROUPS = (
    ModifierGroup(
        id="MILK",
        name="Milk",
        maximum=1,
        options=(
            _option("228", "Oat milk", 80, sku="M-OAT"),
            _option("229", "Soy milk", 70),
            _option("230", "Almond milk", 80, sold_out=True),
        ),
    ),
    ModifierGroup(
        id="EXTRAS",
        name="Extras",
        maximum=3,
        options=(_option("231", "Extra shot", 60), _option("232", "Vanilla syrup", 70)),
    ),
    ModifierGroup(
        id="COOKING",
        name="How cooked",
        minimum=1,
        maximum=1,
        options=(_option("240", "Medium", 0), _option("241", "Well done", 0)),
    ),
    ModifierGroup(
        id="SAUCES",
        name="Sauces",
        maximum=2,
        options=(
            _option("250", "Tomato sauce", 0),
            _option("251", "Aioli", 150),
            _option("252", "Chilli sauce", 100),
        ),
    ),
)

_SIDES = ModifierGroup(
    id="SIDES",
    name="Sides",
    maximum=2,
    options=(_option("SIDE-1", "Chips", 500), _option("SIDE-2", "Salad", 600)),
)

_ITEMS = (
    _item(
        "FLAT-WHITE",
        "Flat white",
        "Coffee",
        _variation("7302", "FW-R", 550, name="regular"),
        _variation("7303", "FW-L", 650, name="large"),
        groups=(_MILK, _EXTRAS),
    ),
    _item("LONG-BLACK", "Long black", "Coffee", _variation("7310", "LB-R", 500), groups=(_EXTRAS,)),
    _item("TOASTIE", "BLT toastie", "Food", _variation("5312", "BLT", 1450)),
    _item(
        "BURGER",
        "Cheeseburger",
        "Food",
        _variation("5320", "CB", 1900),
        groups=(
            GroupUse(group_id="COOKING", minimum=1, maximum=1),
            GroupUse(group_id="SAUCES", maximum=2),
        ),
    ),
    _item("LAMINGTON", "Lamington", "Food", _variation("6101", "LAM", 600, sold_out=True)),
    _item("WATER", "Tap water", "Other", _variation("6102", "WATER", 0, name="Glass")),
    _item("CAKE", "Cake of the day", "Food", _variation("6103", "CAKE", None, name="Whole")),
    _item("MUFFIN", "Blueberry muffin", "Food", _variation("6105", "MUF", 520)),
)
