"""The computation of what an order comes to.

Discounts, service charges and taxes come in Square's order.

`price` takes an order whose lines have their base prices, and sets every computed amount. Amounts
are integers, percentages are decimals, and every rounding is half to even (developer
documentation: Order price adjustments). The sequence of discounts is documented too: by percentage
on lines, by percentage on the order, by amount on lines, by amount on the order, each on what the
one before has left. An adjustment of the whole order is rounded once, on the order, and allocated
to the lines in proportion: only so does the spec's example of CreateOrderResponse come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Generic, TypeAlias, TypeVar

from tillpost_simulators.square.wire import (
    AppliedDiscount,
    AppliedServiceCharge,
    AppliedTax,
    Discount,
    LineItem,
    Money,
    MoneyAmounts,
    Order,
    ServiceCharge,
    Tax,
)
from tillpost_simulators.square.world import World

T = TypeVar("T", LineItem, ServiceCharge)
K = TypeVar("K")


def rounded(amount: Decimal) -> int:
    """Round to a whole minor unit, half to even."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` into shares in proportion to `weights`.

    The shares add up to the total. A weight of 0 gets nothing.
    """
    weight_sum = sum(weights)
    if not weight_sum:
        return [0] * len(weights)
    shares: list[int] = []
    weight_so_far = 0
    allocated = 0
    for weight in weights:
        weight_so_far += weight
        allocated_now = rounded(Decimal(total) * weight_so_far / weight_sum)
        shares.append(allocated_now - allocated)
        allocated = allocated_now
    return shares


@dataclass
class Priced(Generic[T]):
    """A line or a service charge while it is being priced.

    `left` is its amount after the adjustments so far, on which taxes are computed. `tax` is the sum
    of its taxes, of which `additive` is added to the price.
    """

    target: T
    left: int
    additive: int = 0
    tax: int = 0
    taxes: list[AppliedTax] = field(default_factory=list[AppliedTax])

    @property
    def total(self) -> int:
        """What it comes to, with its taxes."""
        return self.left + self.additive


Part: TypeAlias = Priced[LineItem] | Priced[ServiceCharge]


def price(world: World, order: Order, tip: int = 0) -> None:
    """Set every computed amount of `order`. `tip` is the sum of its payments' tips."""
    _remove_order_adjustments(order)
    lines = [
        Priced(line, _price_before_adjustments(world, line)) for line in order.line_items or ()
    ]
    _apply_discounts(world, order, lines)
    charges = _apply_subtotal_charges(world, order, lines)
    _apply_taxes(world, order, [*lines, *charges])
    total = sum(part.total for part in lines)
    total += sum(part.total for part in charges)
    total += _apply_total_charges(world, order, total)
    for part in lines:
        _finish_line(world, part)
    for charge in charges:
        _finish_charge(world, charge)
    tax = sum(part.tax for part in lines)
    tax += sum(part.tax for part in charges)
    _set_totals(world, order, total=total + tip, tax=tax, tip=tip)


def _set_totals(
    world: World,
    order: Order,
    *,
    total: int,
    tax: int,
    tip: int,
) -> None:
    discount = _sum(discount.applied_money for discount in order.discounts or ())
    charge = _sum(charge.applied_money for charge in order.service_charges or ())
    order.total_money = world.money(total)
    order.total_tax_money = world.money(tax)
    order.total_discount_money = world.money(discount)
    order.total_service_charge_money = world.money(charge)
    order.total_tip_money = world.money(tip)
    order.net_amounts = MoneyAmounts(
        total_money=world.money(total),
        tax_money=world.money(tax),
        discount_money=world.money(discount),
        tip_money=world.money(tip),
        service_charge_money=world.money(charge),
    )


def _remove_order_adjustments(order: Order) -> None:
    """Remove from the lines what an earlier pricing applied for the whole order."""
    discounts = order.discounts or ()
    line_discounts = {discount.uid for discount in discounts if discount.scope == "LINE_ITEM"}
    charges = order.service_charges or ()
    line_charges = {charge.uid for charge in charges if charge.scope == "LINE_ITEM"}
    for line in order.line_items or ():
        line.applied_discounts = [
            applied
            for applied in line.applied_discounts or ()
            if applied.discount_uid in line_discounts
        ]
        line.applied_service_charges = [
            applied
            for applied in line.applied_service_charges or ()
            if applied.service_charge_uid in line_charges
        ]


def _price_before_adjustments(world: World, line: LineItem) -> int:
    """Price a line with its modifiers, times the quantity, and return the amount."""
    quantity = Decimal(line.quantity)
    unit_price = _known(line.base_price_money).amount
    variation_total = rounded(unit_price * quantity)
    gross = variation_total
    for modifier in line.modifiers or ():
        modifier_price = _known(modifier.base_price_money).amount
        for_one = modifier_price * Decimal(modifier.quantity or "1")
        modifier_total = rounded(for_one * quantity)
        modifier.total_price_money = world.money(modifier_total)
        gross += modifier_total
    line.variation_total_price_money = world.money(variation_total)
    line.gross_sales_money = world.money(gross)
    line.total_discount_money = world.money(0)
    line.total_service_charge_money = world.money(0)
    return gross


# --- discounts ---


def _apply_discounts(world: World, order: Order, lines: list[Priced[LineItem]]) -> None:
    """Apply the discounts, in the documented sequence."""

    def sequence(discount: Discount) -> tuple[bool, bool]:
        by_amount = discount.percentage is None
        on_order = discount.scope == "ORDER"
        return by_amount, on_order

    for discount in sorted(order.discounts or (), key=sequence):
        affected = lines
        if discount.scope != "ORDER":
            affected = [line for line in lines if _has_discount(line, discount)]
        weights = [line.left for line in affected]
        base = sum(weights)
        # A line never costs less than nothing.
        taken = min(_amount_of(discount, base), base)
        for line, share in zip(affected, allocate(taken, weights), strict=True):
            _discount_line(world, line, discount, share)
        discount.applied_money = world.money(taken)


def _has_discount(line: Priced[LineItem], discount: Discount) -> bool:
    applied_discounts = line.target.applied_discounts or ()
    return any(applied.discount_uid == discount.uid for applied in applied_discounts)


def _discount_line(
    world: World,
    line: Priced[LineItem],
    discount: Discount,
    share: int,
) -> None:
    target = line.target
    uid = _known(discount.uid)
    applied_discounts = list(target.applied_discounts or ())
    for applied in applied_discounts:
        if applied.discount_uid == uid:
            break
    else:
        applied = AppliedDiscount(discount_uid=uid)
        applied_discounts.append(applied)
    applied.uid = applied.uid or world.new_uid()
    applied.applied_money = world.money(share)
    target.applied_discounts = applied_discounts
    discount_before = _known(target.total_discount_money).amount
    target.total_discount_money = world.money(discount_before + share)
    line.left -= share


# --- service charges ---


def _apply_subtotal_charges(
    world: World, order: Order, lines: list[Priced[LineItem]]
) -> list[Priced[ServiceCharge]]:
    """Apply the service charges that come before taxes.

    Apportioned ones are allocated to the lines. The others are priced beside the lines, and
    returned.
    """
    beside: list[Priced[ServiceCharge]] = []
    subtotal = sum(line.left for line in lines)
    for charge in order.service_charges or ():
        if charge.calculation_phase == "TOTAL_PHASE":
            continue
        if charge.calculation_phase == "SUBTOTAL_PHASE":
            amount = _amount_of(charge, subtotal)
            beside.append(Priced(charge, amount))
        else:
            amount = _amount_of(charge, sum(line.left for line in lines))
            _apportion(world, charge, amount, lines)
        charge.applied_money = world.money(amount)
    return beside


def _apportion(
    world: World,
    charge: ServiceCharge,
    amount: int,
    lines: list[Priced[LineItem]],
) -> None:
    charge.total_money = world.money(amount)
    charge.total_tax_money = world.money(0)
    affected = lines
    if charge.scope != "ORDER":
        affected = [line for line in lines if _has_charge(line, charge)]
    shares = allocate(amount, [line.left for line in affected])
    for line, share in zip(affected, shares, strict=True):
        _charge_line(world, line, charge, share)


def _has_charge(line: Priced[LineItem], charge: ServiceCharge) -> bool:
    applied_charges = line.target.applied_service_charges or ()
    return any(applied.service_charge_uid == charge.uid for applied in applied_charges)


def _charge_line(
    world: World,
    line: Priced[LineItem],
    charge: ServiceCharge,
    share: int,
) -> None:
    target = line.target
    uid = _known(charge.uid)
    applied_charges = [
        applied
        for applied in target.applied_service_charges or ()
        if applied.service_charge_uid != uid
    ]
    applied_charges.append(
        AppliedServiceCharge(
            uid=world.new_uid(),
            service_charge_uid=uid,
            applied_money=world.money(share),
        )
    )
    target.applied_service_charges = applied_charges
    charge_before = _known(target.total_service_charge_money).amount
    target.total_service_charge_money = world.money(charge_before + share)
    line.left += share


def _apply_total_charges(world: World, order: Order, total: int) -> int:
    """Apply the service charges that come after taxes, and return their sum.

    They can't be taxed (spec: OrderServiceCharge.taxable).
    """
    added = 0
    for charge in order.service_charges or ():
        if charge.calculation_phase != "TOTAL_PHASE":
            continue
        amount = _amount_of(charge, total)
        charge.applied_money = world.money(amount)
        charge.total_money = world.money(amount)
        charge.total_tax_money = world.money(0)
        added += amount
    return added


# --- taxes ---


def _apply_taxes(world: World, order: Order, parts: list[Part]) -> None:
    """Compute each tax on all parts that it applies to.

    It is rounded once and allocated to the parts.

    unconfirmed: that taxes are rounded on the order, as order-level discounts are in the spec's
    example, and not on each line; and that an additive tax beside an inclusive one is computed on
    the price without the latter. Two lines whose taxes each end in half a cent, sent to a sandbox,
    would show the first; a mixed order the second.
    """
    taxes = order.taxes or []
    included_rates = [_included_rate(taxes, part) for part in parts]
    for tax in taxes:
        taxed: list[Part] = []
        base = Decimal(0)
        for part, included_rate in zip(parts, included_rates, strict=True):
            if part.left and _applies(tax, part):
                taxed.append(part)
                base += Decimal(part.left) / (1 + included_rate)
        amount = rounded(base * _rate(tax))
        shares = allocate(amount, [part.left for part in taxed])
        for part, share in zip(taxed, shares, strict=True):
            _tax_part(world, part, tax, share)
        tax.applied_money = world.money(amount)


def _included_rate(taxes: Iterable[Tax], part: Part) -> Decimal:
    """Return the sum of the rates of the taxes that a part's price includes."""
    percentage = Decimal(0)
    for tax in taxes:
        if tax.type == "INCLUSIVE" and _applies(tax, part):
            percentage += Decimal(tax.percentage or "0")
    return percentage / 100


def _rate(tax: Tax) -> Decimal:
    return Decimal(tax.percentage or "0") / 100


def _applies(tax: Tax, part: Part) -> bool:
    """Return whether a tax applies to a line or a service charge.

    A tax of the order applies to every line and every taxable charge, other taxes where they are
    referred to.
    """
    target = part.target
    if isinstance(target, ServiceCharge) and not target.taxable:
        return False
    if tax.scope == "ORDER":
        return True
    return any(applied.tax_uid == tax.uid for applied in target.applied_taxes or ())


def _tax_part(
    world: World,
    part: Part,
    tax: Tax,
    share: int,
) -> None:
    applied = AppliedTax(
        uid=world.new_uid(),
        tax_uid=_known(tax.uid),
        applied_money=world.money(share),
    )
    part.taxes.append(applied)
    part.tax += share
    if tax.type != "INCLUSIVE":
        part.additive += share


# --- results ---


def _finish_line(world: World, part: Priced[LineItem]) -> None:
    line = part.target
    line.applied_taxes = part.taxes or None
    line.applied_discounts = line.applied_discounts or None
    line.applied_service_charges = line.applied_service_charges or None
    line.total_tax_money = world.money(part.tax)
    line.total_money = world.money(part.total)
    if world.deducts_inclusive_tax:
        gross = _known(line.gross_sales_money).amount
        included_tax = part.tax - part.additive
        line.gross_sales_money = world.money(gross - included_tax)


def _finish_charge(world: World, part: Priced[ServiceCharge]) -> None:
    charge = part.target
    charge.applied_taxes = part.taxes or None
    charge.total_tax_money = world.money(part.tax)
    charge.total_money = world.money(part.total)


def _amount_of(adjustment: Discount | ServiceCharge, base: int) -> int:
    """Return the amount of a discount or a service charge on `base`."""
    if adjustment.percentage:
        return rounded(base * Decimal(adjustment.percentage) / 100)
    if not adjustment.amount_money:
        return 0
    return adjustment.amount_money.amount


def _sum(amounts: Iterable[Money | None]) -> int:
    return sum(money.amount for money in amounts if money)


def _known(value: K | None) -> K:
    """Return a value that was set before pricing."""
    assert value is not None
    return value
