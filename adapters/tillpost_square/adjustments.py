"""What is added to an order at Square and taken off it.

These are discounts, service charges and their taxes. Square computes in this sequence: discounts on
lines, discounts on the order, service charges of the subtotal phase, taxes, service charges of the
total phase (developer documentation: Order price adjustments). So a charge that was taxed goes into
the subtotal phase, with the taxes of the lines, and any other into the total phase, where Square
adds no tax to what was paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tillpost.adapter import Attempt, Charge, Line, Menu, Order, OrderError, Tax
from tillpost_square import limits
from tillpost_square.limits import Trimming
from tillpost_square.settings import SquareSettings

__all__ = [
    "applied_discounts",
    "charge_taxes",
    "discounts",
    "has_taxed_charge",
    "payment_tip",
    "service_charges",
]

Body: TypeAlias = dict[str, object]


def discounts(order: Order, trimming: Trimming) -> list[Body]:
    """Return the discounts on lines and on the order. A negative rounding is one, too.

    Raises:
        OrderError: Square can't take the rounding off.
    """
    bodies: list[Body] = []
    for index, line in enumerate(order.lines):
        for place, discount in enumerate(line.discounts):
            if discount.amount:
                body = _discount(discount.name, discount.amount, order.currency, trimming)
                body |= {"uid": _discount_uid(index, place), "scope": "LINE_ITEM"}
                bodies.append(body)
    bodies += [
        _discount(discount.name, discount.amount, order.currency, trimming)
        for discount in order.discounts
        if discount.amount
    ]
    for index, charge in enumerate(order.charges):
        # unconfirmed: that a service charge can't be negative; the spec gives no minimum. One in a
        # sandbox would show it.
        if charge.amount < 0:
            _check_rounding(order, index)
            trimming.notices.append(
                f"{charge.name} went as a discount, since Square takes no negative charge; a tax "
                "that the prices include is lowered by its share"
            )
            bodies.append(_discount(charge.name, -charge.amount, order.currency, trimming))
    return bodies


def _discount(name: str, amount: int, currency: str, trimming: Trimming) -> Body:
    return {
        "name": trimming.cut(limits.DISCOUNT_NAME, name),
        "type": "FIXED_AMOUNT",
        "scope": "ORDER",
        "amount_money": {"amount": amount, "currency": currency},
    }


def _discount_uid(index: int, place: int) -> str:
    return f"line-{index}-discount-{place}"


def _check_rounding(order: Order, index: int) -> None:
    """Check that a rounding can be taken off the lines.

    It lowers the tax that their prices include as well. A tax that is added would be lowered, too,
    and the total with it.
    """
    if not order.prices_include_tax:
        raise OrderError(
            f"charges[{index}].amount: Square takes no negative charge where prices exclude tax",
            subjects=("a negative charge",),
            reason="unsupported",
        )
    lines = sum(line.discounted for line in order.lines)
    taken_off = sum(discount.amount for discount in order.discounts)
    taken_off -= sum(charge.amount for charge in order.charges if charge.amount < 0)
    if taken_off > lines:
        raise OrderError(
            f"charges[{index}].amount: Square takes a negative charge off the lines, and they come "
            "to less",
            subjects=("a negative charge",),
            reason="unsupported",
        )


def applied_discounts(index: int, line: Line) -> list[Body]:
    """Return a line's references to its own discounts."""
    return [
        {"discount_uid": _discount_uid(index, place)}
        for place, discount in enumerate(line.discounts)
        if discount.amount
    ]


def payment_tip(order: Order, settings: SquareSettings) -> int:
    """Return the tip that goes on the payment.

    If nothing else is to be paid, the tip becomes a service charge in any case.

    unconfirmed: whether CreatePayment takes an amount of 0 with a tip; the forum says both (threads
    1866 and 21523). Such a payment in a sandbox would show it.
    """
    return order.tip if settings.tips == "payment" and order.tip < order.total else 0


def service_charges(
    order: Order, attempt: Attempt, settings: SquareSettings, trimming: Trimming
) -> list[Body]:
    """Return the charges, each at what it comes to after its discounts, and the tip."""
    taxes = charge_taxes(order, attempt, settings)
    bodies: list[Body] = []
    for charge in order.charges:
        if charge.discount:
            trimming.notices.append(
                f"{charge.name} went at what is left of it after its discounts, which are in the "
                "note"
            )
        if charge.total <= 0:
            continue  # a rounding is a discount; of a free charge the note says all
        body = _service_charge(charge.name, charge.total, order.currency, trimming)
        if _goes_taxed(charge, settings):
            # unconfirmed: that a tax that is named here joins a charge of the subtotal phase, and
            # is computed on it as on a line. An order in a sandbox would show it.
            applied = [{"tax_uid": tax["uid"]} for tax in taxes]
            body |= {
                "calculation_phase": "SUBTOTAL_PHASE",
                "taxable": True,
                "applied_taxes": applied,
            }
        bodies.append(body)
    tip = order.tip - payment_tip(order, settings)
    if tip:
        bodies.append(_service_charge("Tip", tip, order.currency, trimming))
    return bodies


def _service_charge(name: str, amount: int, currency: str, trimming: Trimming) -> Body:
    return {
        "name": trimming.cut(limits.CHARGE_NAME, name),
        "amount_money": {"amount": amount, "currency": currency},
        "calculation_phase": "TOTAL_PHASE",
    }


def _goes_taxed(charge: Charge, settings: SquareSettings) -> bool:
    """Return whether a charge is sent with tax.

    Where no line gets taxes, no charge does.
    """
    return charge.taxed and charge.total > 0 and settings.auto_apply_taxes


def has_taxed_charge(order: Order, settings: SquareSettings) -> bool:
    """Return whether a charge goes with tax, so that the menu must say with which."""
    return any(_goes_taxed(charge, settings) for charge in order.charges)


def charge_taxes(order: Order, attempt: Attempt, settings: SquareSettings) -> list[Body]:
    """Return the order's own taxes: those of taxed charges.

    Square applies the lines' taxes by itself, but to no charge. Without a menu there are none.

    Raises:
        OrderError: The order's lines have different taxes, so the charges' aren't known.
    """
    menu = attempt.menu
    if menu is None or not has_taxed_charge(order, settings):
        return []
    return [
        {"uid": f"charge-tax-{place}", "catalog_object_id": tax.id, "scope": "LINE_ITEM"}
        for place, tax in enumerate(_taxes_on_lines(order, menu, settings))
    ]


def _taxes_on_lines(order: Order, menu: Menu, settings: SquareSettings) -> Sequence[Tax]:
    """Return the taxes that all taxed lines have; without any, the store's only tax."""
    found: dict[tuple[str, ...], Sequence[Tax]] = {}
    for line in order.lines:
        sold = menu.by_variation.get(line.item_id)
        taxes = menu.taxes_on(sold.item) if sold else ()
        if taxes:
            ids = sorted(tax.id for tax in taxes)
            found[tuple(ids)] = taxes
    if not found:
        enabled = [tax for tax in menu.taxes if tax.enabled]
        found = {(tax.id,): [tax] for tax in enabled}
    if len(found) > 1:
        place = next(
            place for place, charge in enumerate(order.charges) if _goes_taxed(charge, settings)
        )
        raise OrderError(
            f"charges[{place}].taxed: Square's taxes differ from line to line, so it isn't known "
            "which of them the charge has",
            subjects=("a taxed charge beside items of different taxes",),
            reason="unsupported",
        )
    return next(iter(found.values()), ())
