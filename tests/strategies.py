"""Hypothesis strategies for valid models: `menus`, `orders`, and `orders_from` a menu.

All ids, SKUs and names within a menu are unique, so each entry can be matched by each of the three.
Amounts are minor units. `renumbered` gives a menu new ids, as when a store rebuilds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import strategies as st

from tillpost.models.menu import (
    GroupUse,
    Item,
    Menu,
    ModifierGroup,
    ModifierOption,
    Tax,
    Variation,
    display_name,
)
from tillpost.models.order import (
    Address,
    Charge,
    Curbside,
    Customer,
    Delivery,
    DineIn,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    Order,
    OrderTax,
    Payment,
    Pickup,
)

CURRENCIES = ("AUD", "USD", "EUR", "JPY", "KWD")
ZONES = tuple(timezone(timedelta(hours=hours)) for hours in (-8, 0, 1, 11))

texts = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_categories=["Cc", "Cf", "Cs"]),
    max_size=20,
)
names = texts.filter(lambda text: bool(text.strip()))
prices = st.integers(0, 50_000)
counts = st.integers(1, 20)
MOST_OF_ONE = 60
"""A menu's limit for one order, where it has one: three lines of the most that `counts` draws."""
order_ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
currencies = st.sampled_from(CURRENCIES)
times = st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.sampled_from(ZONES))


def addresses() -> st.SearchStrategy[Address]:
    """Draw delivery addresses."""
    return st.builds(
        Address,
        line1=names,
        city=texts,
        postcode=texts,
        country=st.sampled_from(["AU", "US", None]),
    )


def fulfilments(tables: Sequence[str] | None = None) -> st.SearchStrategy[Fulfilment]:
    """Draw pickup, delivery or dine-in, due at a time or at once; at any or one of `tables`."""
    due = st.none() | times
    curbside = st.none() | st.builds(Curbside, details=texts)
    guests = st.none() | st.integers(1, 999)
    ways = [
        st.builds(Pickup, due_at=due, curbside=curbside),
        st.builds(Delivery, due_at=due, address=addresses(), instructions=texts),
    ]
    named = names if tables is None else st.sampled_from(tables) if tables else st.nothing()
    return st.one_of(*ways, st.builds(DineIn, due_at=due, table=named, guests=guests))


def modifiers(
    nested: st.SearchStrategy[Sequence[Modifier]] | None = None,
) -> st.SearchStrategy[Modifier]:
    """Draw modifiers of no menu, some of them with others on them."""
    return st.builds(
        Modifier,
        modifier_id=names,
        sku=texts,
        name=texts,
        quantity=st.integers(1, 3),
        unit_price=prices,
        modifiers=st.just(()) if nested is None else nested,
    )


nested_modifiers = st.lists(
    modifiers(st.lists(modifiers(st.lists(modifiers(), max_size=1)), max_size=2)), max_size=2
)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Draw lines of no menu: with an id or open, with discounts, and with a cheaper choice."""
    price = draw(prices)
    choices = draw(nested_modifiers)
    cheaper = draw(st.integers(-price, 0))
    if draw(st.booleans()):
        choices = [*choices, Modifier(modifier_id="smaller", name="Smaller", unit_price=cheaper)]
    is_open = draw(st.booleans())
    line = Line(
        item_id="" if is_open else draw(names),
        sku=draw(texts),
        name=draw(names if is_open else texts),
        quantity=draw(counts),
        unit_price=price,
        modifiers=() if is_open else choices,
        note=draw(texts),
    )
    return draw(with_discounts(line))


@st.composite
def with_discounts(draw: st.DrawFn, line: Line) -> Line:
    """Draw a line with no discount, or up to two."""
    return line.model_copy(update={"discounts": tuple(draw(discounts(line.total)))})


@st.composite
def discounts(draw: st.DrawFn, most: int) -> list[Discount]:
    """Draw no discount, or up to two that take off at most an amount."""
    first = draw(st.just(0) | st.integers(0, most))
    second = draw(st.just(0) | st.integers(0, most - first))
    return [Discount(name=draw(names), amount=off) for off in (first, second) if off]


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    """Draw a charge, taxed or not, at full price or less; or a rounding."""
    kind = draw(st.sampled_from(["surcharge", "delivery", "service", "rounding"]))
    if kind == "rounding":
        return Charge(kind="rounding", name=draw(names), amount=draw(st.integers(0, 4)))
    amount = draw(prices)
    return Charge.model_validate(
        {
            "kind": kind,
            "name": draw(names),
            "amount": amount,
            "taxed": draw(st.booleans()),
            "discounts": draw(discounts(amount)),
        }
    )


@st.composite
def order_taxes(draw: st.DrawFn, whole: int) -> list[OrderTax]:
    """Draw no taxes, or some that add up to an amount."""
    if draw(st.booleans()):
        return []
    first = draw(st.integers(0, whole))
    rates = st.none() | st.decimals(0, 1, places=4)
    return [
        OrderTax(name=name, rate=draw(rates), amount=amount)
        for name, amount in (("GST", first), ("PST", whole - first))
    ]


@st.composite
def orders(
    draw: st.DrawFn,
    *,
    currency: str | None = None,
    prices_include_tax: bool | None = None,
    sold: st.SearchStrategy[Sequence[Line]] | None = None,
    tables: Sequence[str] | None = None,
    rate: Decimal | None = None,
) -> Order:
    """Draw orders in the whole format: paid in one or two payments, in part, or not yet.

    `sold` draws the lines. With `tables`, a dine-in order is for one of them. `rate` is that of the
    tax on the lines; without it the added tax is any amount.
    """
    bought = draw(st.lists(lines(), min_size=1, max_size=3) if sold is None else sold)
    included = draw(st.booleans()) if prices_include_tax is None else prices_include_tax
    beside = draw(st.lists(charges(), max_size=2))
    off = draw(discounts(sum(line.discounted for line in bought)))
    tip, tax = draw(prices), 0 if included else draw(prices)
    if rate is not None and not included:
        tax = round(rate * sum(line.discounted for line in bought))
    total = sum(line.discounted for line in bought) + sum(charge.total for charge in beside)
    total += tip + tax - sum(discount.amount for discount in off)
    if total and draw(st.booleans()):
        rounding = Charge(kind="rounding", name="Rounding", amount=-1)
        beside, total = [*beside, rounding], total - 1
    due = draw(st.just(0) | st.integers(0, total))
    paid = total - due
    first = draw(st.just(paid) | st.integers(0, paid))
    in_taxes = draw(st.integers(0, total)) if included else tax
    return Order(
        id=draw(order_ids),
        code=draw(names),
        placed_at=draw(times),
        currency=currency or draw(currencies),
        prices_include_tax=included,
        customer=draw(st.none() | st.builds(Customer, name=names, phone=texts)),
        fulfilment=draw(fulfilments(tables)),
        lines=bought,
        charges=beside,
        discounts=off,
        tip=tip,
        tax=tax,
        taxes=draw(order_taxes(in_taxes)),
        amount_due=due,
        payments=[Payment(method="card", amount=part) for part in (first, paid - first) if part],
        note=draw(texts),
        metadata=draw(st.dictionaries(names, texts, max_size=2)),
    )


@st.composite
def menus(
    draw: st.DrawFn,
    *,
    currency: str | None = None,
    tax_included: bool | None = None,
    skus: bool | None = None,
) -> Menu:
    """Draw valid menus with one tax for each item; `skus` says whether there are SKUs."""
    labelled = draw(st.booleans()) if skus is None else skus
    included = draw(st.booleans()) if tax_included is None else tax_included
    groups = tuple(
        ModifierGroup(
            id=f"group-{g}",
            name=f"Group {g}",
            options=tuple(
                ModifierOption(
                    id=f"option-{g}-{o}",
                    sku=f"O-{g}-{o}" if labelled else "",
                    name=f"Option {g}.{o}",
                    price=draw(prices),
                )
                for o in range(draw(st.integers(2, 4)))
            ),
        )
        for g in range(draw(st.integers(0, 2)))
    )
    uses = tuple(
        GroupUse(
            group_id=group.id,
            minimum=draw(st.integers(0, 2)),
            maximum=draw(st.none() | st.integers(2, 4)),
        )
        for group in groups
    )
    items = tuple(
        Item(
            id=f"item-{i}",
            name=f"Item {i}",
            variations=tuple(
                Variation(
                    id=f"variation-{i}-{v}",
                    sku=f"V-{i}-{v}" if labelled else "",
                    name=f"Size {v}",
                    price=draw(prices),
                    maximum=draw(st.none() | st.just(MOST_OF_ONE)),
                )
                for v in range(draw(st.integers(1, 3)))
            ),
            groups=tuple(use for use in uses if draw(st.booleans())),
            tax_ids=("tax",),
        )
        for i in range(draw(st.integers(1, 4)))
    )
    return Menu(
        site="site",
        currency=currency or draw(currencies),
        imported_at=datetime(2026, 11, 23, tzinfo=UTC),
        items=items,
        groups=groups,
        taxes=(Tax(id="tax", name="GST", rate=Decimal("0.1"), included=included),),
        tables=draw(st.none() | st.lists(names, max_size=3).map(tuple)),
    )


@st.composite
def lines_from(draw: st.DrawFn, menu: Menu) -> Sequence[Line]:
    """Draw lines that the menu allows, at its prices and within its limits; some are open."""
    sold = draw(st.lists(st.sampled_from(list(menu.by_variation.values())), min_size=1, max_size=3))
    bought = [
        Line(
            item_id=variation.id,
            sku=variation.sku,
            name=display_name(item, variation),
            quantity=draw(counts),
            unit_price=variation.price or 0,
            modifiers=draw(_nesting(_choices_of(draw, menu, item))),
        )
        for item, variation in sold
    ]
    if draw(st.booleans()):
        bought.append(Line(name="Corkage", quantity=draw(counts), unit_price=draw(prices)))
    return [draw(with_discounts(line)) for line in bought]


def _choices_of(draw: st.DrawFn, menu: Menu, item: Item) -> list[Modifier]:
    return [draw(_choices(menu, use)) for use in item.groups if use.minimum or draw(st.booleans())]


@st.composite
def _nesting(draw: st.DrawFn, chosen: Sequence[Modifier]) -> Sequence[Modifier]:
    """Draw whether the others are on the first, of which there is one, or all on the line."""
    if not chosen or chosen[0].quantity != 1 or draw(st.booleans()):
        return chosen
    first, *others = chosen
    return [first.model_copy(update={"modifiers": tuple(others)})]


@st.composite
def _choices(draw: st.DrawFn, menu: Menu, use: GroupUse) -> Modifier:
    """Draw one option of a group, in a quantity within its limits."""
    option = draw(st.sampled_from(menu.group_by_id[use.group_id].options))
    many = draw(st.integers(max(1, use.minimum), 4 if use.maximum is None else use.maximum))
    return Modifier(
        modifier_id=option.id,
        sku=option.sku,
        name=option.name,
        quantity=many,
        unit_price=option.price or 0,
    )


def orders_from(menu: Menu) -> st.SearchStrategy[Order]:
    """Draw orders from a menu, at its prices, in its currency and with its tax."""
    return orders(
        currency=menu.currency,
        prices_include_tax=all(tax.included for tax in menu.taxes),
        sold=lines_from(menu),
        tables=menu.tables,
        rate=sum((tax.rate for tax in menu.taxes), Decimal(0)),
    )


def renumbered(menu: Menu) -> Menu:
    """Return the same menu with new ids; names, SKUs and prices are unchanged."""
    groups = tuple(
        group.model_copy(
            update={
                "id": f"new-{group.id}",
                "options": tuple(o.model_copy(update={"id": f"new-{o.id}"}) for o in group.options),
            }
        )
        for group in menu.groups
    )
    items = tuple(
        item.model_copy(
            update={
                "id": f"new-{item.id}",
                "variations": tuple(
                    v.model_copy(update={"id": f"new-{v.id}"}) for v in item.variations
                ),
                "groups": tuple(
                    u.model_copy(update={"group_id": f"new-{u.group_id}"}) for u in item.groups
                ),
            }
        )
        for item in menu.items
    )
    return menu.model_copy(update={"groups": groups, "items": items})
