"""What an order comes to: discounts, service charges and taxes, in the sequence that Square documents.

In: an order whose lines have their base prices. Out: the same order with every computed amount
filled in. All amounts are integers; percentages are decimals, and every rounding is half to even
(developer documentation: Order price adjustments). The sequence of discounts is documented too: by
percentage on lines, by percentage on the order, by amount on lines, by amount on the order, each on
what the one before has left. An order-level adjustment is rounded once, on the order, and shared
out over the lines in proportion: the spec's example of CreateOrderResponse comes out only so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from tillpost_simulators.square.wire import (
    AppliedDiscount,
    AppliedServiceCharge,
    AppliedTax,
    Discount,
    LineItem,
    MoneyAmounts,
    Order,
    ServiceCharge,
    Tax,
)
from tillpost_simulators.square.world import World


def rounded(amount: Decimal) -> int:
    """To a whole minor unit, half to even."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """Shares `total` out in proportion to `weights`, so that the shares add up to it. Nothing goes to a weight of 0."""
    whole, reached, given = sum(weights), 0, 0
    shares: list[int] = []
    for weight in weights:
        reached += weight
        upto = rounded(Decimal(total) * reached / whole) if whole else 0
        shares.append(upto - given)
        given = upto
    return shares


@dataclass
class Priced:
    """A line or a service charge while it is being priced: `left` is what taxes are computed on."""

    target: LineItem | ServiceCharge
    left: int
    additive: int = 0
    tax: int = 0
    taxes: list[AppliedTax] = field(default_factory=list[AppliedTax])


def price(world: World, order: Order, tip: int = 0) -> None:
    """Fills in every computed amount of `order`. `tip` is what payments have added, in minor units."""
    _forget(order)
    lines = [Priced(line, _gross(world, line)) for line in order.line_items or ()]
    discount_total = _discount(world, order, lines)
    charges = _subtotal_charges(world, order, lines)
    _tax(world, order, [*lines, *charges])
    total = sum(part.left + part.additive for part in (*lines, *charges))
    total += _total_charges(world, order, total)
    for part in lines:
        _finish_line(world, part)
    for part in charges:
        _finish_charge(world, part)
    tax_total = sum(part.tax for part in (*lines, *charges))
    charge_total = sum(
        charge.applied_money.amount
        for charge in order.service_charges or ()
        if charge.applied_money
    )
    order.total_money = world.money(total + tip)
    order.total_tax_money = world.money(tax_total)
    order.total_discount_money = world.money(discount_total)
    order.total_service_charge_money = world.money(charge_total)
    order.total_tip_money = world.money(tip)
    order.net_amounts = MoneyAmounts(
        total_money=world.money(total + tip),
        tax_money=world.money(tax_total),
        discount_money=world.money(discount_total),
        tip_money=world.money(tip),
        service_charge_money=world.money(charge_total),
    )


def _forget(order: Order) -> None:
    """Drops what an earlier pricing put on the lines for adjustments of the whole order."""
    discounts = {
        discount.uid for discount in order.discounts or () if discount.scope == "LINE_ITEM"
    }
    charges = {charge.uid for charge in order.service_charges or () if charge.scope == "LINE_ITEM"}
    for line in order.line_items or ():
        line.applied_discounts = [
            a for a in line.applied_discounts or () if a.discount_uid in discounts
        ]
        line.applied_service_charges = [
            a for a in line.applied_service_charges or () if a.service_charge_uid in charges
        ]


def _gross(world: World, line: LineItem) -> int:
    """The line before any adjustment: the variation and its modifiers, times the quantity."""
    assert line.base_price_money is not None
    quantity = Decimal(line.quantity)
    variation = rounded(line.base_price_money.amount * quantity)
    modifiers = 0
    for modifier in line.modifiers or ():
        assert modifier.base_price_money is not None
        each = modifier.base_price_money.amount * Decimal(modifier.quantity or "1")
        modifier.total_price_money = world.money(rounded(each * quantity))
        modifiers += modifier.total_price_money.amount
    line.variation_total_price_money = world.money(variation)
    line.gross_sales_money = world.money(variation + modifiers)
    line.total_discount_money = world.money(0)
    line.total_service_charge_money = world.money(0)
    return variation + modifiers


def _discount(world: World, order: Order, lines: list[Priced]) -> int:
    """Takes the discounts off, in the documented sequence, and returns what they come to."""
    discounts = order.discounts or []

    def turn(discount: Discount) -> tuple[bool, bool]:
        return discount.percentage is None, discount.scope == "ORDER"

    for discount in sorted(discounts, key=turn):
        on = _lines_of(discount, lines)
        base = sum(line.left for line in on)
        wanted = (
            rounded(base * Decimal(discount.percentage) / 100)
            if discount.percentage
            else _amount(discount)
        )
        taken = min(wanted, base)  # a line never costs less than nothing
        for line, share in zip(on, shared(taken, [line.left for line in on]), strict=True):
            _take(world, line, discount, share)
        discount.applied_money = world.money(taken)
    return sum(discount.applied_money.amount for discount in discounts if discount.applied_money)


def _lines_of(discount: Discount, lines: list[Priced]) -> list[Priced]:
    if discount.scope == "ORDER":
        return lines
    return [line for line in lines if discount.uid in _discount_uids(line)]


def _discount_uids(line: Priced) -> set[str]:
    assert isinstance(line.target, LineItem)
    return {applied.discount_uid for applied in line.target.applied_discounts or ()}


def _take(world: World, line: Priced, discount: Discount, share: int) -> None:
    target = line.target
    assert isinstance(target, LineItem)
    assert discount.uid is not None
    assert target.total_discount_money is not None
    applied = next(
        (a for a in target.applied_discounts or () if a.discount_uid == discount.uid), None
    )
    if applied is None:
        applied = AppliedDiscount(discount_uid=discount.uid)
        target.applied_discounts = [*(target.applied_discounts or []), applied]
    applied.uid = applied.uid or world.new_uid()
    applied.applied_money = world.money(share)
    target.total_discount_money = world.money(target.total_discount_money.amount + share)
    line.left -= share


def _amount(adjustment: Discount | ServiceCharge) -> int:
    return adjustment.amount_money.amount if adjustment.amount_money else 0


def _subtotal_charges(world: World, order: Order, lines: list[Priced]) -> list[Priced]:
    """Service charges before taxes. Apportioned ones join the lines; the others stand beside them, and are returned."""
    beside: list[Priced] = []
    subtotal = sum(line.left for line in lines)
    for charge in order.service_charges or ():
        phase = charge.calculation_phase
        if phase == "TOTAL_PHASE":
            continue
        base = sum(line.left for line in lines) if phase != "SUBTOTAL_PHASE" else subtotal
        amount = (
            rounded(base * Decimal(charge.percentage) / 100)
            if charge.percentage
            else _amount(charge)
        )
        charge.applied_money = world.money(amount)
        if phase == "SUBTOTAL_PHASE":
            beside.append(Priced(charge, amount))
            continue
        charge.total_money, charge.total_tax_money = world.money(amount), world.money(0)
        on = (
            lines
            if charge.scope == "ORDER"
            else [line for line in lines if charge.uid in _charge_uids(line)]
        )
        for line, share in zip(on, shared(amount, [line.left for line in on]), strict=True):
            _add(world, line, charge, share)
    return beside


def _charge_uids(line: Priced) -> set[str]:
    assert isinstance(line.target, LineItem)
    return {applied.service_charge_uid for applied in line.target.applied_service_charges or ()}


def _add(world: World, line: Priced, charge: ServiceCharge, share: int) -> None:
    target = line.target
    assert isinstance(target, LineItem)
    assert charge.uid is not None
    assert target.total_service_charge_money is not None
    target.applied_service_charges = [
        *(a for a in target.applied_service_charges or () if a.service_charge_uid != charge.uid),
        AppliedServiceCharge(
            uid=world.new_uid(), service_charge_uid=charge.uid, applied_money=world.money(share)
        ),
    ]
    target.total_service_charge_money = world.money(
        target.total_service_charge_money.amount + share
    )
    line.left += share


def _total_charges(world: World, order: Order, total: int) -> int:
    """Service charges after taxes; they can't be taxed (spec: OrderServiceCharge.taxable)."""
    added = 0
    for charge in order.service_charges or ():
        if charge.calculation_phase != "TOTAL_PHASE":
            continue
        amount = (
            rounded(total * Decimal(charge.percentage) / 100)
            if charge.percentage
            else _amount(charge)
        )
        charge.applied_money = charge.total_money = world.money(amount)
        charge.total_tax_money = world.money(0)
        added += amount
    return added


def _tax(world: World, order: Order, parts: list[Priced]) -> None:
    """Computes each tax on all that it applies to, rounds it once, and shares it out.

    unconfirmed: that taxes are rounded on the order, as order-level discounts are in the spec's
    example, and not on each line; and that an additive tax beside an inclusive one is computed on
    the price without the latter. Two lines whose taxes each end in half a cent, sent to a sandbox,
    would tell the first; a mixed order the second.
    """
    taxes = order.taxes or []
    inclusive = [tax for tax in taxes if tax.type == "INCLUSIVE"]
    included = {
        id(part): _rate([tax for tax in inclusive if _applies(tax, part)]) for part in parts
    }
    for tax in taxes:
        on = [part for part in parts if _applies(tax, part) and part.left]
        bases = [Decimal(part.left) / (1 + included[id(part)]) for part in on]
        amount = rounded(sum(bases, Decimal(0)) * _rate([tax]))
        for part, share in zip(on, shared(amount, [part.left for part in on]), strict=True):
            assert tax.uid is not None
            part.taxes.append(
                AppliedTax(uid=world.new_uid(), tax_uid=tax.uid, applied_money=world.money(share))
            )
            part.tax += share
            part.additive += 0 if tax.type == "INCLUSIVE" else share
        tax.applied_money = world.money(amount)


def _rate(taxes: Sequence[Tax]) -> Decimal:
    return sum((Decimal(tax.percentage or "0") for tax in taxes), Decimal(0)) / 100


def _applies(tax: Tax, part: Priced) -> bool:
    """Order-level taxes go on every line and every taxable charge; others where they are referred to."""
    if isinstance(part.target, ServiceCharge) and not part.target.taxable:
        return False
    if tax.scope == "ORDER":
        return True
    return any(applied.tax_uid == tax.uid for applied in part.target.applied_taxes or ())


def _finish_line(world: World, part: Priced) -> None:
    line = part.target
    assert isinstance(line, LineItem)
    assert line.gross_sales_money is not None
    line.applied_taxes = part.taxes or None
    line.applied_discounts = line.applied_discounts or None
    line.applied_service_charges = line.applied_service_charges or None
    line.total_tax_money = world.money(part.tax)
    line.total_money = world.money(part.left + part.additive)
    if world.deducts_inclusive_tax:
        line.gross_sales_money = world.money(
            line.gross_sales_money.amount - (part.tax - part.additive)
        )


def _finish_charge(world: World, part: Priced) -> None:
    charge = part.target
    assert isinstance(charge, ServiceCharge)
    charge.applied_taxes = part.taxes or None
    charge.total_tax_money = world.money(part.tax)
    charge.total_money = world.money(part.left + part.additive)
