"""What the register makes of an order: does it fit the menu, what does it come to, and what do staff see?

The rules are those of the page (`docs/generic`): all that is wrong with an order of one kind is
told at once, with the lines; and the total is the store's own. Where prices leave tax out, a tax
that differs by no more than a minor unit for each line is a matter of rounding, by line or by
order, and the tax that was paid stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from tillpost.errors import MenuError, OrderError, SetupError, TaxError
from tillpost.models.menu import GroupUse, Item, Menu, ModifierOption, Tax, Variation
from tillpost.models.order import DineIn, Line, Order, PosState
from tillpost.simulator import Ledger, LedgerAmount, LedgerEntry, LedgerLine, LedgerModifier
from tillpost_generic.wire import NewOrder
from tillpost_simulators.generic.world import Refusal, StoredOrder, World

__all__ = ["Bill", "ledger", "price"]


class Bill(NamedTuple):
    """What an order comes to, and the tax that is in it or on it, in minor units."""

    total: int
    tax: int


def price(menu: Menu, new: NewOrder) -> Bill:
    """Return what the order comes to at this store; raise `Refusal` when it doesn't fit, or isn't what was paid."""
    order = new.order
    if order.currency != menu.currency:
        raise Refusal(SetupError, f"this store takes {menu.currency}, not {order.currency}")
    if order.due_at and order.due_at < order.placed_at:
        raise Refusal(OrderError, "it is due before it was placed")
    for reason, fault in _FAULTS:
        found = {
            number: item
            for number, line in enumerate(order.lines)
            if (item := fault(menu, new, line))
        }
        if found:
            names = ", ".join(order.lines[number].name for number in found)
            item = next(iter(found.values()))
            raise Refusal(
                MenuError, f"{reason}: {names}", lines=tuple(found), item=item, reason=reason
            )
    if isinstance(order.fulfilment, DineIn) and not menu.has_table(order.fulfilment.table):
        raise Refusal(MenuError, f"there is no table {order.fulfilment.table}", reason="table")
    return _bill(menu, new)


def _sold(menu: Menu, line: Line) -> tuple[Item, Variation] | None:
    return menu.by_variation.get(line.item_id)


def _options(menu: Menu, item: Item) -> dict[str, tuple[GroupUse, ModifierOption]]:
    """Return what may be chosen on the item, by id, with the group's limits there."""
    groups = {group.id: group for group in menu.groups}
    return {
        o.id: (use, o)
        for use in item.groups
        if use.group_id in groups
        for o in groups[use.group_id].options
    }


# Each returns the id at fault, or nothing. Those after `_gone` know that all is there.
def _gone(menu: Menu, _: NewOrder, line: Line) -> str:
    sold = _sold(menu, line)
    if sold is None:
        return line.item_id
    offered = _options(menu, sold[0])
    return next((m.modifier_id for m in line.modifiers if m.modifier_id not in offered), "")


def _sold_out(menu: Menu, _: NewOrder, line: Line) -> str:
    sold = _sold(menu, line)
    assert sold
    if sold[1].sold_out:
        return line.item_id
    offered = _options(menu, sold[0])
    return next((m.modifier_id for m in line.modifiers if offered[m.modifier_id][1].sold_out), "")


def _choices(menu: Menu, _: NewOrder, line: Line) -> str:
    sold = _sold(menu, line)
    assert sold
    offered = _options(menu, sold[0])
    for use in sold[0].groups:
        counts = Counter[str]()
        for m in line.modifiers:
            counts[m.modifier_id] += m.quantity if offered[m.modifier_id][0] is use else 0
        count = counts.total()
        if count < use.minimum or (use.maximum is not None and count > use.maximum):
            return line.item_id
        if use.once and max(counts.values(), default=0) > 1:
            return line.item_id
    return ""


def _quantity(menu: Menu, new: NewOrder, line: Line) -> str:
    sold = _sold(menu, line)
    assert sold
    counts = Counter[str]()
    for one in new.order.lines:
        counts[one.item_id] += one.quantity
    most = sold[1].maximum
    return line.item_id if most is not None and counts[line.item_id] > most else ""


def _price(menu: Menu, new: NewOrder, line: Line) -> str:
    sold = _sold(menu, line)
    assert sold
    offered = _options(menu, sold[0])
    paid = [(line.item_id, line.unit_price, sold[1].price)]
    paid += [(m.modifier_id, m.unit_price, offered[m.modifier_id][1].price) for m in line.modifiers]
    differ = (id_ for id_, was, asked in paid if asked not in (None, was))
    return "" if new.keep_paid else next(differ, "")


_FAULTS: tuple[tuple[str, Callable[[Menu, NewOrder, Line], str]], ...] = (
    ("gone", _gone),
    ("sold_out", _sold_out),
    ("choices", _choices),
    ("quantity", _quantity),
    ("price", _price),
)


def _bill(menu: Menu, new: NewOrder) -> Bill:
    order = new.order
    taxes = _taxes(menu, order)
    gross = sum(line.total for line in order.lines)
    goods = gross - sum(d.amount for d in order.discounts)
    left = Decimal(goods) / gross if gross else Decimal(0)  # discounts are spread over the lines
    taxed = [(line.total * left, tax) for line, tax in zip(order.lines, taxes, strict=True) if tax]
    added = _rounded(sum(amount * tax.rate for amount, tax in taxed if not tax.included))
    held = _rounded(
        sum(amount * tax.rate / (1 + tax.rate) for amount, tax in taxed if tax.included)
    )
    if abs(added - order.tax) > (len(order.lines) if added else 0):
        raise Refusal(TaxError, f"this store adds {added} of tax, the order holds {order.tax}")
    total = goods + sum(charge.amount for charge in order.charges) + order.tip + order.tax
    if total != new.expected_total:
        raise Refusal(
            MenuError, f"it comes to {total}, not to {new.expected_total}", reason="price"
        )
    return Bill(total, held + order.tax)


def _taxes(menu: Menu, order: Order) -> list[Tax | None]:
    """Return the tax of each line; raise `Refusal` when there are several on one, or one of the wrong sort."""
    on_lines: list[tuple[Tax, ...]] = []
    for line in order.lines:
        sold = _sold(menu, line)
        assert sold
        on_lines.append(menu.taxes_on(sold[0]))
    several = {number: taxes for number, taxes in enumerate(on_lines) if len(taxes) > 1}
    if several:
        names = ", ".join(dict.fromkeys(tax.name for taxes in several.values() for tax in taxes))
        raise Refusal(TaxError, f"more than one tax applies: {names}", lines=tuple(several))
    wrong = [
        n
        for n, taxes in enumerate(on_lines)
        if taxes and taxes[0].included != order.prices_include_tax
    ]
    if wrong:
        here = "leave the tax out" if order.prices_include_tax else "hold the tax"
        raise Refusal(TaxError, f"this store's prices {here}, the order's don't", lines=wrong)
    return [taxes[0] if taxes else None for taxes in on_lines]


def _rounded(amount: Decimal | int) -> int:
    return int(Decimal(amount).quantize(Decimal(1), ROUND_HALF_UP))


def ledger(world: World) -> Ledger:
    """All orders as staff would read them: an order is paid when it comes, so the register shows it at once."""
    return Ledger(entries=tuple(_entry(stored) for stored in world.orders.values()))


def _entry(stored: StoredOrder) -> LedgerEntry:
    order, cancelled = stored.order, stored.state is PosState.CANCELLED
    return LedgerEntry(
        reference=order.id,
        order_id=stored.id,
        shown=not cancelled,
        settled=True,
        cancelled=cancelled,
        state=stored.state,
        total=stored.total,
        paid=order.total,
        currency=order.currency,
        lines=tuple(_line(line) for line in order.lines),
        charges=tuple(LedgerAmount(name=c.name, amount=c.amount) for c in order.charges),
        discounts=tuple(LedgerAmount(name=d.name, amount=d.amount) for d in order.discounts),
        taxes=(LedgerAmount(name="GST", amount=stored.tax),) if stored.tax else (),
        tip=order.tip,
        ticket_name=f"{order.code} {order.customer.name if order.customer else ''}".strip(),
        note="\n".join(_notes(stored)),
        fulfilment=order.fulfilment.type,
        fulfilment_state=stored.progress,
        due_at=order.due_at.isoformat() if order.due_at else "",
    )


def _notes(stored: StoredOrder) -> Iterator[str]:
    order = stored.order
    where = order.fulfilment
    if isinstance(where, DineIn):
        yield f"TABLE {where.table}"
    elif where.type == "delivery":
        yield f"DELIVER TO: {where.address}"
        if where.instructions:
            yield where.instructions
    yield from stored.new.remarks
    if order.note:
        yield order.note


def _line(line: Line) -> LedgerLine:
    return LedgerLine(
        name=line.name,
        quantity=Decimal(line.quantity),
        unit_price=line.unit_price,
        modifiers=tuple(
            LedgerModifier(
                name=m.name,
                quantity=Decimal(m.quantity),
                unit_price=m.unit_price,
                modifier_id=m.modifier_id,
            )
            for m in line.modifiers
        ),
        note=line.note,
        item_id=line.item_id,
    )
